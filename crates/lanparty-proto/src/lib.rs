//! The bytes that members of a room exchange: overlay and fragment headers,
//! views of Ethernet frames, the MAC address rules, the MTU arithmetic and
//! the names that TLS is given.
//!
//! This crate owns layouts and nothing else. It does no I/O, reads no clock,
//! and allocates nothing on the read path. Every accessor is safe after the
//! one length check in its constructor; arbitrary bytes never panic.
//! `docs/protocol.md` describes the same layouts for other implementations.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::panic,
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

pub mod bundle;
pub mod ethernet;
pub mod fragment;
pub mod mac;
pub mod mtu;
pub mod overlay;
pub mod peer;
pub mod probe;
pub mod timing;
pub mod tls;

pub use mac::MacAddr;
pub use peer::PeerId;
