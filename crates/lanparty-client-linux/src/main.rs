//! The Linux player: joins a room and gives this machine an adapter on the
//! party's LAN.

#![forbid(unsafe_code)]

mod address;
mod arp;
mod cleanup;
mod cli;
mod dhcp;
mod failure;
mod identity;
mod join;
mod link_local;
mod network_manager;
mod player;
mod resolver;
mod settings;

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _, Write as _};

use clap::Parser as _;
use lanparty_member_cli::Task;
use lanparty_obs::ExitCode;
use lanparty_obs::diagnostics::MemberStatus;
use lanparty_os::answer_socket::{self, AskError};
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, StateArgs};
use crate::dhcp::hook;
use crate::failure::{Failure, OrExit as _};

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
        Task::Command(Command::Status { state, json }) => show_status(&state, json),
        Task::Command(Command::Cleanup { state }) => cleanup::run(&state),
        Task::Main(join) => join::join(&join),
    }
}

fn show_status(state: &StateArgs, json: bool) -> Result<(), Failure> {
    let directory = join::state_directory(state.state_dir.as_deref())?;
    let status: MemberStatus =
        answer_socket::ask(&directory.join(join::STATUS_SOCKET)).map_err(|error| match error {
            AskError::NoAnswer(source) => Failure::new(
                ExitCode::RelayUnreachable,
                anyhow::Error::new(source)
                    .context("no client is running with this state directory"),
            ),
            AskError::Unreadable(source) => Failure::new(
                ExitCode::VersionMismatch,
                anyhow::Error::new(source).context("the running client is of another version"),
            ),
        })?;
    let shown = if json {
        serde_json::to_string(&status).or_exit(ExitCode::Failure)? + "\n"
    } else {
        status.to_string()
    };
    let _closed = io::stdout().write_all(shown.as_bytes());
    Ok(())
}
