//! Undoes what a crashed client left on this machine.

use std::io::{self, Write as _};
use std::path::Path;

use lanparty_obs::ExitCode;
use lanparty_os::journal::{BootId, Journal, Machine, Report};

use crate::cli::StateArgs;
use crate::failure::{Failure, OrExit as _};
use crate::state;

/// Opens the journal, which no other process may have, and undoes what an
/// earlier one left in it.
pub(crate) fn open_journal(
    directory: &Path,
    machine: &mut impl Machine,
) -> Result<(Journal, Report), Failure> {
    let boot = BootId::current().or_exit(ExitCode::State)?;
    let mut journal = Journal::open(directory, boot).or_exit(ExitCode::State)?;
    let report = journal.undo_all(machine).or_exit(ExitCode::State)?;
    Ok((journal, report))
}

/// The subcommand: undoes what is recorded and sweeps what carries our mark.
///
/// # Errors
/// When the journal is in use or some of it could not be undone.
pub fn run(arguments: &StateArgs, machine: &mut impl Machine) -> Result<(), Failure> {
    let directory = state::directory(arguments)?;
    let (_journal, mut report) = open_journal(&directory, machine)?;
    report.sweep(machine);
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
