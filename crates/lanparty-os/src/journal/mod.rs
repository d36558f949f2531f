//! The crash journal: what was changed on the machine and how to undo it.
//!
//! Every change that would outlive the process is written here, durably,
//! before it is made, so that the next start or `cleanup` can undo it whatever
//! ended the process. State that dies with the process (a TAP, its addresses
//! and routes, a promiscuous membership) is not recorded.
//!
//! Undoing is idempotent: "not there" counts as done. A setting is only put
//! back where it still is as we left it; anything else is the user's choice by
//! now. What a newer version recorded is kept and reported.

mod machine;
mod record;
mod report;
mod undo;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

pub use machine::{Machine, MachineError};
pub use report::{LeftAlone, Report};
#[cfg(windows)]
pub use undo::IpValue;
pub use undo::{Interface, Object, Setting, Undo};

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::lock::{Lock, LockError};
use crate::private_file::{self, PrivateFileError, io_error};
use record::{Entry, Loaded, Record};
use undo::Outcome;

const FILE_NAME: &str = "journal";
const LOCK_NAME: &str = "journal.lock";

/// Thousands of changes; whatever is longer, we have not written.
const MAX_LEN: u64 = 4 << 20;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    File(#[from] PrivateFileError),
}

/// Names one start of the machine; see [`BootId::current`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootId(pub String);

impl BootId {
    /// # Errors
    /// When the system does not tell.
    #[cfg(target_os = "linux")]
    pub fn current() -> io::Result<Self> {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        Ok(Self(text.trim_end().to_owned()))
    }

    /// # Errors
    /// When the system does not tell.
    #[cfg(windows)]
    pub fn current() -> io::Result<Self> {
        crate::windows::boot::id().map(Self)
    }
}

/// A change that is recorded and not yet undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeId(u64);

/// The journal of one state directory, locked against other processes.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    boot: BootId,
    entries: BTreeMap<ChangeId, Entry>,
    next: ChangeId,
    /// What opening already found out, for the next [`Report`].
    found: Report,
    _lock: Lock,
}

impl Journal {
    /// Opens the journal with what an earlier process left in it; call
    /// [`Self::undo_all`] next.
    ///
    /// # Errors
    /// When another process has it, or the directory cannot be used. A damaged
    /// journal is not an error.
    pub fn open(directory: &Path, boot: BootId) -> Result<Self, JournalError> {
        let lock = Lock::acquire(&directory.join(LOCK_NAME))?;
        let path = directory.join(FILE_NAME);
        let mut found = Report::default();
        let content = match private_file::read(&path, MAX_LEN) {
            Ok(content) => content.unwrap_or_default(),
            Err(PrivateFileError::TooLong { .. }) => {
                found.moved_aside = Some(move_aside(&path)?);
                Vec::new()
            }
            Err(error) => return Err(error.into()),
        };
        let Loaded {
            mut entries,
            is_damaged,
            last,
        } = record::load(&content);
        if is_damaged && found.moved_aside.is_none() {
            found.moved_aside = Some(move_aside(&path)?);
        }
        let before = entries.len();
        entries.retain(|_, entry| entry.boot == boot.0 || entry.survives_reboot());
        found.discarded = before - entries.len();

        // Rewritten without what is over, so that it never grows for long and
        // no record is ever appended to half a line.
        let mut content = Vec::new();
        for (id, entry) in &entries {
            content.extend(record::line(&Record::planned(*id, entry)));
        }
        private_file::write(&path, &content)?;
        let file = File::options()
            .append(true)
            .open(&path)
            .map_err(|source| io_error("open", &path, source))?;
        Ok(Self {
            path,
            file,
            boot,
            entries,
            next: ChangeId(last.0 + 1),
            found,
            _lock: lock,
        })
    }

    /// Records how to undo a change, durably; make the change only after this.
    ///
    /// # Errors
    /// When the record cannot be made durable; then do not make the change.
    pub fn plan(&mut self, undo: Undo) -> Result<ChangeId, JournalError> {
        let id = self.next;
        let entry = Entry::new(&self.boot, undo);
        self.append(&Record::planned(id, &entry))?;
        self.next = ChangeId(id.0 + 1);
        self.entries.insert(id, entry);
        Ok(id)
    }

    /// Records and makes a change. If making it fails, the record stays: part
    /// of it may have happened, and undoing nothing does no harm.
    ///
    /// # Errors
    /// When the record cannot be made durable, or as `apply` fails.
    pub fn change<T, E: From<JournalError>>(
        &mut self,
        undo: Undo,
        apply: impl FnOnce() -> Result<T, E>,
    ) -> Result<(ChangeId, T), E> {
        let id = self.plan(undo)?;
        let value = apply()?;
        self.append(&Record::Applied { id: id.0 })?;
        Ok((id, value))
    }

    /// Undoes one change.
    ///
    /// # Errors
    /// When the journal cannot be written. What the machine refuses is in the
    /// report, and stays recorded.
    pub fn undo(
        &mut self,
        id: ChangeId,
        machine: &mut impl Machine,
    ) -> Result<Report, JournalError> {
        let mut report = Report::default();
        self.undo_into(id, machine, &mut report)?;
        Ok(report)
    }

    /// Undoes everything that is recorded, the latest first. Where the journal
    /// was damaged, what carries our mark is swept too.
    ///
    /// # Errors
    /// As [`Self::undo`].
    pub fn undo_all(&mut self, machine: &mut impl Machine) -> Result<Report, JournalError> {
        let mut report = std::mem::take(&mut self.found);
        let ids: Vec<ChangeId> = self.entries.keys().rev().copied().collect();
        for id in ids {
            self.undo_into(id, machine, &mut report)?;
        }
        if report.moved_aside.is_some() {
            report.sweep(machine);
        }
        Ok(report)
    }

    /// Takes back the record of a change that turned out not to be ours, such as
    /// adding what somebody else has added meanwhile.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn forget(&mut self, id: ChangeId) -> Result<(), JournalError> {
        if self.entries.remove(&id).is_some() {
            self.append(&Record::Undone { id: id.0 })?;
        }
        Ok(())
    }

    /// True where nothing is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn undo_into(
        &mut self,
        id: ChangeId,
        machine: &mut impl Machine,
        report: &mut Report,
    ) -> Result<(), JournalError> {
        let Some(entry) = self.entries.get(&id) else {
            return Ok(());
        };
        let Some(undo) = entry.undo() else {
            report.unknown.push(entry.describe());
            return Ok(());
        };
        match undo::perform(&undo, machine) {
            Ok(Outcome::Undone) => report.undone.push(undo.to_string()),
            Ok(Outcome::WasNotThere) => report.not_there += 1,
            Ok(Outcome::LeftAlone { found }) => report.left_alone.push(LeftAlone { undo, found }),
            Err(error) => {
                report.failed.push((undo, error));
                return Ok(());
            }
        }
        self.append(&Record::Undone { id: id.0 })?;
        self.entries.remove(&id);
        if self.entries.is_empty() {
            // Only to keep it short; the records say the same.
            let _ = self.file.set_len(0);
        }
        Ok(())
    }

    fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        self.file
            .write_all(&record::line(record))
            .and_then(|()| self.file.sync_data())
            .map_err(|source| io_error("write", &self.path, source).into())
    }
}

/// Keeps a damaged journal for whoever wants to look into it.
fn move_aside(path: &Path) -> Result<PathBuf, PrivateFileError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".damaged");
    let aside = PathBuf::from(name);
    fs::rename(path, &aside).map_err(|source| io_error("move aside", path, source))?;
    Ok(aside)
}
