//! When the next bytes may leave: a token bucket that holds at most a
//! millisecond of the rate.

use std::time::{Duration, Instant};

/// More than this at once would queue before a slow link as a lump.
const MAX_BURST: Duration = Duration::from_millis(1);
/// One batch of 64 KB: whoever sent more was not paced.
const MAX_DEBT: f64 = 65_536.0;
/// Chosen because the rate has changed by then.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// Less than a byte: what sums of fractions lose.
const ROUNDING: f64 = 0.5;

/// Spreads what the controller allows over time.
///
/// Whoever has no debt may send a whole packet and owes what that was too
/// much. A timer that is late by less than a packet's time costs no rate then.
#[derive(Clone, Debug)]
pub struct Pacer {
    refilled: Instant,
    /// Bytes; negative: owed.
    tokens: f64,
    packet: f64,
}

impl Pacer {
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self {
            refilled: now,
            tokens: 0.0,
            packet: 0.0,
        }
    }

    /// Bytes that may leave now: nothing, or at least a packet. Unbounded
    /// where there is no rate.
    pub fn allowance(&mut self, now: Instant, rate: Option<u64>, packet_bytes: u16) -> u64 {
        self.packet = f64::from(packet_bytes);
        let elapsed = now.saturating_duration_since(self.refilled);
        self.refilled = self.refilled.max(now);
        let Some(rate) = rate else {
            self.tokens = 0.0;
            return u64::MAX;
        };
        let gained = rate as f64 * elapsed.as_secs_f64();
        self.tokens = (self.tokens + gained).min(self.capacity(rate));
        if self.tokens + ROUNDING < 0.0 {
            return 0;
        }
        self.tokens.max(self.packet) as u64
    }

    /// These bytes left.
    pub fn spend(&mut self, bytes: u64) {
        self.tokens = (self.tokens - bytes as f64).max(-MAX_DEBT);
    }

    /// When that many bytes may leave, or as many as ever leave at once;
    /// `None`: at once.
    #[must_use]
    pub fn next(&self, bytes: u64, rate: Option<u64>) -> Option<Instant> {
        let rate = rate?.max(1);
        let wanted = if bytes as f64 <= self.packet {
            0.0
        } else {
            (bytes as f64).min(self.capacity(rate))
        };
        let missing = wanted - self.tokens;
        if missing <= ROUNDING {
            return None;
        }
        let wait = (missing / rate as f64).min(MAX_WAIT.as_secs_f64());
        self.refilled.checked_add(Duration::from_secs_f64(wait))
    }

    fn capacity(&self, rate: u64) -> f64 {
        (rate as f64 * MAX_BURST.as_secs_f64()).max(self.packet)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment will do")]
mod tests {
    use super::*;

    const PACKET: u16 = 1_250;
    /// A packet takes a millisecond.
    const SLOW: Option<u64> = Some(1_250_000);

    #[test]
    fn nothing_holds_back_without_a_rate() {
        let now = Instant::now();
        let mut pacer = Pacer::new(now);
        assert_eq!(pacer.allowance(now, None, PACKET), u64::MAX);
        assert_eq!(pacer.next(100_000, None), None);
    }

    #[test]
    fn no_more_than_a_millisecond_of_the_rate_is_saved_up() {
        let now = Instant::now();
        let mut pacer = Pacer::new(now);
        let later = now + Duration::from_secs(10);
        assert_eq!(pacer.allowance(later, Some(12_500_000), PACKET), 12_500);
        assert_eq!(pacer.allowance(later, SLOW, PACKET), 1_250);
    }

    #[test]
    fn timers_that_are_late_by_less_than_a_packet_cost_no_rate() {
        let mut now = Instant::now();
        let began = now;
        let mut pacer = Pacer::new(now);
        let mut sent = 0;
        while sent < 1_000 {
            if pacer.allowance(now, SLOW, PACKET) > 0 {
                pacer.spend(PACKET.into());
                sent += 1;
            } else {
                let next = pacer.next(1, SLOW).unwrap();
                now = next + Duration::from_micros(700);
            }
        }
        let took = now - began;
        assert!(took < Duration::from_millis(1_002), "{took:?}");
        assert!(took > Duration::from_millis(996), "{took:?}");
    }

    #[test]
    fn a_batch_is_waited_for_until_it_may_leave_whole() {
        let now = Instant::now();
        let mut pacer = Pacer::new(now);
        let rate = Some(125_000_000);
        let next = pacer.next(62_500, rate).unwrap();
        assert_eq!(next - now, Duration::from_micros(500));
        assert!(pacer.allowance(next, rate, PACKET) >= 62_499);
    }
}
