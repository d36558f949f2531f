//! Keeps the party's switch sending players' frames to the gateway's port.
//!
//! A switch forgets a MAC address that is silent for some minutes, and would
//! then flood that player's traffic to everybody. A small frame per present
//! player reminds it. A MAC address that was seen on the LAN itself is left
//! alone: refreshing it would take it from its owner.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lanparty_proto::MacAddr;
use rand::Rng;

/// Between two refreshes of one address. Switches age entries after 300 s
/// (IEEE 802.1Q default); cheap ones after 120 s.
pub(crate) const INTERVAL: Duration = Duration::from_secs(60);
/// Up to this share of the interval earlier, so that a room's refreshes do not
/// come in bursts.
const JITTER: f64 = 1.0 / 6.0;
/// The first refresh comes within this time of the player.
const FIRST_WITHIN: Duration = Duration::from_millis(200);

/// Which player's address is refreshed when.
#[derive(Debug)]
pub(crate) struct RefreshSchedule {
    interval: Duration,
    due: BTreeMap<MacAddr, Instant>,
}

impl RefreshSchedule {
    pub(crate) const fn new(interval: Duration) -> Self {
        Self {
            interval,
            due: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, player: MacAddr, now: Instant, rng: &mut impl Rng) {
        let wait = FIRST_WITHIN.mul_f64(rng.random_range(0.0..1.0));
        self.due.insert(player, now + wait);
    }

    pub(crate) fn remove(&mut self, player: MacAddr) {
        self.due.remove(&player);
    }

    /// The switch has forgotten everybody: the link was down.
    pub(crate) fn restart(&mut self, now: Instant, rng: &mut impl Rng) {
        for due in self.due.values_mut() {
            *due = now + FIRST_WITHIN.mul_f64(rng.random_range(0.0..1.0));
        }
    }

    /// The next address that is due.
    pub(crate) fn poll(&mut self, now: Instant, rng: &mut impl Rng) -> Option<MacAddr> {
        let (player, due) = self.due.iter_mut().find(|(_, due)| **due <= now)?;
        *due = now + self.interval.mul_f64(1.0 - rng.random_range(0.0..JITTER));
        Some(*player)
    }

    #[must_use]
    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }
}
