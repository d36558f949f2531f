//! The Windows player: joins a room and gives this computer's TAP adapter a
//! place on the party's LAN.
//!
//! What needs no Windows is compiled and tested everywhere; the program itself
//! works on Windows only.

#![forbid(unsafe_code)]

mod cli;
#[cfg(any(windows, test))]
mod lan_address;
#[cfg(any(windows, test))]
mod log;
#[cfg(any(windows, test))]
mod place;
#[cfg(any(windows, test))]
mod saved_arguments;
#[cfg(any(windows, test))]
mod stop_name;

#[cfg(windows)]
mod adapters;
#[cfg(windows)]
mod program;
#[cfg(windows)]
mod service;
#[cfg(windows)]
mod stop;
#[cfg(windows)]
mod windows;

use std::process::ExitCode;

#[cfg(windows)]
fn main() -> ExitCode {
    program::main()
}

#[cfg(not(windows))]
fn main() -> ExitCode {
    use std::io::{self, Write as _};

    use clap::Parser as _;

    let _understood = cli::Cli::parse();
    let _closed = writeln!(
        io::stderr(),
        "{}: this is the program for Windows; play from Linux with lanparty-client",
        cli::PROGRAM
    );
    lanparty_obs::ExitCode::Failure.into()
}
