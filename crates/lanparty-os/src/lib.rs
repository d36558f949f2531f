//! State on the machine: what a program changes, how that is undone after a
//! crash, and the few system calls that several edges need.
//!
//! Decides nothing: which route or address to set is the business of the
//! callers. All `unsafe` is in the files that talk to the kernel.

pub mod answer_socket;
pub mod journal;
pub mod lock;
mod prefix;
pub mod private_file;
pub mod state_dir;
pub mod windows;

#[cfg(target_os = "linux")]
pub mod capabilities;
#[cfg(target_os = "linux")]
mod linux_machine;
#[cfg(target_os = "linux")]
pub mod netlink;
#[cfg(target_os = "linux")]
pub mod peer;
#[cfg(target_os = "linux")]
pub mod short_path;
#[cfg(target_os = "linux")]
pub mod sysctl;
#[cfg(target_os = "linux")]
pub mod tap;

#[cfg(target_os = "linux")]
pub use linux_machine::LinuxMachine;
pub use prefix::{Family, ParsePrefixError, Prefix};
