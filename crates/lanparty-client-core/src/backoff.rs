//! When to dial again.
//!
//! For the first minute of an outage the attempts stay close together, so
//! that a relay that was restarted carries frames again within seconds of its
//! return. After that they thin out to spare a relay that is gone for good.

use std::time::{Duration, Instant};

use rand::Rng;

/// Wait after the first failure.
pub const FIRST: Duration = Duration::from_millis(500);
/// The longest wait while the outage is younger than [`EAGER_FOR`]. With
/// [`crate::DIAL_TIMEOUT`] it bounds the time from a relay's return to the
/// next packet that reaches it at about 4 s.
pub const EAGER_CAP: Duration = Duration::from_millis(1_500);
/// How long attempts stay eager.
pub const EAGER_FOR: Duration = Duration::from_secs(60);
/// The longest wait in a long outage.
pub const CAP: Duration = Duration::from_secs(30);
/// The longest wait that a relay may ask for.
pub const HINT_CAP: Duration = Duration::from_secs(300);

/// Jittered exponential backoff over one outage.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    outage_since: Option<Instant>,
    failures: u32,
    hint: Option<Duration>,
}

impl Backoff {
    /// Forgets the outage: the session is joined.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The relay said when to come back; the next wait is that long.
    pub fn hint(&mut self, wait: Duration) {
        self.hint = Some(wait.min(HINT_CAP));
    }

    /// Dials made since the last join that failed.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// The wait before the next attempt, counted from `now`.
    pub fn next(&mut self, now: Instant, rng: &mut impl Rng) -> Duration {
        let since = *self.outage_since.get_or_insert(now);
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        if let Some(wait) = self.hint.take() {
            return wait;
        }
        let cap = if now.saturating_duration_since(since) < EAGER_FOR {
            EAGER_CAP
        } else {
            CAP
        };
        let longest = FIRST.saturating_mul(1 << doublings).min(cap);
        // At least half, so that a herd spreads out and nobody hammers.
        longest.mul_f64(rng.random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn waits(spacing: Duration, attempts: usize) -> Vec<Duration> {
        let mut rng = StdRng::seed_from_u64(7);
        let mut backoff = Backoff::default();
        let mut now = crate::test_start();
        (0..attempts)
            .map(|_| {
                let wait = backoff.next(now, &mut rng);
                now += wait + spacing;
                wait
            })
            .collect()
    }

    #[test]
    fn waits_double_and_stay_short_in_the_first_minute() {
        let waits = waits(Duration::from_secs(2), 15);
        assert!(waits[0] <= FIRST);
        assert!(waits.iter().all(|wait| *wait <= EAGER_CAP));
        assert!(waits.iter().all(|wait| *wait >= FIRST / 2));
    }

    #[test]
    fn a_long_outage_thins_the_attempts_out() {
        let waits = waits(Duration::from_secs(2), 60);
        assert!(waits.last().unwrap() >= &(CAP / 2));
        assert!(waits.iter().all(|wait| *wait <= CAP));
    }

    #[test]
    fn a_hint_from_the_relay_wins_once() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::default();
        let now = crate::test_start();
        backoff.hint(Duration::from_secs(7));
        assert_eq!(backoff.next(now, &mut rng), Duration::from_secs(7));
        assert!(backoff.next(now, &mut rng) <= EAGER_CAP);
    }

    #[test]
    fn two_members_do_not_dial_in_step() {
        let mut a = StdRng::seed_from_u64(1);
        let mut b = StdRng::seed_from_u64(2);
        let now = crate::test_start();
        assert_ne!(
            Backoff::default().next(now, &mut a),
            Backoff::default().next(now, &mut b)
        );
    }
}
