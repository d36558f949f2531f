//! When a connection's datagrams may leave.
//!
//! Under our controller the rate is kept here, above quinn, and quinn keeps
//! the bound on what is in flight: its window is the controller's. quinn's own
//! pacer stays on and never binds: it lets through a window and a quarter in
//! each round trip, in lumps of at least ten packets or two milliseconds,
//! while what reaches it is at most one millisecond of a rate that fits the
//! window anyway. A window beyond 2^32, which would switch it off, would also
//! switch off the bound in flight, for control bytes and probes too.

use std::time::{Duration, Instant};

use lanparty_congestion::{Mode, Pacer, Snapshot};
use quinn_proto::Connection;

use crate::congestion::Regulator;

/// quinn's buffer, a FIFO that nothing overtakes, holds what the path sends in
/// this time.
const LEAD: Duration = Duration::from_millis(1);
/// One GSO batch: more in quinn's buffer speeds nothing up.
const MAX_LEAD_BYTES: u64 = 64 * 1024;
/// Where quinn paces, its pacer has to find enough to send: two full packets,
/// or the path would be idle between two turns.
const MIN_LEAD_BYTES: u64 = 2 * 1_472;
/// What is waited for at once, as a part of [`LEAD`]: each wakeup costs some
/// 15 us, and one that is late by the other half still loses nothing.
const WAIT_PARTS: u64 = 2;

#[derive(Debug)]
pub(crate) struct Pace {
    /// `None` under a controller of quinn's, which paces by itself.
    regulator: Option<Regulator>,
    pacer: Pacer,
    rate: Option<u64>,
    next: Option<Instant>,
    is_backlogged: bool,
}

impl Pace {
    pub(crate) fn new(now: Instant, conn: &Connection) -> Self {
        Self {
            regulator: Regulator::of(conn),
            pacer: Pacer::new(now),
            rate: None,
            next: None,
            is_backlogged: false,
        }
    }

    /// The connection is on another path, which may have another controller.
    pub(crate) fn follow(&mut self, conn: &Connection) {
        self.regulator = Regulator::of(conn);
    }

    /// Bytes that quinn's buffer may hold now.
    pub(crate) fn room(&mut self, now: Instant, conn: &Connection) -> usize {
        self.rate = self.regulator.as_ref().and_then(Regulator::rate);
        let allowance = self.pacer.allowance(now, self.rate, conn.current_mtu());
        let room = match self.rate {
            Some(_) => allowance.min(MAX_LEAD_BYTES),
            None => lead(conn),
        };
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    /// A packet with datagrams of ours left.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.pacer.spend(bytes as u64);
    }

    /// Nothing more leaves in this turn. `waits`: something is left in the
    /// queue. `is_held`: quinn has some too, and may not send it.
    pub(crate) fn stalled(&mut self, now: Instant, waits: bool, is_held: bool) {
        self.is_backlogged = waits || is_held;
        // Where quinn is held back, an acknowledgement is what frees it.
        self.next = if waits && !is_held {
            let batch = self.rate.unwrap_or(0) / (1_000 * WAIT_PARTS);
            self.pacer.next(batch.clamp(1, MAX_LEAD_BYTES), self.rate)
        } else {
            None
        };
        if let Some(regulator) = &self.regulator {
            regulator.set_backlogged(now, self.is_backlogged);
        }
    }

    /// When more may leave.
    pub(crate) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// That moment has come.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.next = self.next.filter(|&next| next > now);
    }

    /// True where something had to wait at the end of the last turn.
    pub(crate) const fn is_backlogged(&self) -> bool {
        self.is_backlogged
    }

    /// True where measured delays are of use.
    pub(crate) const fn wants_marks(&self) -> bool {
        self.regulator.is_some()
    }

    pub(crate) const fn rate(&self) -> Option<u64> {
        self.rate
    }

    /// The rate, once it is the path's. While a connection is young it is a
    /// guess far below that, and no measure of what may wait.
    pub(crate) fn found_rate(&self) -> Option<u64> {
        let is_found = |snapshot: Snapshot| snapshot.mode != Mode::Startup;
        self.rate.filter(|_| self.snapshot().is_some_and(is_found))
    }

    pub(crate) fn on_one_way_delay(&self, now: Instant, sent_at: Instant, relative_us: i64) {
        if let Some(regulator) = &self.regulator {
            regulator.on_one_way_delay(now, sent_at, relative_us);
        }
    }

    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        self.regulator.as_ref().map(Regulator::snapshot)
    }
}

/// [`LEAD`] at the rate that the window allows.
fn lead(conn: &Connection) -> u64 {
    let window = conn.congestion_state().window();
    let rtt = conn.rtt().max(Duration::from_micros(1));
    let lead = u128::from(window) * LEAD.as_nanos() / rtt.as_nanos();
    u64::try_from(lead)
        .unwrap_or(u64::MAX)
        .clamp(MIN_LEAD_BYTES, MAX_LEAD_BYTES)
}
