//! A client and a server over loopback, driven in one thread.

mod admission;
// Windows' own calls allocate, and differently with every version.
#[cfg(unix)]
mod allocations;
mod control;
mod datagrams;
mod handshake;
mod hostile;
// A simulated line in virtual time is the same on every system, and takes minutes
// under Wine.
#[cfg(unix)]
mod line;
#[cfg(unix)]
mod pacing;
mod pair;
mod program;
mod raw;
mod rebind;
mod restart;
mod socket;
mod throughput;
mod wire;
