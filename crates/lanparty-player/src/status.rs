//! Asks the running client how it does.

use std::io::{self, Write as _};

use lanparty_obs::ExitCode;
use lanparty_obs::diagnostics::MemberStatus;
use lanparty_os::answer_socket::{self, AskError};

use crate::cli::StateArgs;
use crate::failure::{Failure, OrExit as _};
use crate::state;

/// The subcommand: shows sentences, or one JSON object.
///
/// # Errors
/// When no client runs with this state directory.
pub fn show(arguments: &StateArgs, json: bool) -> Result<(), Failure> {
    let directory = state::directory(arguments)?;
    let status: MemberStatus =
        answer_socket::ask(&state::status_socket(&directory)).map_err(|error| match error {
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
