//! [`FairQueue`] itself.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lanparty_obs::DropReason;
use lanparty_obs::drops::DropCounts;
use lanparty_proto::overlay::Hint;

use crate::codel::CodelParameters;
use crate::flow::{FLOWS_PER_SOURCE, Flow, FlowKey, Packet, Source};
use crate::slab::{Index, NONE, Slab};

/// What a datagram costs beyond its own bytes: 28 of IPv4 and UDP, up to 38 of
/// QUIC on the wire, and about as much memory here. Without it a flood of
/// empty datagrams would fit any byte bound.
const OVERHEAD: usize = 64;

/// Tunables of one queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Bound on the bytes held, overhead included.
    pub bytes: usize,
    /// Bytes a source or a flow may send in one round: a standard frame.
    pub quantum: usize,
    /// CoDel's target delay (RFC 8289 section 4.4).
    pub target: Duration,
    /// CoDel's interval (RFC 8289 section 4.3).
    pub interval: Duration,
    /// Nothing older is sent: a game has no use for it, and a receiver that
    /// comes back from a stall gets the present instead of the past.
    pub max_age: Duration,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            // 80 ms at 50 Mbit/s: room for one inner TCP window per peer.
            bytes: 512 * 1024,
            quantum: 1_514,
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
            max_age: Duration::from_millis(500),
        }
    }
}

/// What a [`FairQueue::push`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushOutcome {
    /// Packets discarded to stay within the byte bound, perhaps the pushed one.
    pub dropped: u32,
}

/// A queue that is fair by source peer, then by flow.
///
/// Memory is bounded by [`QueueLimits::bytes`] plus a few hundred bytes for
/// each source with packets waiting.
#[derive(Debug)]
pub struct FairQueue<T> {
    limits: QueueLimits,
    codel: CodelParameters,
    packets: Slab<Packet<T>>,
    flows: Slab<Flow>,
    sources: Slab<Source>,
    /// Sorted by peer id.
    by_id: Vec<(u16, Index)>,
    rounds: VecDeque<Index>,
    express: VecDeque<Index>,
    bytes: usize,
    drops: DropCounts,
    /// Emptied sources, kept for their buffers.
    spare: Vec<Source>,
}

/// Emptied sources kept for reuse; more than that is a burst, not steady state.
const SPARE_SOURCES: usize = 16;

impl<T> FairQueue<T> {
    #[must_use]
    pub fn new(limits: QueueLimits) -> Self {
        Self {
            codel: CodelParameters {
                target: limits.target,
                interval: limits.interval,
                floor: limits.quantum + OVERHEAD,
            },
            limits,
            packets: Slab::new(),
            flows: Slab::new(),
            sources: Slab::new(),
            by_id: Vec::new(),
            rounds: VecDeque::new(),
            express: VecDeque::new(),
            bytes: 0,
            drops: DropCounts::default(),
            spare: Vec::new(),
        }
    }

    /// Adds a datagram of `len` bytes, making room at the largest flow's head.
    pub fn push(&mut self, now: Instant, key: FlowKey, len: usize, item: T) -> PushOutcome {
        let cost = len.saturating_add(OVERHEAD);
        if cost > self.limits.bytes {
            self.drops.add(DropReason::QueueFull);
            return PushOutcome { dropped: 1 };
        }
        let source_index = self.source(key.source);
        let flow_index = self.flow(source_index, key);
        let packet = self.packets.insert(Packet {
            item,
            cost,
            queued_at: now,
            next: NONE,
        });
        if let Some(flow) = self.flows.get_mut(flow_index) {
            let tail = std::mem::replace(&mut flow.tail, packet);
            flow.bytes += cost;
            if tail == NONE {
                flow.head = packet;
            } else if let Some(tail) = self.packets.get_mut(tail) {
                tail.next = packet;
            }
        }
        if let Some(source) = self.sources.get_mut(source_index) {
            source.bytes += cost;
        }
        self.bytes += cost;

        let mut dropped = 0;
        while self.bytes > self.limits.bytes && self.drop_from_largest() {
            dropped += 1;
        }
        PushOutcome { dropped }
    }

