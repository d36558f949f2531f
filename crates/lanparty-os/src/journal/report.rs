//! What undoing brought to light.

use std::fmt;
use std::path::PathBuf;

use super::machine::{Machine, MachineError};
use super::undo::Undo;

/// Who may undo anything.
const MASTER: &str = if cfg!(windows) {
    "an administrator"
} else {
    "root"
};

#[derive(Debug, Default)]
pub struct Report {
    /// What was undone, as "remove the route to ...".
    pub undone: Vec<String>,
    /// Records of changes that were not there any more.
    pub not_there: usize,
    /// Records from before the machine's last start, of state that a start ends.
    pub discarded: usize,
    pub left_alone: Vec<LeftAlone>,
    /// Recorded by a newer version, which has to undo them.
    pub unknown: Vec<String>,
    /// Still recorded, to be tried again.
    pub failed: Vec<(Undo, MachineError)>,
    /// Where a damaged journal is now.
    pub moved_aside: Option<PathBuf>,
}

/// A setting that somebody changed since, and that stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftAlone {
    pub undo: Undo,
    pub found: String,
}

impl Report {
    /// True where nothing is left to do.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.unknown.is_empty() && self.failed.is_empty()
    }

    /// Removes what carries our mark, recorded or not. Not while another
    /// instance may be running.
    pub fn sweep(&mut self, machine: &mut impl Machine) {
        for object in machine.marked() {
            let undo = Undo::Remove { object };
            let Undo::Remove { object } = &undo else {
                continue;
            };
            match machine.remove(object) {
                Ok(true) => self.undone.push(undo.to_string()),
                Ok(false) => self.not_there += 1,
                Err(error) => self.failed.push((undo, error)),
            }
        }
    }
}

/// One line for each thing that a user should know; empty where there is none.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for undone in &self.undone {
            writeln!(f, "cleaned up: {undone}")?;
        }
        for LeftAlone { undo, found } in &self.left_alone {
            writeln!(
                f,
                "left alone: did not {undo}, because it is {found} by now"
            )?;
        }
        for unknown in &self.unknown {
            writeln!(
                f,
                "not understood: a newer version recorded {unknown}; run that version's cleanup"
            )?;
        }
        for (undo, error) in &self.failed {
            writeln!(
                f,
                "could not {undo}: {error}; run cleanup again as {MASTER}"
            )?;
        }
        if let Some(path) = &self.moved_aside {
            writeln!(f, "the journal was damaged and is now {}", path.display())?;
        }
        Ok(())
    }
}
