//! A small blocking client of the kernel's routing netlink.
//!
//! Links, addresses, routes, rules, and a [`Monitor`] of their changes: only
//! what the programs set or look at. Which route to set is decided elsewhere
//! (`lanparty-client-route::plan`).

mod address;
mod link;
mod monitor;
mod route;
mod rule;
mod socket;

pub use crate::prefix::{Family, ParsePrefixError, Prefix};
pub use address::{Address, NewAddress};
pub use link::{Link, LinkChange};
pub use monitor::{Change, Monitor};
pub use route::{MAIN_TABLE, Route, RouteKind, RouteQuery, RouteScope};
pub use rule::{Rule, RuleAction};

use std::io;

use rustix::io::Errno;

/// The number that marks every route and rule of ours, so that a sweep finds
/// them. `rtnetlink.h` reserves values above `RTPROT_STATIC` (4) for programs;
/// this one is not in iproute2's `rt_protos`.
pub const ROUTE_PROTOCOL: u8 = 174;

#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    #[error("cannot talk to the kernel's network configuration: {0}")]
    Socket(#[source] io::Error),
    #[error("the kernel refused to {operation}: {source}")]
    Refused {
        operation: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("cannot understand the kernel's answer to \"{operation}\": {detail}")]
    Answer {
        operation: &'static str,
        detail: String,
    },
}

impl NetlinkError {
    /// The thing to change or remove is not there; for an undo, that is success.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.errno().is_some_and(|errno| {
            [
                Errno::NOENT,
                Errno::SRCH,
                Errno::NODEV,
                Errno::NXIO,
                Errno::ADDRNOTAVAIL,
            ]
            .contains(&errno)
        })
    }

    #[must_use]
    pub fn already_exists(&self) -> bool {
        self.errno() == Some(Errno::EXIST)
    }

    #[must_use]
    pub fn is_permission_denied(&self) -> bool {
        self.errno()
            .is_some_and(|errno| errno == Errno::PERM || errno == Errno::ACCESS)
    }

    fn errno(&self) -> Option<Errno> {
        match self {
            Self::Socket(source) | Self::Refused { source, .. } => Errno::from_io_error(source),
            Self::Answer { .. } => None,
        }
    }
}

/// A connection to the kernel of the network namespace in which it was opened.
#[derive(Debug)]
pub struct Netlink {
    socket: socket::Socket,
}

impl Netlink {
    /// # Errors
    /// When the kernel has no routing netlink or forbids it.
    pub fn open() -> Result<Self, NetlinkError> {
        Ok(Self {
            socket: socket::Socket::open(0).map_err(NetlinkError::Socket)?,
        })
    }
}
