//! How much a connection may send: the rate of the narrowest link, with a
//! queue of a few milliseconds before it.
//!
//! Owns the decisions and none of the machinery. It never reads a clock, never
//! sees a packet and knows no QUIC: every moment and every measurement is an
//! argument.

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

mod competition;
mod config;
mod controller;
mod cubic;
mod delay;
mod history;
mod loss;
mod pacer;
mod snapshot;

pub use config::Config;
pub use controller::{Controller, Rtt};
pub use cubic::Cubic;
pub use pacer::Pacer;
pub use snapshot::{Mode, Snapshot};
