//! Undoes what a crashed client left on this machine.

use std::path::Path;

use lanparty_obs::ExitCode;
use lanparty_os::lock::Lock;

use crate::cli::StateArgs;
use crate::failure::{Failure, OrExit as _};
use crate::join::state_directory;

pub(crate) fn undo_leftovers(_directory: &Path) -> Result<(), Failure> {
    Ok(())
}

pub(crate) fn run(state: &StateArgs) -> Result<(), Failure> {
    let directory = state_directory(state.state_dir.as_deref())?;
    let _lock = Lock::acquire(&directory.join("lock")).or_exit(ExitCode::State)?;
    undo_leftovers(&directory)
}
