//! The room key and everything that derives from it.
//!
//! Composes primitives of aws-lc-rs and has none of its own. Sans-IO: no
//! sockets, no clock, no source of randomness.

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

mod primitives;
pub mod room_key;

pub use room_key::{AdmissionKey, RoomKey};
