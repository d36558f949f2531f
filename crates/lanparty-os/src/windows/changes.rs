//! Changes that are recorded first and undone at the end.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use super::machine::WindowsMachine;
use crate::journal::{ChangeId, Interface, Journal, JournalError, Machine as _, MachineError};
use crate::journal::{Object, Setting, Undo};

#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Machine(#[from] MachineError),
}

impl ChangeError {
    /// Whether administrators may do it.
    #[must_use]
    pub fn is_permission_denied(&self) -> bool {
        match self {
            Self::Machine(MachineError::Io(error)) => {
                error.kind() == io::ErrorKind::PermissionDenied
            }
            Self::Journal(_) => false,
        }
    }
}

impl From<io::Error> for ChangeError {
    fn from(error: io::Error) -> Self {
        Self::Machine(error.into())
    }
}

/// The one journal of a process, for all who change something.
#[derive(Clone, Debug)]
pub struct SharedJournal(Rc<RefCell<Journal>>);

impl From<Journal> for SharedJournal {
    fn from(journal: Journal) -> Self {
        Self(Rc::new(RefCell::new(journal)))
    }
}

impl SharedJournal {
    /// Records how to undo a change; make it only after this.
    ///
    /// # Errors
    /// As [`Journal::plan`].
    pub fn plan(&self, undo: Undo) -> Result<ChangeId, JournalError> {
        self.0.borrow_mut().plan(undo)
    }

    /// # Errors
    /// As [`Journal::forget`].
    pub fn forget(&self, id: ChangeId) -> Result<(), JournalError> {
        self.0.borrow_mut().forget(id)
    }

    /// Undoes a change. What the machine refuses stays recorded for `cleanup`.
    ///
    /// # Errors
    /// As [`Journal::undo`].
    pub fn undo(&self, id: ChangeId) -> Result<(), JournalError> {
        let report = self.0.borrow_mut().undo(id, &mut WindowsMachine)?;
        let text = report.to_string();
        if !text.is_empty() && !report.is_clean() {
            tracing::warn!("{text}");
        }
        Ok(())
    }
}

/// What somebody has changed for one interface; undone when dropped, the
/// latest first.
#[derive(Debug)]
pub struct Changes {
    journal: SharedJournal,
    interface: Interface,
    made: Vec<ChangeId>,
}

impl Changes {
    #[must_use]
    pub const fn new(journal: SharedJournal, interface: Interface) -> Self {
        Self {
            journal,
            interface,
            made: Vec::new(),
        }
    }

    /// Sets what is not set yet. False where the interface has no such setting,
    /// as one without IPv6 has none of its settings.
    ///
    /// # Errors
    /// When the change cannot be recorded, and is then not made, or the system
    /// refuses.
    pub fn set(&mut self, setting: &Setting, value: &str) -> Result<bool, ChangeError> {
        let mut machine = WindowsMachine;
        let Some(old) = machine.setting(&self.interface, setting)? else {
            return Ok(false);
        };
        if old == value {
            return Ok(true);
        }
        let id = self.journal.plan(Undo::Restore {
            interface: self.interface.clone(),
            setting: setting.clone(),
            old,
            ours: value.to_owned(),
        })?;
        self.made.push(id);
        machine.set(&self.interface, setting, value)?;
        Ok(true)
    }

    /// Adds something that is to be removed again; what `add` finds there
    /// already is somebody else's.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub fn add(
        &mut self,
        object: Object,
        add: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), ChangeError> {
        let id = self.journal.plan(Undo::Remove { object })?;
        match add() {
            Ok(()) => self.made.push(id),
            Err(error) => {
                self.journal.forget(id)?;
                if error.kind() != io::ErrorKind::AlreadyExists {
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// Undoes everything now.
    pub fn undo(&mut self) {
        for id in self.made.drain(..).rev() {
            if let Err(error) = self.journal.undo(id) {
                tracing::warn!(%error, "a change could not be undone; run cleanup");
            }
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.undo();
    }
}
