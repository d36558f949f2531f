//! Systems without a backend: everything compiles, nothing is guarded.

use std::net::IpAddr;

use lanparty_os::journal::Journal;

use crate::guard::{RouteError, Table};
use crate::plan::{Snapshot, Step};

/// Never constructed.
#[derive(Debug)]
pub enum SystemTable {}

impl SystemTable {
    /// # Errors
    /// Always [`RouteError::Unsupported`].
    pub fn open(_: Journal) -> Result<Self, RouteError> {
        Err(RouteError::Unsupported)
    }
}

impl Table for SystemTable {
    fn snapshot(&mut self, _: IpAddr) -> Result<Snapshot, RouteError> {
        match *self {}
    }

    fn apply(&mut self, _: &Step) -> Result<(), RouteError> {
        match *self {}
    }
}
