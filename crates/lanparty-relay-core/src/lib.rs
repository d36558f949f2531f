//! The relay's core: who is in which room, and where each datagram goes.
//!
//! Sans-IO: the driver brings connections, bytes and the time, and the core
//! answers each datagram at once with targets or a drop reason. Everything
//! else (control messages, closing) comes out as [`Effect`]s. No sockets, no
//! async, no clock, no locks.
//!
//! The core mints every peer id and trusts nothing that a member says about
//! itself: identity comes from TLS, the source of a datagram from its
//! connection, and the policy of `lanparty-l2` decides what may pass. Every
//! datagram that goes in ends either in one forwarding decision or under one
//! [`DropReason`](lanparty_obs::DropReason).

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::panic,
        clippy::expect_used,
        clippy::as_conversions
    )
)]

mod access;
mod admission;
mod attempts;
mod clock;
mod connection;
mod core;
mod counters;
mod decision;
mod effect;
mod forward;
mod frame_record;
mod ids;
mod join;
mod limits;
mod probes;
mod rate;
mod resume;
mod room;
mod sealed;
mod snapshot;

pub use self::clock::Clock;
pub use self::connection::{Conn, NewConnection};
pub use self::core::RelayCore;
pub use self::counters::Counters;
pub use self::decision::{ANSWER_LEN, Decision};
pub use self::effect::Effect;
pub use self::limits::{Limits, RoomsPolicy, gateway_budgets};
pub use self::resume::RelaySecrets;
pub use self::snapshot::{
    LinkSnapshot, MemberSnapshot, RelaySnapshot, RoomSnapshot, RoomsSnapshot,
};
