//! Remembers which multicast groups players asked for, so that a switch that
//! lost its memory (its cable was out) can be told again at once.
//!
//! Holds the players' own reports and repeats them; never sends a query.

use std::collections::{BTreeMap, VecDeque};

use lanparty_proto::MacAddr;

/// Reports kept per player: the groups of a party game, mDNS, SSDP and LLMNR
/// in both IP versions make about ten.
const PER_PLAYER: usize = 16;
/// Longer reports list dozens of groups and are not worth their memory.
const MAX_LEN: usize = 256;

/// The latest IGMP and MLD reports of each player.
#[derive(Debug, Default)]
pub(crate) struct GroupReports(BTreeMap<MacAddr, VecDeque<Vec<u8>>>);

impl GroupReports {
    /// Notes a report that passed the policy.
    pub(crate) fn learn(&mut self, player: MacAddr, frame: &[u8]) {
        if frame.len() > MAX_LEN {
            return;
        }
        let reports = self.0.entry(player).or_default();
        // Hosts repeat themselves with another IP id or checksum; what the
        // report says begins behind the 20 or more bytes of the IP header.
        let says = |report: &[u8]| report.get(34..).map(<[u8]>::to_vec);
        reports.retain(|known| says(known) != says(frame));
        if reports.len() >= PER_PLAYER {
            reports.pop_front();
        }
        reports.push_back(frame.to_vec());
    }

    pub(crate) fn forget(&mut self, player: MacAddr) {
        self.0.remove(&player);
    }

    /// All reports, oldest first for each player, so that a later one that
    /// takes an earlier back comes after it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.values().flatten().map(Vec::as_slice)
    }
}
