//! The session of one member of a room, sans-IO.

#![forbid(unsafe_code)]

use std::time::Duration;

pub mod backoff;
pub mod probes;
pub mod reassembly;

/// How long a dial may take before it counts as failed. Short, because QUIC
/// doubles the gaps between its own first packets and a relay that returns
/// should meet a fresh one; long enough for a handshake over 500 ms of RTT.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "where a test's clock starts")]
fn test_start() -> std::time::Instant {
    std::time::Instant::now()
}
