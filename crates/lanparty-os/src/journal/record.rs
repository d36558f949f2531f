//! The lines of the journal.
//!
//! ```text
//! 16 hexadecimal digits of checksum, a space, one JSON object, a line feed
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::undo::Undo;
use super::{BootId, ChangeId};

/// More changes than can ever be made, so that counting on never overflows; a
/// record beyond it is not ours.
const MAX_ID: u64 = u64::MAX / 2;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(super) enum Record {
    /// A change is about to be made.
    Planned {
        id: u64,
        boot: String,
        undo: Value,
    },
    /// It was made; only for people who read a journal.
    Applied {
        id: u64,
    },
    Undone {
        id: u64,
    },
}

/// An open change, with its undo as it was written: a newer version's may be
/// unknown to us and is kept word for word.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) boot: String,
    undo: Value,
}

pub(super) struct Loaded {
    pub(super) entries: BTreeMap<ChangeId, Entry>,
    /// Something other than the end of the last write is unreadable.
    pub(super) is_damaged: bool,
    pub(super) last: ChangeId,
}

impl Entry {
    pub(super) fn new(boot: &BootId, undo: Undo) -> Self {
        Self {
            boot: boot.0.clone(),
            undo: serde_json::to_value(undo).unwrap_or_default(),
        }
    }

    pub(super) fn undo(&self) -> Option<Undo> {
        Undo::deserialize(&self.undo).ok()
    }

    /// What is unknown is kept in any case.
    pub(super) fn survives_reboot(&self) -> bool {
        self.undo().is_none_or(|undo| undo.survives_reboot())
    }

    pub(super) fn describe(&self) -> String {
        self.undo.to_string()
    }
}

impl Record {
    pub(super) fn planned(id: ChangeId, entry: &Entry) -> Self {
        Self::Planned {
            id: id.0,
            boot: entry.boot.clone(),
            undo: entry.undo.clone(),
        }
    }
}

pub(super) fn line(record: &Record) -> Vec<u8> {
    let json = serde_json::to_string(record).unwrap_or_default();
    format!("{:016x} {json}\n", checksum(json.as_bytes())).into_bytes()
}

pub(super) fn load(content: &[u8]) -> Loaded {
    let mut loaded = Loaded {
        entries: BTreeMap::new(),
        is_damaged: false,
        last: ChangeId(0),
    };
    let whole = match content.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => content.get(..end).unwrap_or_default(),
        // A first line whose writing was cut short, or no journal at all.
        None => {
            loaded.is_damaged = !is_beginning_of_line(content);
            return loaded;
        }
    };
    for line in whole.split(|byte| *byte == b'\n') {
        match parse(line) {
            Some(Record::Planned { id, boot, undo }) if id <= MAX_ID => {
                let id = ChangeId(id);
                loaded.last = loaded.last.max(id);
                loaded.entries.insert(id, Entry { boot, undo });
            }
            Some(Record::Applied { .. }) => {}
            Some(Record::Undone { id }) => {
                loaded.entries.remove(&ChangeId(id));
            }
            Some(Record::Planned { .. }) | None => loaded.is_damaged = true,
        }
    }
    loaded
}

fn is_beginning_of_line(bytes: &[u8]) -> bool {
    bytes.iter().take(16).all(|byte| byte.is_ascii_hexdigit())
}

fn parse(line: &[u8]) -> Option<Record> {
    let (sum, json) = line.split_at_checked(16)?;
    let sum = u64::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    let json = json.strip_prefix(b" ")?;
    if checksum(json) != sum {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// FNV-1a: against half-written sectors, not against people.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
