//! Crashes at every step, damage at every byte, and what users change meanwhile.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::netlink::Route;

/// Routes and settings in memory.
#[derive(Clone, Debug, Default, PartialEq)]
struct FakeMachine {
    routes: Vec<Route>,
    settings: BTreeMap<String, String>,
    is_locked: bool,
}

impl Machine for FakeMachine {
    fn remove(&mut self, object: &Object) -> Result<bool, MachineError> {
        if self.is_locked {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied).into());
        }
        let Object::Route(route) = object else {
            panic!("{object}");
        };
        let before = self.routes.len();
        self.routes.retain(|other| other != route);
        Ok(self.routes.len() < before)
    }

    fn setting(
        &mut self,
        interface: &Interface,
        _: &Setting,
    ) -> Result<Option<String>, MachineError> {
        Ok(self.settings.get(&interface.name).cloned())
    }

    fn set(&mut self, interface: &Interface, _: &Setting, value: &str) -> Result<(), MachineError> {
        self.settings
            .insert(interface.name.clone(), value.to_owned());
        Ok(())
    }

    fn marked(&mut self) -> Vec<Object> {
        self.routes.iter().cloned().map(Object::Route).collect()
    }
}

fn boot(name: &str) -> BootId {
    BootId(name.to_owned())
}

fn open(directory: &TempDir) -> Journal {
    Journal::open(directory.path(), boot("first")).unwrap()
}

fn route(number: u8) -> Route {
    Route::on_link(format!("203.0.113.{number}/32").parse().unwrap(), 2, 1)
}

fn remove(number: u8) -> Undo {
    Undo::Remove {
        object: Object::Route(route(number)),
    }
}

fn restore_mtu(interface: &str) -> Undo {
    Undo::Restore {
        interface: Interface {
            name: interface.to_owned(),
            index: 2,
        },
        setting: Setting::Mtu,
        old: "1500".to_owned(),
        ours: "1344".to_owned(),
    }
}

fn content(directory: &TempDir) -> Vec<u8> {
    fs::read(directory.path().join(FILE_NAME)).unwrap()
}

fn put(directory: &TempDir, content: &[u8]) {
    private_file::write(&directory.path().join(FILE_NAME), content).unwrap();
}

/// A machine, and a process that dies after `steps` steps of changing it.
fn changed_until(directory: &TempDir, mut steps: usize) -> (FakeMachine, FakeMachine) {
    let mut machine = FakeMachine::default();
    machine.routes.push(route(100));
    machine
        .settings
        .insert("eth0".to_owned(), "1500".to_owned());
    let before = machine.clone();
    let mut journal = open(directory);
    let mut alive = || {
        steps = steps.saturating_sub(1);
        steps > 0
    };
    for number in 0..3 {
        if alive() {
            journal.plan(remove(number)).unwrap();
        }
        if alive() {
            machine.routes.push(route(number));
        }
    }
    if alive() {
        journal.plan(restore_mtu("eth0")).unwrap();
    }
    if alive() {
        machine
            .settings
            .insert("eth0".to_owned(), "1344".to_owned());
    }
    (before, machine)
}

#[test]
fn whatever_step_a_process_dies_after_the_next_one_puts_everything_back() {
    for steps in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let (before, mut machine) = changed_until(&directory, steps);
        let mut journal = open(&directory);
        let report = journal.undo_all(&mut machine).unwrap();
        assert_eq!(machine, before, "after {steps} steps");
        assert!(report.is_clean());
        assert!(journal.is_empty());
        drop(journal);
        assert!(open(&directory).is_empty(), "undone, and still recorded");
    }
}

#[test]
fn what_turned_out_to_be_somebody_elses_is_left_to_him() {
    let directory = tempfile::tempdir().unwrap();
    let mut machine = FakeMachine::default();
    machine.routes.push(route(1));
    let mut journal = open(&directory);
    let id = journal.plan(remove(1)).unwrap();
    journal.forget(id).unwrap();
    assert!(journal.is_empty());
    drop(journal);
    let mut journal = open(&directory);
    journal.undo_all(&mut machine).unwrap();
    assert_eq!(machine.routes, [route(1)]);
}

