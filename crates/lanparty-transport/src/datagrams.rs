//! One connection's datagrams: the fair queue, quinn's buffer behind it, and
//! the account of both (invariant I11).
//!
//! quinn's own buffer is a FIFO that nothing overtakes, so it holds what
//! [`crate::pace`] lets leave and the fair queue holds the rest.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use lanparty_obs::DropReason;
use lanparty_obs::drops::DropCounts;
use lanparty_proto::timing::is_timing;
use lanparty_queue::{FairQueue, FlowKey, QueueLimits};
use quinn_proto::{Connection, ConnectionStats, Datagram, SendDatagramError};

use crate::config::DATAGRAM_SEND_BUFFER;

/// Cuts a datagram that no longer fits the path into pieces of at most the
/// given length, appended to the vector; no pieces where it cannot be cut.
pub type Splitter = Box<dyn FnMut(&Bytes, usize, &mut Vec<Bytes>) + Send>;

/// Timing datagrams in quinn's buffer: more wait there only while nothing may
/// leave, and then they are of no use.
const MAX_TIMING: usize = 4;
/// Datagrams queued behind this many are copied out of the receive buffer,
/// since a slice of a few bytes keeps a slab of 128 KB alive. More than a turn
/// receives, which waits for nothing but the turn's end.
const COPY_ABOVE: usize = 384;
/// Copies are cut from buffers of this size: one allocation for forty of them.
const COPIES_LEN: usize = 64 * 1024;
/// `send_buffer_space()` of an empty buffer.
const EMPTY_SPACE: usize = DATAGRAM_SEND_BUFFER - size_of::<Datagram>();

pub(crate) struct Outgoing {
    queue: FairQueue<Bytes>,
    copies: BytesMut,
    /// Taken from the queue, next to be pushed: pieces of a split datagram.
    ready: VecDeque<Bytes>,
    pieces: Vec<Bytes>,
    /// Handed to quinn, ever.
    pushed: u64,
    /// Of those, discarded by quinn and counted.
    lost: u64,
    /// Which of those were timing datagrams, as long as quinn may hold them:
    /// they are no datagrams of the program, and not in its account.
    timing: VecDeque<u64>,
    /// Timing datagrams that left.
    timing_sent: u64,
    /// Taken from quinn's receive buffer, ever.
    received: u64,
    timing_received: u64,
    last_max: usize,
    /// The path shrank while quinn held datagrams, so it may have dropped some.
    suspect: bool,
    drops: DropCounts,
}

