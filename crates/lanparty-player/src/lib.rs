//! The player on any operating system: from the flags to frames on the
//! adapter.
//!
//! Owns what a player does in which order and what it tells people. What only
//! one operating system does (how an adapter comes to be, who asks for its
//! address, what asks the program to stop) is behind [`Platform`], which each
//! client program implements.

#![forbid(unsafe_code)]

pub mod address;
pub mod arp;
pub mod cleanup;
pub mod cli;
pub mod console;
mod door;
pub mod failure;
pub mod identity;
mod join;
mod link_local;
pub mod platform;
mod player;
mod resolver;
pub mod settings;
pub mod state;
pub mod status;

pub use console::Console;
pub use failure::{Failure, OrExit};
pub use join::join;
pub use platform::{Platform, Setup, Turn};