#[test]
fn a_journal_cut_off_at_any_byte_keeps_every_whole_record() {
    let directory = tempfile::tempdir().unwrap();
    let (_, machine) = changed_until(&directory, usize::MAX);
    let whole = content(&directory);
    assert_eq!(whole.iter().filter(|byte| **byte == b'\n').count(), 4);
    for length in 0..=whole.len() {
        let cut = &whole[..length];
        let records = cut.iter().filter(|byte| **byte == b'\n').count();
        let loaded = record::load(cut);
        assert_eq!(loaded.entries.len(), records, "at byte {length}");
        assert!(!loaded.is_damaged, "at byte {length}");
        // And can be written to. Not tried everywhere: disks are slow.
        let is_near_an_end = whole[length.saturating_sub(2)..]
            .iter()
            .take(4)
            .any(|byte| *byte == b'\n');
        if !is_near_an_end {
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        put(&directory, cut);
        let mut journal = open(&directory);
        journal.plan(remove(9)).unwrap();
        drop(journal);
        let mut journal = open(&directory);
        assert_eq!(journal.entries.len(), records + 1);
        let report = journal.undo_all(&mut machine.clone()).unwrap();
        assert_eq!(report.moved_aside, None, "at byte {length}");
    }
}

#[test]
fn a_damaged_record_is_reported_and_the_others_are_undone_and_the_rest_swept() {
    let directory = tempfile::tempdir().unwrap();
    let (_, mut machine) = changed_until(&directory, usize::MAX);
    let mut damaged = content(&directory);
    damaged[40] ^= 1;
    put(&directory, &damaged);
    let mut journal = open(&directory);
    assert_eq!(journal.entries.len(), 3);
    let report = journal.undo_all(&mut machine).unwrap();
    let aside = report.moved_aside.clone().unwrap();
    assert_eq!(fs::read(aside).unwrap(), damaged);
    assert_eq!(machine.routes, Vec::new(), "not swept");
    assert!(report.to_string().contains("damaged"), "{report}");
}

#[test]
fn a_number_that_no_counter_reaches_is_damage_and_not_a_panic() {
    let directory = TempDir::new().unwrap();
    let entry = record::Entry::new(&boot("first"), remove(1));
    let planned = Record::planned(ChangeId(u64::MAX), &entry);
    put(&directory, &record::line(&planned));

    let mut journal = open(&directory);
    let report = journal.undo_all(&mut FakeMachine::default()).unwrap();
    assert!(report.moved_aside.is_some());
    assert!(journal.plan(remove(2)).is_ok());
}

#[test]
fn what_is_no_journal_at_all_is_moved_aside() {
    for junk in [&b"\0\0\0\0"[..], b"hello\n", &[0xFF; 100]] {
        let directory = tempfile::tempdir().unwrap();
        put(&directory, junk);
        let mut journal = open(&directory);
        let report = journal.undo_all(&mut FakeMachine::default()).unwrap();
        assert_eq!(fs::read(report.moved_aside.unwrap()).unwrap(), junk);
    }
}

#[test]
fn what_a_start_of_the_machine_ends_is_not_undone_after_one() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = open(&directory);
    journal.plan(remove(1)).unwrap();
    let file = Undo::Remove {
        object: Object::File("/etc/example".into()),
    };
    journal.plan(file.clone()).unwrap();
    drop(journal);
    let journal = Journal::open(directory.path(), boot("second")).unwrap();
    assert_eq!(journal.found.discarded, 1);
    let kept: Vec<_> = journal.entries.values().map(Entry::undo).collect();
    assert_eq!(kept, [Some(file)]);
}

#[test]
fn what_the_user_has_changed_since_is_left_alone_and_reported() {
    let directory = tempfile::tempdir().unwrap();
    let (_, mut machine) = changed_until(&directory, usize::MAX);
    machine
        .settings
        .insert("eth0".to_owned(), "1400".to_owned());
    let mut journal = open(&directory);
    let report = journal.undo_all(&mut machine).unwrap();
    assert_eq!(machine.settings["eth0"], "1400");
    assert_eq!(report.left_alone[0].found, "1400");
    assert!(journal.is_empty(), "it is the user's now");
}

#[test]
fn what_a_newer_version_recorded_is_kept_word_for_word() {
    let directory = tempfile::tempdir().unwrap();
    let undo = serde_json::json!({ "kind": "reverse_polarity", "of": ["flux"] });
    let newer = Record::Planned {
        id: 7,
        boot: "long ago".to_owned(),
        undo,
    };
    put(&directory, &record::line(&newer));
    let mut journal = open(&directory);
    journal.plan(remove(1)).unwrap();
    let report = journal.undo_all(&mut FakeMachine::default()).unwrap();
    assert!(!report.is_clean());
    assert!(report.to_string().contains("reverse_polarity"), "{report}");
    drop(journal);
    drop(open(&directory));
    assert_eq!(content(&directory), record::line(&newer));
}

#[test]
fn what_cannot_be_undone_yet_stays_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let (before, mut machine) = changed_until(&directory, usize::MAX);
    let mut journal = open(&directory);
    machine.is_locked = true;
    let report = journal.undo_all(&mut machine).unwrap();
    assert_eq!(report.failed.len(), 3);
    drop(journal);
    machine.is_locked = false;
    let mut journal = open(&directory);
    assert!(journal.undo_all(&mut machine).unwrap().is_clean());
    assert_eq!(machine, before);
}

#[test]
fn a_change_that_fails_is_still_undone() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = open(&directory);
    let mut machine = FakeMachine::default();
    let failed = journal.change(remove(1), || {
        machine.routes.push(route(1));
        Err::<(), _>(JournalError::Lock(LockError::Held { path: "x".into() }))
    });
    assert!(failed.is_err());
    journal.undo_all(&mut machine).unwrap();
    assert_eq!(machine.routes, Vec::new());
}

#[test]
fn only_one_process_has_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(&directory);
    let second = Journal::open(directory.path(), boot("first"));
    assert!(matches!(
        second,
        Err(JournalError::Lock(LockError::Held { .. }))
    ));
    drop(first);
    open(&directory);
}

/// Written by version 0.1.0; every later version has to read it.
const VERSION_0_1: &str = include_str!("journal-0.1.0.txt");

#[test]
fn the_journal_of_the_first_version_is_read() {
    let directory = tempfile::tempdir().unwrap();
    put(&directory, VERSION_0_1.as_bytes());
    let journal = open(&directory);
    assert_eq!(journal.found.moved_aside, None);
    let undos: Vec<_> = journal.entries.values().map(Entry::undo).collect();
    let mtu = restore_mtu("eth0");
    assert_eq!(undos, [Some(remove(1)), Some(mtu)]);
}

proptest! {
    #[test]
    fn damage_never_makes_up_a_change(
        at in any::<prop::sample::Index>(),
        byte: u8,
        junk in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut written = VERSION_0_1.as_bytes().to_vec();
        let known: Vec<Entry> = record::load(&written).entries.into_values().collect();
        let at = at.index(written.len());
        written[at] = byte;
        let loaded = record::load(&written);
        for (id, entry) in &loaded.entries {
            // The second was undone; without that line it is open again.
            prop_assert!(known.contains(entry) || id.0 == 2);
        }
        record::load(&junk);
    }
}
