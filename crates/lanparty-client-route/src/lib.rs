//! Keeps the player's own internet working while a party LAN is plugged in.
//!
//! The guard pins the path to the relay outside the TAP, keeps default routes
//! and router advertisements off the TAP, and sends limited broadcasts and
//! multicasts to it, so that games find the LAN (invariant I6). `plan` thinks
//! and is pure; the system's backend reads tables and applies one step at a
//! time, and every step that outlives the process is in the crash journal.
//!
//! It never touches resolv.conf, default routes or other interfaces.

#![forbid(unsafe_code)]

pub mod fake;
mod guard;
pub mod plan;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::{SystemTable, TapSide};
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::{SystemTable, TapSide, source_address};
#[cfg(not(any(target_os = "linux", windows)))]
mod stub;
#[cfg(not(any(target_os = "linux", windows)))]
pub use stub::SystemTable;

pub use guard::{Guard, RouteError, RouteEvent, Table};
