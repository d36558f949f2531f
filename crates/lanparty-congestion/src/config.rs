//! What the controller aims at.

use std::time::Duration;

/// Goals and bounds of a [`Controller`](crate::Controller).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes in flight that are allowed before anything is known.
    pub initial_window: u64,
    /// Queueing delay on the way to the peer to aim at, at least two packets'
    /// time at the bottleneck.
    pub target_delay: Duration,
    /// How long the peer may keep an acknowledgement back.
    pub max_ack_delay: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            initial_window: INITIAL_WINDOW,
            target_delay: TARGET_DELAY,
            max_ack_delay: MAX_ACK_DELAY,
        }
    }
}

/// Thirty full packets. A player's first seconds are ARP, DHCP and discovery
/// of the whole LAN; RFC 6928's ten would hold them for a round trip.
const INITIAL_WINDOW: u64 = 30 * 1_472;

/// Chosen because a game sends every 8 to 30 ms and shows no jitter below.
const TARGET_DELAY: Duration = Duration::from_millis(3);

/// What our programs ask of each other by ACK_FREQUENCY.
const MAX_ACK_DELAY: Duration = Duration::from_millis(5);
