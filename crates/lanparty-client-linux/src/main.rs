//! The Linux player: joins a room and gives this machine an adapter on the
//! party's LAN.

#![forbid(unsafe_code)]

mod cli;
mod dhcp;
mod linux;
mod network_manager;

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _, Write as _};

use clap::Parser as _;
use lanparty_member_cli::Task;
use lanparty_obs::ExitCode;
use lanparty_player::address::Addressing;
use lanparty_player::settings::Settings;
use lanparty_player::{Console, Failure, Platform as _, cleanup, status};
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, JoinArgs};
use crate::dhcp::hook;
use crate::linux::{Linux, Options};

fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next();
    if hook::is_hook(program.as_deref()) {
        let first = arguments.next();
        let reported = hook::report(
            program.as_deref().unwrap_or(OsStr::new("")),
            first.as_deref(),
        );
        return reported
            .map_or(ExitCode::Failure, |()| ExitCode::Success)
            .into();
    }
    if std::env::args_os().nth(1).as_deref() == Some(OsStr::new(hook::RUN)) {
        let error = hook::run_client(arguments.skip(1));
        let _closed = writeln!(io::stderr(), "lanparty-client: {error}");
        return ExitCode::Failure.into();
    }
    match try_main(Cli::parse()) {
        Ok(()) => ExitCode::Success.into(),
        Err(failure) => {
            let _closed = writeln!(io::stderr(), "lanparty-client: {failure}");
            failure.code().into()
        }
    }
}

fn try_main(cli: Cli) -> Result<(), Failure> {
    let filter = EnvFilter::try_from_env("LANPARTY_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    match cli.task {
        Task::Command(Command::Status { state, json }) => status::show(&state, json),
        Task::Command(Command::Cleanup { state }) => cleanup::run(&state, &mut Linux::machine()?),
        Task::Main(arguments) => join(&arguments),
    }
}

fn join(arguments: &JoinArgs) -> Result<(), Failure> {
    let addressing = if arguments.no_dhcp {
        Addressing::None
    } else {
        Addressing::Dhcp
    };
    let settings = Settings::new(&arguments.player, addressing, Console::Terminal)?;
    let options = Options {
        tap_name: arguments.tap_name.clone(),
        offload: !arguments.no_offload,
        dhcp_client: arguments.dhcp_client.kind(),
    };
    lanparty_player::join::<Linux>(&arguments.player, settings, options)
}
