//! The player as a service: in the background, whoever is logged in.
//!
//! `service/control.rs` is what an administrator does with it,
//! `service/running.rs` is the service itself.

mod control;
mod running;

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use lanparty_obs::ExitCode;
use lanparty_os::state_dir;
use lanparty_player::{Failure, OrExit as _};

pub(crate) use running::run;

use crate::cli::ServiceCommand;

/// For the service manager.
const NAME: &str = "lanparty-client";

pub(crate) fn command(command: ServiceCommand, matches: &ArgMatches) -> Result<(), Failure> {
    match command {
        ServiceCommand::Install(install) => control::install(&install, matches),
        ServiceCommand::Start => control::start(),
        ServiceCommand::Stop => control::stop(),
        ServiceCommand::Remove { state } => control::remove(&state),
        ServiceCommand::Run { state } => run(state),
    }
}

/// Where the service keeps its state, whoever asks: the machine's own place.
fn directory(chosen: Option<&Path>) -> Result<PathBuf, Failure> {
    state_dir::open_for_system("client", chosen).or_exit(ExitCode::State)
}
