//! The gateway: bridges a room onto a wired LAN.
//!
//! [`bridge`] decides about frames, `driver` moves them between the LAN
//! (lanparty-lan), the session (lanparty-client-core) and the relay
//! (lanparty-transport), `console` talks to the host, `access` does what the
//! host's `commands` ask for, `room` and `invite` keep the key and hand it on.

#![forbid(unsafe_code)]

mod access;
pub mod bridge;
mod cli;
mod commands;
mod console;
mod door;
mod driver;
mod failure;
mod hosting;
mod invite;
mod refresh;
mod room;
mod run;

use std::process::ExitCode;

use clap::Parser;

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    match run::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            console::complain(&failure);
            failure.exit_code().into()
        }
    }
}
