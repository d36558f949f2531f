//! The parts of the queue: packets, flows and sources.

use std::time::Instant;

use lanparty_proto::overlay::Hint;

use crate::codel::Codel;
use crate::list::{Linked, Links, List};
use crate::slab::{Index, NONE};

/// Which flow a datagram belongs to, as its overlay header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FlowKey {
    /// The peer that sent it: the unit of fairness.
    pub source: u16,
    /// The sender's tag for the inner flow. A false tag hurts its sender only.
    pub tag: u16,
    pub hint: Hint,
    /// The frame of which this is a piece. A frame is of no use without each
    /// of its pieces, so they are dropped together where that can be.
    pub part_of: Option<u16>,
}

/// Flows with packets waiting that are told apart per source. A game has
/// one or two and a download tool some twenty.
pub(crate) const FLOWS_PER_SOURCE: usize = 64;
/// Flows that those beyond share, by the low bits of their tags.
pub(crate) const SHARED_FLOWS: u16 = 8;

#[derive(Debug)]
pub(crate) struct Packet<T> {
    pub(crate) item: T,
    pub(crate) cost: usize,
    pub(crate) queued_at: Instant,
    pub(crate) part_of: Option<u16>,
    pub(crate) next: Index,
}

/// The list of a source's flows in the order of their turns.
#[derive(Debug)]
pub(crate) struct Ring;
/// The list of those that need not wait for their turn.
#[derive(Debug)]
pub(crate) struct Fresh;

#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) name: FlowName,
    in_ring: Links,
    in_fresh: Links,
    /// Listed among the fresh flows.
    pub(crate) is_fresh: bool,
    pub(crate) head: Index,
    pub(crate) tail: Index,
    pub(crate) bytes: usize,
    /// What it may send in a round.
    pub(crate) quantum: i64,
    /// What is left of it, refilled when it is its turn.
    pub(crate) deficit: i64,
    pub(crate) codel: Codel,
    pub(crate) pieces: Pieces,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlowName {
    Tag(u16),
    /// Tags with these low bits that found no flow of their own.
    Shared(u16),
}

/// What became of the piece that was looked at last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pieces {
    #[default]
    None,
    SentOf(u16),
    DroppedOf(u16),
}

impl Flow {
    pub(crate) fn new(name: FlowName, quantum: i64) -> Self {
        Self {
            name,
            in_ring: Links::LOOSE,
            in_fresh: Links::LOOSE,
            is_fresh: false,
            head: NONE,
            tail: NONE,
            bytes: 0,
            quantum,
            deficit: quantum,
            codel: Codel::default(),
            pieces: Pieces::None,
        }
    }
}

impl Linked<Ring> for Flow {
    fn links(&self) -> Links {
        self.in_ring
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.in_ring
    }
}

impl Linked<Fresh> for Flow {
    fn links(&self) -> Links {
        self.in_fresh
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.in_fresh
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
    /// Every flow; one that ran empty stays until its turn.
    pub(crate) ring: List<Ring>,
    /// Flows that had nothing waiting and have not used up their quantum since
    /// their last turn: they have just begun, or send less than their share.
    pub(crate) fresh: List<Fresh>,
    /// The flow that was pushed to last: the next packet is often its next.
    pub(crate) latest: Index,
}

impl Source {
    pub(crate) const fn new(id: u16, deficit: i64) -> Self {
        Self {
            id,
            bytes: 0,
            deficit,
            is_express: false,
            ring: List::EMPTY,
            fresh: List::EMPTY,
            latest: NONE,
        }
    }
}
