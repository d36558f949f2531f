//! [`FairQueue`] itself.

use std::collections::VecDeque;
use std::time::Instant;

use lanparty_obs::DropReason;
use lanparty_obs::drops::DropCounts;
use lanparty_proto::overlay::Hint;

use crate::codel::CodelParameters;
use crate::flow::{
    FLOWS_PER_SOURCE, Flow, FlowKey, FlowName, Packet, Pieces, SHARED_FLOWS, Source,
};
use crate::limits::QueueLimits;
use crate::slab::{Index, NONE, Slab};

/// What a datagram costs beyond its own bytes: 28 of IPv4 and UDP, up to 38 of
/// QUIC on the wire, and about as much memory here. Without it a flood of
/// empty datagrams would fit any byte bound.
const OVERHEAD: usize = 64;

/// What a [`FairQueue::push`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushOutcome {
    /// Packets discarded to stay within the byte bound, perhaps the pushed one.
    pub dropped: u32,
}

/// A queue that is fair by source peer, then by flow.
///
/// Memory is bounded by [`QueueLimits::bytes`] plus a few hundred bytes for
/// each flow with packets waiting.
#[derive(Debug)]
pub struct FairQueue<T> {
    limits: QueueLimits,
    /// What the line sends a second, where somebody said so.
    rate: Option<u64>,
    /// The byte bound at that rate.
    bound: usize,
    codel: CodelParameters,
    /// The only packet of a queue without sources: most of them on an idle
    /// line never see more of this than two moves.
    lone: Option<(FlowKey, Packet<T>)>,
    packets: Slab<Packet<T>>,
    flows: Slab<Flow>,
    sources: Slab<Source>,
    /// Sorted by peer id.
    by_id: Vec<(u16, Index)>,
    rounds: VecDeque<Index>,
    express: VecDeque<Index>,
    bytes: usize,
    drops: DropCounts,
}

impl<T> FairQueue<T> {
    #[must_use]
    pub fn new(limits: QueueLimits) -> Self {
        Self {
            rate: None,
            bound: limits.bytes_at(None),
            codel: CodelParameters {
                target: limits.target_at(None),
                interval: limits.interval,
                floor: limits.quantum + OVERHEAD,
            },
            limits,
            lone: None,
            packets: Slab::new(),
            flows: Slab::new(),
            sources: Slab::new(),
            by_id: Vec::new(),
            rounds: VecDeque::new(),
            express: VecDeque::new(),
            bytes: 0,
            drops: DropCounts::default(),
        }
    }

    /// Tells what the line sends a second, which bounds what may wait for it.
    pub fn set_rate(&mut self, bytes_per_second: Option<u64>) {
        if self.rate != bytes_per_second {
            self.rate = bytes_per_second;
            self.bound = self.limits.bytes_at(bytes_per_second);
            self.codel.target = self.limits.target_at(bytes_per_second);
        }
    }

    /// Adds a datagram of `len` bytes, making room at the largest flow's head.
    pub fn push(&mut self, now: Instant, key: FlowKey, len: usize, item: T) -> PushOutcome {
        let cost = len.saturating_add(OVERHEAD);
        if cost > self.bound {
            self.drops.add(DropReason::QueueFull);
            return PushOutcome { dropped: 1 };
        }
        let packet = Packet {
            item,
            cost,
            queued_at: now,
            part_of: key.part_of,
            next: NONE,
        };
        self.bytes += cost;
        if self.rounds.is_empty() && self.lone.is_none() {
            self.lone = Some((key, packet));
            return PushOutcome { dropped: 0 };
        }
        if let Some((key, packet)) = self.lone.take() {
            self.enqueue(key, packet);
        }
        self.enqueue(key, packet);

        let mut dropped = 0;
        while self.bytes > self.bound && self.drop_from_largest() {
            dropped += 1;
        }
        PushOutcome { dropped }
    }

