//! The decisions, put together.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::snapshot::{Mode, Snapshot};

/// Round trips as the connection measured them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtt {
    pub latest: Duration,
    pub smoothed: Duration,
    pub min: Duration,
}

/// Decides how much may be in flight and how fast it leaves.
#[derive(Clone, Debug)]
pub struct Controller {
    config: Config,
}

impl Controller {
    #[must_use]
    pub fn new(config: Config, _now: Instant, _packet_bytes: u16) -> Self {
        Self { config }
    }

    /// A packet left that counts as in flight.
    pub fn on_sent(&mut self, _now: Instant, _bytes: u64) {}

    /// One packet arrived.
    pub fn on_acked(&mut self, _now: Instant, _sent_at: Instant, _bytes: u64) {}

    /// All packets of one acknowledgement were told.
    pub fn on_acks_end(&mut self, _now: Instant, _in_flight: u64, _rtt: Rtt) {}

    /// Packets did not arrive, the last of them sent then.
    pub fn on_lost(&mut self, _now: Instant, _sent_at: Instant, _bytes: u64, _persistent: bool) {}

    /// The peer's clock minus ours for something sent then, in microseconds.
    /// The offset of the clocks is unknown; only differences count.
    pub fn on_one_way_delay(&mut self, _now: Instant, _sent_at: Instant, _relative_us: i64) {}

    /// The path carries packets of another length now.
    pub fn on_packet_bytes(&mut self, _packet_bytes: u16) {}

    /// Whether data waits for permission to leave.
    pub fn set_backlogged(&mut self, _now: Instant, _backlogged: bool) {}

    /// Bytes that may be in flight.
    #[must_use]
    pub fn window(&self) -> u64 {
        self.config.initial_window
    }

    /// Bytes a second; `None`: as fast as the window allows.
    #[must_use]
    pub fn rate(&self) -> Option<u64> {
        None
    }

    /// What the controller thinks.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            mode: Mode::Startup,
            queue_delay: None,
            bandwidth: None,
            random_loss_ppm: 0,
            is_one_way: false,
        }
    }
}
