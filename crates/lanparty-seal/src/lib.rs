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

pub mod body;
mod chain;
pub mod epoch;
pub mod frame;
mod hold;
pub mod keyring;
mod letter;
mod member;
mod own;
mod pace;
mod primitives;
mod receiving;
pub mod removals;
pub mod replay;
pub mod room_key;
mod secret;
mod sending;
mod signer;

pub use epoch::Epoch;
pub use keyring::{KeyEvent, Keyring, KeyringConfig, Opened, Unbelievable};
pub use lanparty_obs::diagnostics::Standing;
pub use own::clear_card;
pub use room_key::{AdmissionKey, RoomKey};
pub use signer::Signer;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "where a test's clock starts")]
fn test_start() -> std::time::Instant {
    std::time::Instant::now()
}
