//! How many datagrams are on their way at once.
//!
//! Enough to keep the middle busy while the generator does its own part, and
//! no more: what waits before the middle, or is lost there, would be part of
//! what a frame costs, and depend on the size of somebody's buffers.

use std::time::{Duration, Instant};

/// Datagrams on their way.
const MOST: u64 = 512;
/// Without news for so long, what is missing is lost.
const PATIENCE: Duration = Duration::from_millis(20);

/// Lets datagrams in as others come out.
#[derive(Debug)]
pub struct InFlight {
    offered: u64,
    heard: u64,
    news: Instant,
}

impl InFlight {
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self {
            offered: 0,
            heard: 0,
            news: now,
        }
    }

    /// How many may be offered, when so many have come out ever.
    pub fn room(&mut self, now: Instant, heard: u64) -> u64 {
        if heard > self.heard {
            self.heard = heard;
            self.news = now;
        } else if now > self.news + PATIENCE {
            self.offered = self.heard;
            self.news = now;
        }
        // What was given up may come after all.
        self.offered = self.offered.max(self.heard);
        MOST.saturating_sub(self.offered - self.heard)
    }

    pub const fn offered(&mut self, datagrams: u64) {
        self.offered += datagrams;
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment will do")]
mod tests {
    use super::*;

    #[test]
    fn as_many_may_go_in_as_have_come_out() {
        let now = Instant::now();
        let mut flight = InFlight::new(now);
        assert_eq!(flight.room(now, 0), MOST);
        flight.offered(MOST);
        assert_eq!(flight.room(now, 0), 0);
        assert_eq!(flight.room(now, 10), 10);
    }

    #[test]
    fn what_was_lost_does_not_stop_the_load() {
        let now = Instant::now();
        let mut flight = InFlight::new(now);
        flight.offered(MOST);
        assert_eq!(flight.room(now + PATIENCE, 0), 0);
        let later = now + PATIENCE * 2;
        assert_eq!(flight.room(later, 0), MOST);
        flight.offered(100);
        assert_eq!(
            flight.room(later, 300),
            MOST,
            "late ones count as news only"
        );
    }
}
