//! The player's state directory and what is in it.

use std::path::{Path, PathBuf};

use lanparty_obs::ExitCode;
use lanparty_os::state_dir;

use crate::cli::StateArgs;
use crate::failure::{Failure, OrExit as _};

/// The status socket's name in the state directory.
const STATUS_SOCKET: &str = "status.sock";

/// Finds and makes the directory.
///
/// # Errors
/// When there is no place for it.
pub fn directory(state: &StateArgs) -> Result<PathBuf, Failure> {
    state_dir::open("client", state.state_dir.as_deref()).or_exit(ExitCode::State)
}

#[must_use]
pub(crate) fn status_socket(directory: &Path) -> PathBuf {
    directory.join(STATUS_SOCKET)
}
