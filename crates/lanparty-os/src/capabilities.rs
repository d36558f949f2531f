//! What this process may do, and giving it up.

use std::fmt;
use std::io;

use rustix::thread::{CapabilitySet, CapabilitySets};

/// The capabilities that one of the programs can need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Ports below 1024: a relay on 443.
    NetBindService,
    /// Packet sockets: a gateway.
    NetRaw,
    /// Interfaces and routes: a player, and a gateway's host path or bridge port.
    NetAdmin,
    /// Loading the program of a gateway's host path.
    Bpf,
}

impl Capability {
    const fn bit(self) -> CapabilitySet {
        match self {
            Self::NetBindService => CapabilitySet::NET_BIND_SERVICE,
            Self::NetRaw => CapabilitySet::NET_RAW,
            Self::NetAdmin => CapabilitySet::NET_ADMIN,
            Self::Bpf => CapabilitySet::BPF,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetBindService => "CAP_NET_BIND_SERVICE",
            Self::NetRaw => "CAP_NET_RAW",
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::Bpf => "CAP_BPF",
        })
    }
}

/// Those of `needed` that are missing.
///
/// # Errors
/// When the kernel does not tell.
pub fn missing(needed: &[Capability]) -> io::Result<Vec<Capability>> {
    let held = rustix::thread::capabilities(None)?.effective;
    Ok(needed
        .iter()
        .copied()
        .filter(|capability| !held.contains(capability.bit()))
        .collect())
}

#[derive(Debug, thiserror::Error)]
pub enum DropError {
    /// Capabilities are each thread's own, so the others would keep them.
    #[error("cannot give up capabilities after {0} other threads were started")]
    OtherThreads(usize),
    #[error("cannot give up capabilities: {0}")]
    System(#[from] io::Error),
}

/// Gives up every capability but those in `keep`, for good. Call it after
/// set-up and before any thread is started.
///
/// # Errors
/// When there are other threads already, or the kernel refuses.
pub fn drop_all_but(keep: &[Capability]) -> Result<(), DropError> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads > 1 {
        return Err(DropError::OtherThreads(threads - 1));
    }
    drop_in_this_thread(keep)?;
    Ok(())
}

fn drop_in_this_thread(keep: &[Capability]) -> io::Result<()> {
    let keep = keep.iter().fold(CapabilitySet::empty(), |set, capability| {
        set | capability.bit()
    });
    // A program started from here must not get any back from being root.
    rustix::thread::set_no_new_privs(true)?;
    let held = rustix::thread::capabilities(None)?;
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: held.effective & keep,
            permitted: held.permitted & keep,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Capability; 4] = [
        Capability::NetBindService,
        Capability::NetRaw,
        Capability::NetAdmin,
        Capability::Bpf,
    ];

    #[test]
    fn what_is_given_up_is_missing_and_what_is_kept_is_not() {
        if !missing(&ALL).unwrap().is_empty() {
            println!("skipped: run as root");
            return;
        }
        drop_in_this_thread(&[Capability::NetRaw]).unwrap();
        assert_eq!(
            missing(&ALL).unwrap(),
            [
                Capability::NetBindService,
                Capability::NetAdmin,
                Capability::Bpf
            ]
        );
        // And cannot be had back.
        let mut sets = rustix::thread::capabilities(None).unwrap();
        sets.permitted |= CapabilitySet::NET_ADMIN;
        rustix::thread::set_capabilities(None, sets).unwrap_err();
    }

    #[test]
    fn other_threads_would_keep_theirs_so_it_is_refused() {
        // The test itself runs beside the main thread.
        let refused = drop_all_but(&[]).unwrap_err();
        assert!(matches!(refused, DropError::OtherThreads(1..)), "{refused}");
    }
}
