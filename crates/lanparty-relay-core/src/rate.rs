//! A small allowance for rare events: control messages, probes, errors.

use std::time::{Duration, Instant};

/// Events that may still happen, refilled evenly up to a burst.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    left: u32,
    since: Instant,
}

impl Allowance {
    pub(crate) const fn full(burst: u32, now: Instant) -> Self {
        Self {
            left: burst,
            since: now,
        }
    }

    /// Whether nothing is left to spend.
    pub(crate) fn is_spent(&mut self, burst: u32, every: Duration, now: Instant) -> bool {
        self.refill(burst, every, now);
        self.left == 0
    }

    /// Whether nothing is missing.
    pub(crate) fn is_full(&mut self, burst: u32, every: Duration, now: Instant) -> bool {
        self.refill(burst, every, now);
        self.left >= burst
    }

    /// Spends one event; false where none is left. One event comes back
    /// `every` so often, up to `burst`.
    pub(crate) fn take(&mut self, burst: u32, every: Duration, now: Instant) -> bool {
        self.refill(burst, every, now);
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    fn refill(&mut self, burst: u32, every: Duration, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since);
        let earned = elapsed
            .as_micros()
            .checked_div(every.as_micros())
            .unwrap_or(u128::MAX);
        let missing = burst.saturating_sub(self.left);
        match u32::try_from(earned) {
            Ok(earned) if earned < missing => {
                self.left = self.left.saturating_add(earned);
                self.since += every.saturating_mul(earned);
            }
            _ => {
                self.left = burst;
                self.since = now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = start();
        let every = Duration::from_millis(100);
        let mut allowance = Allowance::full(3, start);
        let passed = (0..2_000_u64)
            .filter(|&ms| allowance.take(3, every, start + Duration::from_millis(ms)))
            .count();
        assert_eq!(passed, 3 + 19);
    }

    #[test]
    fn a_pause_earns_one_burst_and_no_more() {
        let start = start();
        let every = Duration::from_millis(100);
        let mut allowance = Allowance::full(2, start);
        assert!(allowance.take(2, every, start));
        assert!(allowance.take(2, every, start));
        assert!(!allowance.take(2, every, start));
        let later = start + Duration::from_secs(3_600);
        assert!(allowance.take(2, every, later));
        assert!(allowance.take(2, every, later));
        assert!(!allowance.take(2, every, later));
    }
}
