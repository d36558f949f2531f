//! Wall time, for the one thing that must outlive the process: expiry.

use std::time::Instant;

/// Ties the driver's monotonic clock to the wall clock, once, at start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// A moment of the driver's monotonic clock.
    pub instant: Instant,
    /// The same moment in seconds since 1970.
    pub unix_s: u64,
}

impl Clock {
    pub(crate) fn unix_s(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.instant).as_secs();
        self.unix_s.saturating_add(elapsed)
    }
}
