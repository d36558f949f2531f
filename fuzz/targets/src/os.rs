//! A crash journal that anything may have happened to.

use lanparty_os::journal::{BootId, Journal, Machine, MachineError};
use lanparty_os::journal::{Interface, Object, Setting};
use lanparty_os::private_file;

/// Lines of a journal, as they are or with their checksums put right: opening
/// never fails, undoing everything empties it, and a second process finds the
/// same.
pub fn journal(data: &[u8]) {
    let Some((&kind, content)) = data.split_first() else {
        return;
    };
    let content = if kind & 1 == 0 {
        content.to_vec()
    } else {
        with_checksums(content)
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    private_file::write(&directory.path().join("journal"), &content).expect("a file in it");

    let boot = || BootId("first".to_owned());
    let mut journal = Journal::open(directory.path(), boot()).expect("damage is no error");
    let report = journal.undo_all(&mut Nowhere).expect("an obedient machine");
    // What a newer version recorded stays for it; everything else is over.
    assert_eq!(journal.is_empty(), report.unknown.is_empty());
    assert!(report.failed.is_empty() && report.undone.is_empty());
    drop(journal);
    Journal::open(directory.path(), boot()).expect("what we wrote ourselves");
}

/// FNV-1a in front of every line, as the journal wants it.
fn with_checksums(content: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for json in content.split(|byte| *byte == b'\n') {
        let sum = json.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        lines.extend(format!("{sum:016x} ").into_bytes());
        lines.extend(json);
        lines.push(b'\n');
    }
    lines
}

/// A machine on which nothing is left to undo.
struct Nowhere;

impl Machine for Nowhere {
    fn remove(&mut self, _object: &Object) -> Result<bool, MachineError> {
        Ok(false)
    }

    fn setting(
        &mut self,
        _interface: &Interface,
        _setting: &Setting,
    ) -> Result<Option<String>, MachineError> {
        Ok(None)
    }

    fn set(
        &mut self,
        _interface: &Interface,
        _setting: &Setting,
        _value: &str,
    ) -> Result<(), MachineError> {
        Ok(())
    }

    fn marked(&mut self) -> Vec<Object> {
        Vec::new()
    }
}
