//! The relay: one command on a public host.
//!
//! This program owns the command line, the state directory, the local socket
//! and the driver between `lanparty-transport` and `lanparty-relay-core`. Who
//! may join and where a frame goes is decided in the core.

#![forbid(unsafe_code)]

mod certificate;
mod cli;
mod driver;
mod failure;
mod logging;
mod pins;
mod rooms;
mod secret_file;
mod secrets;
mod serve;
mod splitter;
mod tokens;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Some(Command::Rooms(rooms)) => rooms::show(rooms),
        Some(Command::Pin(options)) => pins::show(options),
        Some(Command::RotateIdentity(options)) => pins::rotate(options),
        None => serve::serve(&cli.serve),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Standard error may be closed; the status still tells.
            let _ = writeln!(std::io::stderr(), "lanparty-relay: {failure}");
            failure.exit_code().into()
        }
    }
}