    /// The datagram whose turn it is.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        if let Some((_, packet)) = self.lone.take() {
            self.bytes -= packet.cost;
            if now.saturating_duration_since(packet.queued_at) > self.limits.max_age {
                self.drops.add(DropReason::QueueDelay);
                return None;
            }
            return Some(packet.item);
        }
        loop {
            if let Some(&index) = self.express.front() {
                if let Some(source) = self.sources.get_mut(index) {
                    if source.deficit > -self.limits.credit() && !source.fresh.is_empty() {
                        if let Some(item) = self.serve(index, true, now) {
                            // Who else has a fresh flow comes before its next.
                            self.express.rotate_left(1);
                            return Some(item);
                        }
                        continue;
                    }
                    source.is_express = false;
                }
                self.express.pop_front();
                continue;
            }
            let &index = self.rounds.front()?;
            let Some(source) = self.sources.get_mut(index) else {
                self.rounds.pop_front();
                continue;
            };
            if source.deficit <= 0 {
                source.deficit += self.limits.quantum_signed();
                if !source.fresh.is_empty() {
                    self.make_express(index);
                }
                self.rounds.rotate_left(1);
                continue;
            }
            // Not before its debt is paid, or it would be forgotten with it.
            if source.ring.is_empty() {
                self.rounds.pop_front();
                self.remove_source(index);
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
        self.packets.len() + usize::from(self.lone.is_some())
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        // Every datagram costs something.
        self.bytes == 0
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

    fn enqueue(&mut self, key: FlowKey, packet: Packet<T>) {
        let source_index = self.source(key.source);
        let flow_index = self.flow(source_index, key);
        let cost = packet.cost;
        let packet = self.packets.insert(packet);
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
    }

    /// The source's place, made when it has none.
    fn source(&mut self, id: u16) -> Index {
        match self.by_id.binary_search_by_key(&id, |&(known, _)| known) {
            Ok(at) => self.by_id.get(at).map_or(NONE, |&(_, index)| index),
            Err(at) => {
                let source = Source::new(id, self.limits.quantum_signed());
                let index = self.sources.insert(source);
                self.by_id.insert(at, (id, index));
                self.rounds.push_back(index);
                index
            }
        }
    }

    /// The flow's place, made and scheduled when it has none.
    fn flow(&mut self, source_index: Index, key: FlowKey) -> Index {
        let Some(source) = self.sources.get_mut(source_index) else {
            return NONE;
        };
        let own = FlowName::Tag(key.tag);
        let shared = FlowName::Shared(key.tag % SHARED_FLOWS);
        let is_latest = |flow: &Flow| flow.name == own;
        let known = if self.flows.get(source.latest).is_some_and(is_latest) {
            Ok(source.latest)
        } else {
            find_flow(&self.flows, source, own, shared)
        };
        let index = match known {
            Ok(index) => index,
            Err(count) => {
                let name = if count < FLOWS_PER_SOURCE {
                    own
                } else {
                    shared
                };
                let flow = Flow::new(name, self.limits.quantum_of(key.hint));
                let index = self.flows.insert(flow);
                source.ring.push_back(&mut self.flows, index);
                index
            }
        };
        source.latest = index;
        if let Some(flow) = self.flows.get_mut(index)
            && flow.head == NONE
            && flow.deficit > 0
            && !flow.is_fresh
            && key.hint != Hint::Bulk
        {
            flow.is_fresh = true;
            source.fresh.push_back(&mut self.flows, index);
            self.make_express(source_index);
        }
        index
    }

    /// Lets a source with a fresh flow go ahead of the rounds, on credit: a
    /// game does not wait until it is its peer's turn again. The debt is paid
    /// in the rounds, so the peer gains time, not rate.
    fn make_express(&mut self, index: Index) {
        if let Some(source) = self.sources.get_mut(index)
            && !source.is_express
            && source.deficit > -self.limits.credit()
        {
            source.is_express = true;
            self.express.push_back(index);
        }
    }

    /// One datagram of this source, or `None` when the flows looked at are empty.
    fn serve(&mut self, source_index: Index, fresh_only: bool, now: Instant) -> Option<T> {
        loop {
            let source = self.sources.get_mut(source_index)?;
            let flow_index = match source.fresh.front() {
                Some(index) => index,
                None if fresh_only => return None,
                None => source.ring.front()?,
            };
            let flow = self.flows.get_mut(flow_index)?;
            if flow.deficit <= 0 {
                if flow.is_fresh {
                    flow.is_fresh = false;
                    source.fresh.remove(&mut self.flows, flow_index);
                } else {
                    flow.deficit += flow.quantum;
                    source.ring.rotate(&mut self.flows);
                }
                continue;
            }
            let packet = self.take(source_index, flow_index, now);
            let source = self.sources.get_mut(source_index)?;
            let flow = self.flows.get_mut(flow_index)?;
            if flow.is_fresh {
                // Other fresh flows come before its next packet.
                flow.is_fresh = flow.head != NONE;
                if flow.is_fresh {
                    source.fresh.rotate(&mut self.flows);
                } else {
                    source.fresh.remove(&mut self.flows, flow_index);
                }
            } else if packet.is_none() {
                source.ring.remove(&mut self.flows, flow_index);
                self.flows.remove(flow_index);
                if source.latest == flow_index {
                    source.latest = NONE;
                }
                continue;
            }
            if let Some(packet) = packet {
                source.deficit -= signed(packet.cost);
                if let Some(flow) = self.flows.get_mut(flow_index) {
                    flow.deficit -= signed(packet.cost);
                }
                return Some(packet.item);
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
            let is_dropped = match (packet.part_of, state.pieces) {
                (Some(frame), Pieces::DroppedOf(dropped)) if frame == dropped => true,
                // Its frame is as old, and would have been sent for nothing.
                (Some(frame), Pieces::SentOf(sent)) if frame == sent => {
                    sojourn > self.limits.max_age * 2
                }
                _ => stale || state.codel.drops(now, sojourn, state.bytes, &self.codel),
            };
            state.pieces = match packet.part_of {
                None => Pieces::None,
                Some(frame) if is_dropped => Pieces::DroppedOf(frame),
                Some(frame) => Pieces::SentOf(frame),
            };
            if !is_dropped {
                return Some(packet);
            }
            self.drops.add(DropReason::QueueDelay);
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
        let Some((flow_index, _)) = source
            .ring
            .iter(&self.flows)
            .max_by_key(|(_, flow)| flow.bytes)
        else {
            return false;
        };
        let Some(packet) = self.unlink_head(source_index, flow_index) else {
            return false;
        };
        if let (Some(frame), Some(flow)) = (packet.part_of, self.flows.get_mut(flow_index)) {
            flow.pieces = Pieces::DroppedOf(frame);
        }
        self.drops.add(DropReason::QueueFull);
        true
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
    }
}

/// The flow of this name, or the one that its tag has to share; else how many
/// flows there are.
fn find_flow(
    flows: &Slab<Flow>,
    source: &Source,
    own: FlowName,
    shared: FlowName,
) -> Result<Index, usize> {
    let mut count = 0;
    let mut sharing = None;
    for (index, flow) in source.ring.iter(flows) {
        if flow.name == own {
            return Ok(index);
        }
        if flow.name == shared {
            sharing = Some(index);
        }
        count += 1;
    }
    // As long as packets wait where they had to share, those that come later
    // go there too: a flow is never out of order.
    sharing.ok_or(count)
}

impl QueueLimits {
    fn quantum_signed(&self) -> i64 {
        signed(self.quantum)
    }

    /// A flow that its sender calls sparse may send more than its share of
    /// what its peer has: a game beside ten copies needs more than a tenth of
    /// a slow line. A false word takes from the peer's own flows only.
    fn quantum_of(&self, hint: Hint) -> i64 {
        let weight = if hint == Hint::Sparse { 4 } else { 1 };
        self.quantum_signed().saturating_mul(weight)
    }

    /// How far a source's fresh flows may run ahead of its turn. Its bulk may
    /// have left it almost a quantum in debt already; the other one is what a
    /// game sends in the rounds until that is paid.
    fn credit(&self) -> i64 {
        self.quantum_signed().saturating_mul(2)
    }
}

/// Bytes fit: every bound is far below `i64::MAX`.
fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
