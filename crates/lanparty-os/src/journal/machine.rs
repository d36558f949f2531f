//! The machine that changes are undone on.

use std::io;

use super::undo::{Interface, Object, Setting};

#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Netlink(#[from] crate::netlink::NetlinkError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What undoing needs; `linux.rs` has the real one, tests a fake.
pub trait Machine {
    /// False where it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    fn remove(&mut self, object: &Object) -> Result<bool, MachineError>;

    /// `None` where the interface is gone or has no such setting.
    ///
    /// # Errors
    /// When it cannot be read.
    fn setting(
        &mut self,
        interface: &Interface,
        setting: &Setting,
    ) -> Result<Option<String>, MachineError>;

    /// # Errors
    /// When it cannot be set.
    fn set(
        &mut self,
        interface: &Interface,
        setting: &Setting,
        value: &str,
    ) -> Result<(), MachineError>;

    /// What carries our mark, such as [`crate::netlink::ROUTE_PROTOCOL`].
    fn marked(&mut self) -> Vec<Object>;
}
