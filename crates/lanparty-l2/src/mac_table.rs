//! The MAC addresses that the party's LAN has shown.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lanparty_proto::MacAddr;

/// More hosts than any party's broadcast domain should have.
pub const CAPACITY: usize = 1_024;
/// IEEE 802.1Q's recommended ageing time of a filtering database.
pub const AGEING: Duration = Duration::from_secs(300);

/// Addresses seen on the LAN within the ageing time, never more than
/// [`CAPACITY`].
#[derive(Clone, Debug, Default)]
pub struct MacTable {
    seen: BTreeMap<MacAddr, Instant>,
}

impl MacTable {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            seen: BTreeMap::new(),
        }
    }

    /// Notes the source of a frame from the LAN.
    pub fn learn(&mut self, mac: MacAddr, now: Instant) {
        if mac.is_multicast() || mac.is_zero() {
            return;
        }
        if let Some(seen) = self.seen.get_mut(&mac) {
            *seen = now;
            return;
        }
        if self.seen.len() >= CAPACITY {
            self.evict(now);
        }
        self.seen.insert(mac, now);
    }

    #[must_use]
    pub fn contains(&self, mac: MacAddr, now: Instant) -> bool {
        self.seen.get(&mac).is_some_and(|seen| is_fresh(*seen, now))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Drops what has aged, else the address unseen for longest.
    fn evict(&mut self, now: Instant) {
        self.seen.retain(|_, seen| is_fresh(*seen, now));
        if self.seen.len() >= CAPACITY
            && let Some((&oldest, _)) = self.seen.iter().min_by_key(|(_, seen)| **seen)
        {
            self.seen.remove(&oldest);
        }
    }
}

fn is_fresh(seen: Instant, now: Instant) -> bool {
    now.saturating_duration_since(seen) < AGEING
}
