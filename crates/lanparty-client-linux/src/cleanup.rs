//! Undoes what a crashed client left on this machine.

use std::io::{self, Write as _};
use std::path::Path;

use lanparty_obs::ExitCode;
use lanparty_os::LinuxMachine;
use lanparty_os::journal::{BootId, Journal, Report};

use crate::cli::StateArgs;
use crate::failure::{Failure, OrExit as _};
use crate::join::state_directory;

/// Opens the journal, which no other process may have, and undoes what an
/// earlier one left in it.
pub(crate) fn open_journal(directory: &Path) -> Result<(Journal, Report), Failure> {
    let boot = BootId::current().or_exit(ExitCode::State)?;
    let mut journal = Journal::open(directory, boot).or_exit(ExitCode::State)?;
    let mut machine = LinuxMachine::open().or_exit(ExitCode::Failure)?;
    let report = journal.undo_all(&mut machine).or_exit(ExitCode::State)?;
    Ok((journal, report))
}

/// The subcommand: undoes what is recorded and sweeps what carries our mark.
pub(crate) fn run(state: &StateArgs) -> Result<(), Failure> {
    let directory = state_directory(state.state_dir.as_deref())?;
    let (_journal, mut report) = open_journal(&directory)?;
    report.sweep(&mut LinuxMachine::open().or_exit(ExitCode::Failure)?);
    let text = report.to_string();
    let shown = if text.is_empty() {
        "nothing to clean up\n"
    } else {
        &text
    };
    let _closed = io::stdout().write_all(shown.as_bytes());
    if report.is_clean() {
        return Ok(());
    }
    Err(Failure::new(
        ExitCode::State,
        anyhow::anyhow!("some of it could not be undone"),
    ))
}
