//! The session of one member of a room, player or gateway, sans-IO.
//!
//! Owns joining, staying, losing and returning: the state machine, the control
//! messages, the table of the other members, round-trip probes, fragments and,
//! for a player, the policy on its frames. Has no socket and no clock: the
//! driver passes in what arrived and when, and does what
//! [`Session::poll_effect`] says. A gateway's policy belongs to its bridge.

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

use std::time::Duration;

pub mod backoff;
pub mod config;
pub mod effect;
mod flows;
mod gathering;
mod greeting;
mod mss;
mod player;
pub mod probes;
pub mod reassembly;
pub mod roster;
pub mod rules;
pub mod session;
pub mod snapshot;
mod status;
mod tunnel;

pub use config::SessionConfig;
pub use lanparty_seal::{Signer, Standing};

pub use effect::{DisconnectCause, Effect, End, KeyNews, LostCause, Membership, SessionEvent};
pub use probes::Rtt;
pub use roster::Roster;
pub use rules::rules_of;
pub use session::Session;
pub use snapshot::{Budget, Phase, Readings, Snapshot};
pub use tunnel::Splitter;

/// How long a dial may take before it counts as failed. Short, because QUIC
/// doubles the gaps between its own first packets and a relay that returns
/// should meet a fresh one; long enough for a handshake over 500 ms of RTT.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a patient dial may take: one in four, for paths so slow that the
/// others never get through. QUIC sends at 0, 1 and 3 s of it, so the relay's
/// return still meets a packet within 4 s.
pub const PATIENT_DIAL_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "where a test's clock starts")]
fn test_start() -> std::time::Instant {
    std::time::Instant::now()
}
