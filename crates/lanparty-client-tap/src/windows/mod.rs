//! The TAP on Windows: the TAP-Windows6 driver.
//!
//! Which adapter to take, how to make it ready and how to keep many reads in
//! flight is pure and tested anywhere; `device.rs` and `system.rs` only carry
//! it out.

pub mod control;
pub mod discovery;
pub mod ready;
pub mod ring;

#[cfg(windows)]
mod device;
#[cfg(windows)]
mod system;

#[cfg(windows)]
pub use device::Tap;
#[cfg(windows)]
pub use system::adapters;
