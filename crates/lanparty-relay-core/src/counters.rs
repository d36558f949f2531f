//! What is counted for each member, for each room and for the whole relay.

use lanparty_obs::{DropCounts, DropReason};
use serde::{Deserialize, Serialize};

use crate::decision::Verdict;

/// Datagrams that members sent and what became of them.
///
/// `datagrams_in = forwarded + answered + drops.total()`, always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub datagrams_in: u64,
    pub bytes_in: u64,
    /// Datagrams that went to at least one member.
    pub forwarded: u64,
    /// Copies sent, one for each target.
    pub copies_out: u64,
    pub bytes_out: u64,
    /// Probes that the relay answered itself.
    pub answered: u64,
    pub drops: DropCounts,
    /// Sealed messages passed on, one for each receiver.
    pub sealed_out: u64,
    /// Sealed messages beyond their sender's budget, the same way.
    pub sealed_dropped: u64,
}

impl Counters {
    pub(crate) const fn sealed(&mut self, passed: u64, dropped: u64) {
        self.sealed_out = self.sealed_out.saturating_add(passed);
        self.sealed_dropped = self.sealed_dropped.saturating_add(dropped);
    }

    /// A datagram of this many bytes came in.
    pub(crate) fn received(&mut self, bytes: u64) {
        self.datagrams_in = self.datagrams_in.saturating_add(1);
        self.bytes_in = self.bytes_in.saturating_add(bytes);
    }

    /// The same, with what became of it.
    pub(crate) fn count(
        &mut self,
        bytes: u64,
        verdict: &Result<Verdict, DropReason>,
        targets: usize,
    ) {
        self.received(bytes);
        match verdict {
            Ok(Verdict::Forward(_)) => {
                let copies = u64::try_from(targets).unwrap_or(u64::MAX);
                self.forwarded = self.forwarded.saturating_add(1);
                self.copies_out = self.copies_out.saturating_add(copies);
                self.bytes_out = self.bytes_out.saturating_add(bytes.saturating_mul(copies));
            }
            Ok(Verdict::Answer(..)) => self.answered = self.answered.saturating_add(1),
            Err(reason) => self.drops.add(*reason),
        }
    }
}