    /// The datagram whose turn it is.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        loop {
            if let Some(&index) = self.express.front() {
                if let Some(source) = self.sources.get_mut(index)
                    && source.deficit > 0
                    && !source.fresh.is_empty()
                {
                    if let Some(item) = self.serve(index, true, now) {
                        return Some(item);
                    }
                    continue;
                }
                self.express.pop_front();
                if let Some(source) = self.sources.get_mut(index) {
                    source.is_express = false;
                }
                continue;
            }
            let &index = self.rounds.front()?;
            let Some(source) = self.sources.get_mut(index) else {
                self.rounds.pop_front();
                continue;
            };
            if source.fresh.is_empty() && source.busy.is_empty() {
                self.rounds.pop_front();
                self.remove_source(index);
                continue;
            }
            if source.deficit <= 0 {
                source.deficit += signed(self.limits.quantum);
                if !source.fresh.is_empty() {
                    self.make_express(index);
                }
                self.rounds.rotate_left(1);
                continue;
            }
            if let Some(item) = self.serve(index, false, now) {
                return Some(item);
            }
        }
    }

    /// Bytes held, with 64 of overhead for each datagram.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Datagrams held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything this queue ever dropped.
    #[must_use]
    pub const fn drops(&self) -> &DropCounts {
        &self.drops
    }

    #[must_use]
    pub const fn limits(&self) -> &QueueLimits {
        &self.limits
    }

    /// The source's place, made when it has none.
    fn source(&mut self, id: u16) -> Index {
        match self.by_id.binary_search_by_key(&id, |&(known, _)| known) {
            Ok(at) => self.by_id.get(at).map_or(NONE, |&(_, index)| index),
            Err(at) => {
                let deficit = signed(self.limits.quantum);
                let source = match self.spare.pop() {
                    Some(mut spare) => {
                        spare.id = id;
                        spare.deficit = deficit;
                        spare
                    }
                    None => Source::new(id, deficit),
                };
                let index = self.sources.insert(source);
                self.by_id.insert(at, (id, index));
                self.rounds.push_back(index);
                index
            }
        }
    }

    /// The flow's place, made and scheduled when it has none.
    fn flow(&mut self, source_index: Index, key: FlowKey) -> Index {
        let place = usize::from(key.tag) % FLOWS_PER_SOURCE;
        let Some(source) = self.sources.get_mut(source_index) else {
            return NONE;
        };
        let Some(slot) = source.places.get_mut(place) else {
            return NONE;
        };
        if *slot != NONE {
            let index = *slot;
            self.refresh(source_index, index);
            return index;
        }
        let index = self
            .flows
            .insert(Flow::new(place, signed(self.limits.quantum)));
        *slot = index;
        if key.hint == Hint::Bulk {
            source.busy.push_back(index);
        } else {
            source.fresh.push_back(index);
            self.make_express(source_index);
        }
        index
    }

    /// A flow that ran empty before it used up its quantum is sparse: its next
    /// packet is treated as a new flow's, at the expense of that quantum.
    fn refresh(&mut self, source_index: Index, flow_index: Index) {
        let is_sparse = self
            .flows
            .get(flow_index)
            .is_some_and(|flow| flow.head == NONE && flow.deficit > 0 && !flow.awaits_turn);
        if let Some(source) = self.sources.get_mut(source_index)
            && is_sparse
            && let Some(at) = source.busy.iter().position(|&index| index == flow_index)
        {
            source.busy.remove(at);
            source.fresh.push_back(flow_index);
            self.make_express(source_index);
        }
    }

    /// Lets a source with a fresh flow go ahead of the rounds. It spends the
    /// deficit of its coming turn and is refilled once a round like the others,
    /// so it gains time, not rate.
    fn make_express(&mut self, index: Index) {
        if let Some(source) = self.sources.get_mut(index)
            && !source.is_express
            && source.deficit > 0
        {
            source.is_express = true;
            self.express.push_back(index);
        }
    }

    /// One datagram of this source, or `None` when the flows looked at are empty.
    fn serve(&mut self, source_index: Index, fresh_only: bool, now: Instant) -> Option<T> {
        loop {
            let source = self.sources.get_mut(source_index)?;
            let (flow_index, is_fresh) = match source.fresh.front() {
                Some(&index) => (index, true),
                None if fresh_only => return None,
                None => (*source.busy.front()?, false),
            };
            let flow = self.flows.get_mut(flow_index)?;
            flow.awaits_turn &= is_fresh;
            if flow.deficit <= 0 {
                flow.deficit += signed(self.limits.quantum);
                if is_fresh {
                    flow.awaits_turn = true;
                    source.fresh.pop_front();
                } else {
                    source.busy.pop_front();
                }
                source.busy.push_back(flow_index);
                continue;
            }
            if let Some(packet) = self.take(source_index, flow_index, now) {
                if let Some(flow) = self.flows.get_mut(flow_index) {
                    flow.deficit -= signed(packet.cost);
                }
                if let Some(source) = self.sources.get_mut(source_index) {
                    source.deficit -= signed(packet.cost);
                }
                return Some(packet.item);
            }
            let source = self.sources.get_mut(source_index)?;
            if is_fresh {
                source.fresh.pop_front();
            } else {
                source.busy.pop_front();
            }
            if is_fresh && !source.busy.is_empty() {
                // An emptied flow waits one round before it counts as new
                // again, or it would starve the others (RFC 8290 section 4.2).
                source.busy.push_back(flow_index);
            } else {
                self.remove_flow(source_index, flow_index);
            }
        }
    }

    /// Takes the first packet of a flow that CoDel and its age let pass.
    fn take(&mut self, source: Index, flow: Index, now: Instant) -> Option<Packet<T>> {
        loop {
            let Some(packet) = self.unlink_head(source, flow) else {
                self.flows.get_mut(flow)?.codel.emptied();
                return None;
            };
            let sojourn = now.saturating_duration_since(packet.queued_at);
            let state = self.flows.get_mut(flow)?;
            let stale = sojourn > self.limits.max_age;
            if stale || state.codel.drops(now, sojourn, state.bytes, &self.codel) {
                self.drops.add(DropReason::QueueDelay);
                continue;
            }
            return Some(packet);
        }
    }

    fn unlink_head(&mut self, source: Index, flow: Index) -> Option<Packet<T>> {
        let flow = self.flows.get_mut(flow)?;
        let packet = self.packets.remove(flow.head)?;
        flow.head = packet.next;
        if packet.next == NONE {
            flow.tail = NONE;
        }
        flow.bytes -= packet.cost;
        if let Some(source) = self.sources.get_mut(source) {
            source.bytes -= packet.cost;
        }
        self.bytes -= packet.cost;
        Some(packet)
    }

    fn drop_from_largest(&mut self) -> bool {
        let largest = self
            .by_id
            .iter()
            .filter_map(|&(_, index)| Some((self.sources.get(index)?, index)))
            .max_by_key(|(source, _)| source.bytes);
        let Some((source, source_index)) = largest else {
            return false;
        };
        let Some(flow_index) = source
            .places
            .iter()
            .copied()
            .filter(|&index| index != NONE)
            .max_by_key(|&index| self.flows.get(index).map_or(0, |flow| flow.bytes))
        else {
            return false;
        };
        if self.unlink_head(source_index, flow_index).is_none() {
            return false;
        }
        self.drops.add(DropReason::QueueFull);
        true
    }

    fn remove_flow(&mut self, source: Index, flow: Index) {
        if let Some(flow) = self.flows.remove(flow)
            && let Some(source) = self.sources.get_mut(source)
            && let Some(place) = source.places.get_mut(flow.place)
        {
            *place = NONE;
        }
    }

    fn remove_source(&mut self, index: Index) {
        let Some(source) = self.sources.remove(index) else {
            return;
        };
        if let Ok(at) = self
            .by_id
            .binary_search_by_key(&source.id, |&(known, _)| known)
        {
            self.by_id.remove(at);
        }
        if self.spare.len() < SPARE_SOURCES {
            self.spare.push(source);
        }
    }
}

/// Bytes fit: every bound is far below `i64::MAX`.
fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
