//! `cargo xtask`: what developers and newcomers run.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program talks to its user"
)]

mod bench;
mod cargo;
mod fuzz;
mod party;
mod table;
mod test;
mod windows;
mod windows_zip;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Developer commands of softlan-vpn")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Hold a whole LAN party on this machine, in network namespaces (needs root)
    Party(party::Arguments),
    /// Measure against rivals in the same run (needs root)
    Bench(bench::Arguments),
    /// Look for inputs that break a promise, and keep those that reach new code
    Fuzz(fuzz::Arguments),
    /// Run every check that CI runs: formatting, lints, licences, tests
    Test(test::Arguments),
    /// Set up the rig in which the Windows player is tested (needs root)
    Windows(windows::Arguments),
    /// Make the zip that a Windows player downloads
    WindowsZip(windows_zip::Arguments),
}

fn main() -> ExitCode {
    match try_main() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn try_main() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Party(arguments) => party::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Windows(arguments) => windows::run(&arguments),
        Command::WindowsZip(arguments) => windows_zip::run(&arguments),
    }
}
