//! The byte-bounded fair queue in front of every connection.
//!
//! Owns the order in which waiting datagrams leave and which of them are
//! dropped when a link is slow. Generic over the item; never looks inside it,
//! never reads a clock.
//!
//! - Deficit round robin (RFC 8290 section 4) over source peers, so that no
//!   peer starves another, then over the flows of each peer.
//! - A flow that has just begun, or that sends less than its share (a game, an
//!   ARP request), is sent before flows with a backlog, across sources.
//! - CoDel (RFC 8289) on each flow keeps a bulk copy's queue short.
//! - When the byte bound is reached, the oldest packet of the largest flow of
//!   the largest source goes, so the newest traffic of a stalled receiver stays.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::panic,
        clippy::expect_used,
        clippy::unwrap_used
    )
)]

mod codel;
mod fair;
mod flow;
mod limits;
mod list;
mod slab;

pub use fair::{FairQueue, PushOutcome};
pub use flow::FlowKey;
pub use lanparty_proto::overlay::Hint;
pub use limits::QueueLimits;
