//! The Windows player client: its name and its place, not yet its work.
//!
//! What it will share exists and runs in the Linux client: the session
//! (`lanparty-client-core`), the data plane (`lanparty-transport`) and the
//! traits of adapter and routes (`lanparty-client-tap`,
//! `lanparty-client-route`). Until their `windows.rs` exist, this program
//! refuses and says so; see docs/known-issues.md.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

/// Joins a LAN party from Windows (not built yet).
#[derive(Debug, Parser)]
#[command(name = "lanparty-client-win", version)]
struct Cli {
    /// Whatever the Linux client takes.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<String>,
}

#[expect(
    clippy::print_stderr,
    reason = "a command-line program talks to its user"
)]
fn main() -> ExitCode {
    let _cli = Cli::parse();
    eprintln!(
        "lanparty-client-win: the Windows player is not built yet; play from Linux with lanparty-client"
    );
    lanparty_obs::ExitCode::Failure.into()
}
