//! A client and a server over loopback, driven in one thread.

mod admission;
mod allocations;
mod control;
mod datagrams;
mod handshake;
mod hostile;
mod line;
mod pacing;
mod pair;
mod program;
mod raw;
mod rebind;
mod restart;
mod socket;
mod throughput;
mod wire;
