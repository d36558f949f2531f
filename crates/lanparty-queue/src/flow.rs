//! The parts of the queue: packets, flows and sources.

use std::collections::VecDeque;
use std::time::Instant;

use lanparty_proto::overlay::Hint;

use crate::codel::Codel;
use crate::slab::{Index, NONE};

/// Which flow a datagram belongs to, as its overlay header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FlowKey {
    /// The peer that sent it: the unit of fairness.
    pub source: u16,
    /// The sender's tag for the inner flow. A false tag hurts its sender only.
    pub tag: u16,
    pub hint: Hint,
}

/// Flows told apart per source. More of them share a place by their tag's low
/// bits, as in every fq_codel; the tag is a pseudo-random function.
pub(crate) const FLOWS_PER_SOURCE: usize = 32;

#[derive(Debug)]
pub(crate) struct Packet<T> {
    pub(crate) item: T,
    pub(crate) cost: usize,
    pub(crate) queued_at: Instant,
    pub(crate) next: Index,
}

#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) head: Index,
    pub(crate) tail: Index,
    pub(crate) bytes: usize,
    pub(crate) deficit: i64,
    /// Its quantum was refilled ahead of its turn among the busy flows; until
    /// that turn has come it does not count as sparse again, or it could be
    /// served for ever without the others.
    pub(crate) awaits_turn: bool,
    pub(crate) place: usize,
    pub(crate) codel: Codel,
}

impl Flow {
    pub(crate) fn new(place: usize, deficit: i64) -> Self {
        Self {
            head: NONE,
            tail: NONE,
            bytes: 0,
            deficit,
            awaits_turn: false,
            place,
            codel: Codel::default(),
        }
    }
}

/// One peer's flows and its place in the rounds.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) id: u16,
    pub(crate) bytes: usize,
    pub(crate) deficit: i64,
    /// Listed among the sources with a fresh flow.
    pub(crate) is_express: bool,
    pub(crate) fresh: VecDeque<Index>,
    pub(crate) busy: VecDeque<Index>,
    pub(crate) places: [Index; FLOWS_PER_SOURCE],
}

impl Source {
    pub(crate) fn new(id: u16, deficit: i64) -> Self {
        Self {
            id,
            bytes: 0,
            deficit,
            is_express: false,
            fresh: VecDeque::new(),
            busy: VecDeque::new(),
            places: [NONE; FLOWS_PER_SOURCE],
        }
    }
}
