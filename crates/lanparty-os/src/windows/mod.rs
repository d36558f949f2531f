//! Windows.
//!
//! What the system hands over is taken apart by pure code that is compiled,
//! tested and fuzzed on every system; the calls themselves are the modules
//! that exist on Windows only, each a thin and safe face over a few functions.

pub mod descriptor;
pub mod guid;
pub mod opening;
pub mod rows;
pub mod wide;

#[cfg(windows)]
pub(crate) mod boot;
#[cfg(windows)]
pub mod changes;
#[cfg(windows)]
pub mod class;
#[cfg(windows)]
pub mod console;
#[cfg(windows)]
pub mod devices;
#[cfg(windows)]
pub mod firewall;
#[cfg(windows)]
pub mod ip;
#[cfg(windows)]
pub mod machine;
#[cfg(windows)]
pub mod named_event;
#[cfg(windows)]
pub mod network_list;
#[cfg(windows)]
pub mod overlapped;
#[cfg(windows)]
pub mod process;
#[cfg(windows)]
pub mod registry;
#[cfg(windows)]
pub(crate) mod security;
#[cfg(windows)]
pub mod wait;

#[cfg(windows)]
pub use machine::WindowsMachine;