impl Outgoing {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self {
            queue: FairQueue::new(limits),
            copies: BytesMut::new(),
            ready: VecDeque::new(),
            pieces: Vec::new(),
            pushed: 0,
            lost: 0,
            timing: VecDeque::new(),
            timing_sent: 0,
            received: 0,
            timing_received: 0,
            last_max: 0,
            suspect: false,
            drops: DropCounts::default(),
        }
    }

    pub(crate) fn push(&mut self, now: Instant, key: FlowKey, bytes: Bytes) {
        let bytes = if self.queue.len() >= COPY_ABOVE {
            if self.copies.capacity() < bytes.len() {
                self.copies.reserve(COPIES_LEN.max(bytes.len()));
            }
            self.copies.extend_from_slice(&bytes);
            self.copies.split().freeze()
        } else {
            bytes
        };
        self.queue.push(now, key, bytes.len(), bytes);
    }

    /// Tells what the path carries a second, which bounds what may wait.
    pub(crate) fn set_rate(&mut self, bytes_per_second: Option<u64>) {
        self.queue.set_rate(bytes_per_second);
    }

    /// Moves datagrams from the queue into quinn, just in time, until it holds
    /// `room` bytes.
    pub(crate) fn feed(
        &mut self,
        now: Instant,
        conn: &mut Connection,
        room: usize,
        splitter: Option<&mut Splitter>,
    ) {
        let Some(max) = conn.datagrams().max_size() else {
            return;
        };
        self.suspect |= max < self.last_max;
        self.last_max = max;
        if self.suspect && held(conn) == 0 {
            self.reconcile(conn);
        }
        if self.ready.is_empty() && self.queue.is_empty() {
            return;
        }
        let mut splitter = splitter;
        while held(conn) < room {
            let Some(bytes) = self.ready.pop_front().or_else(|| self.queue.pop(now)) else {
                return;
            };
            if bytes.len() > max {
                self.split(&bytes, max, splitter.as_deref_mut());
                continue;
            }
            match conn.datagrams().send(bytes, false) {
                Ok(()) => self.pushed += 1,
                Err(SendDatagramError::Blocked(bytes)) => {
                    self.ready.push_front(bytes);
                    return;
                }
                Err(SendDatagramError::TooLarge) => self.drops.add(DropReason::QuicTooLarge),
                Err(SendDatagramError::UnsupportedByPeer | SendDatagramError::Disabled) => {
                    self.drops.add(DropReason::QuicLost);
                }
            }
        }
    }

    /// Puts a timing datagram behind what quinn has.
    pub(crate) fn feed_timing(&mut self, conn: &mut Connection, bytes: Bytes) {
        self.settle_timing(&conn.stats());
        if self.timing.len() < MAX_TIMING && conn.datagrams().send(bytes, false).is_ok() {
            self.pushed += 1;
            self.timing.push_back(self.pushed);
        }
    }

    /// Forgets which datagrams that have left were timing datagrams.
    fn settle_timing(&mut self, stats: &ConnectionStats) {
        let gone = stats.frame_tx.datagram + self.lost;
        while self.timing.front().is_some_and(|&number| number <= gone) {
            self.timing.pop_front();
            self.timing_sent += 1;
        }
    }

    fn split(&mut self, bytes: &Bytes, max: usize, splitter: Option<&mut Splitter>) {
        self.pieces.clear();
        if let Some(splitter) = splitter {
            splitter(bytes, max, &mut self.pieces);
        }
        if self.pieces.is_empty() || self.pieces.iter().any(|piece| piece.len() > max) {
            self.pieces.clear();
            self.drops.add(DropReason::QuicTooLarge);
        }
        self.ready.extend(self.pieces.drain(..));
    }

    /// Takes what arrived; called after every packet, before quinn would have
    /// to discard anything.
    pub(crate) fn receive(
        &mut self,
        conn: &mut Connection,
        mut timing: impl FnMut(&[u8]),
        mut each: impl FnMut(Bytes),
    ) {
        while let Some(bytes) = conn.datagrams().recv() {
            self.received += 1;
            if is_timing(&bytes) {
                self.timing_received += 1;
                timing(&bytes);
                continue;
            }
            each(bytes);
        }
    }

    /// Counts what quinn discarded silently. Exact only while it holds nothing.
    fn reconcile(&mut self, conn: &Connection) {
        let sent = conn.stats().frame_tx.datagram;
        let missing = self.pushed.saturating_sub(sent + self.lost);
        self.lost += missing;
        self.drops.add_n(DropReason::QuicTooLarge, missing);
        self.suspect = false;
    }

    /// The connection is over: what waits will not be sent.
    pub(crate) fn abandon(&mut self, conn: &mut Connection) {
        if self.suspect && held(conn) == 0 {
            self.reconcile(conn);
        }
        let stats = conn.stats();
        let in_quinn = self
            .pushed
            .saturating_sub(stats.frame_tx.datagram + self.lost);
        self.settle_timing(&stats);
        let timing = self.timing.len() as u64;
        self.timing.clear();
        self.lost += in_quinn;
        let waiting = self.queue.len() + self.ready.len();
        let drops = self.queue.drops().clone();
        self.drops.merge(&drops);
        self.queue = FairQueue::new(*self.queue.limits());
        self.ready.clear();
        let unsent = (waiting as u64 + in_quinn).saturating_sub(timing);
        self.drops.add_n(DropReason::Disconnected, unsent);
    }

    pub(crate) fn queue_bytes(&self) -> usize {
        self.queue.bytes()
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.queue.is_empty() || !self.ready.is_empty()
    }

    pub(crate) fn queue_len(&self) -> usize {
        self.queue.len() + self.ready.len()
    }

    /// Datagrams of the program that arrived and that left.
    pub(crate) fn counts(&mut self, stats: &ConnectionStats) -> (u64, u64) {
        self.settle_timing(stats);
        let arrived = stats.frame_rx.datagram;
        let left = stats.frame_tx.datagram;
        (
            arrived.saturating_sub(self.timing_received),
            left.saturating_sub(self.timing_sent),
        )
    }

    /// Everything dropped on this connection so far.
    pub(crate) fn drops(&self, conn: &Connection) -> DropCounts {
        let mut drops = self.drops.clone();
        drops.merge(self.queue.drops());
        let overflowed = conn.stats().frame_rx.datagram.saturating_sub(self.received);
        drops.add_n(DropReason::QuicReceiveOverflow, overflowed);
        drops
    }
}

/// Bytes of datagrams in quinn's buffer, with its overhead.
pub(crate) fn held(conn: &mut Connection) -> usize {
    EMPTY_SPACE.saturating_sub(conn.datagrams().send_buffer_space())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment will do")]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_that_must_wait_does_not_keep_its_receive_buffer() {
        let now = Instant::now();
        let mut outgoing = Outgoing::new(QueueLimits::default());
        let quick = Bytes::from(vec![0; 1_000]);
        outgoing.push(now, FlowKey::default(), quick.clone());
        assert!(!quick.is_unique());
        while outgoing.queue_len() < COPY_ABOVE {
            outgoing.push(now, FlowKey::default(), Bytes::from(vec![0; 1_000]));
        }
        let slow = Bytes::from(vec![0; 1_000]);
        outgoing.push(now, FlowKey::default(), slow.clone());
        assert!(slow.is_unique());
    }
}
