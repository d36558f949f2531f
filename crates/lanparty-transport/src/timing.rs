//! Timing marks and their echoes: how long packets wait on the way to the
//! peer, without the way back.
//!
//! Each side has a clock of its own that begins somewhere; only differences of
//! the measured delays mean anything.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_proto::timing::{Echo, Timing};

/// Between two marks: a queue of 3 ms is seen before it is 5 ms longer.
const INTERVAL: Duration = Duration::from_millis(5);
/// The same on a slow path, where a packet of 60 bytes each 5 ms would be more
/// than 5 % of the rate.
const SLOW_INTERVAL: Duration = Duration::from_millis(10);
/// [`INTERVAL`]s.
const INTERVALS_IN_A_SECOND: u64 = 200;
/// Bytes a second of a slow path: 2 Mbit/s.
const SLOW_RATE: u64 = 250_000;
/// A later echo is not believed: no queue of a home router is that long.
const PATIENCE: Duration = Duration::from_secs(2);
/// Timing datagrams that are forgiven at once: a second of them, held up on
/// the way.
const BURST: u64 = 1_000;
/// And these each second: twice what marks and echoes in both directions make.
const PER_SECOND: u64 = 800;
/// What one that is malformed counts for.
const MALFORMED: u64 = 100;

/// What an echo tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) sent_at: Instant,
    /// The peer's clock minus ours, less what the first sample had.
    pub(crate) relative_us: i64,
}

#[derive(Debug)]
pub(crate) struct Timer {
    /// Where our clock begins.
    begin: Instant,
    last_mark: Option<Instant>,
    /// Marks without an echo, oldest first.
    awaited: VecDeque<(u32, Instant)>,
    /// The last mark is in quinn's buffer.
    is_unsent: bool,
    /// Bytes that left since the last mark.
    sent_since: u64,
    /// The peer's last mark, to be answered.
    echo: Option<Echo>,
    /// Clock difference of the first sample.
    reference: Option<u32>,
    /// What of [`BURST`] is used up, as of `counted_at`.
    level: u64,
    counted_at: Instant,
}

impl Timer {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            begin: now,
            last_mark: None,
            awaited: VecDeque::new(),
            is_unsent: false,
            sent_since: 0,
            echo: None,
            reference: None,
            level: 0,
            counted_at: now,
        }
    }

    /// What goes out in front of the datagrams of this turn. `may_mark`: they
    /// leave at once, and others had to wait.
    pub(crate) fn outgoing(
        &mut self,
        now: Instant,
        may_mark: bool,
        rate: Option<u64>,
    ) -> Option<Bytes> {
        let interval = if rate.is_some_and(|rate| rate < SLOW_RATE) {
            SLOW_INTERVAL
        } else {
            INTERVAL
        };
        let is_due = self
            .last_mark
            .is_none_or(|last| now.saturating_duration_since(last) >= interval);
        let timing = if may_mark && is_due {
            let mark = self.mark(now);
            match self.echo.take() {
                Some(echo) => Timing::Both(mark, echo),
                None => Timing::Mark(mark),
            }
        } else {
            Timing::Echo(self.echo.take()?)
        };
        let (bytes, len) = timing.encode();
        Some(Bytes::copy_from_slice(bytes.get(..len)?))
    }

    /// quinn sent what it had first.
    pub(crate) const fn sent(&mut self, bytes: usize) {
        self.is_unsent = false;
        self.sent_since = self.sent_since.saturating_add(bytes as u64);
    }

    /// True where so much of `rate` was used since the last mark that a queue
    /// on the path could be ours, although nothing had to wait here.
    pub(crate) fn is_busy(&self, rate: Option<u64>) -> bool {
        let in_interval = rate.map(|rate| rate / INTERVALS_IN_A_SECOND);
        in_interval.is_some_and(|bytes| self.sent_since >= bytes / 4)
    }

    /// quinn may not send now: a mark that waits in its buffer would measure
    /// that instead of the path.
    pub(crate) fn stalled(&mut self) {
        if std::mem::take(&mut self.is_unsent) {
            self.awaited.pop_back();
        }
    }

    /// One arrived.
    pub(crate) fn receive(&mut self, now: Instant, datagram: &[u8]) -> Option<Sample> {
        let Ok(timing) = Timing::decode(datagram) else {
            self.count(now, MALFORMED);
            return None;
        };
        self.count(now, 1);
        if let Some(mark) = timing.mark() {
            let arrived = self.clock(now);
            self.echo = Some(Echo { mark, arrived });
        }
        self.sample(now, timing.echo()?)
    }

    /// True where the peer sends more of them than it has a use for.
    pub(crate) const fn is_flooded(&self) -> bool {
        self.level > BURST
    }

    fn mark(&mut self, now: Instant) -> u32 {
        let mark = self.clock(now);
        self.last_mark = Some(now);
        self.sent_since = 0;
        self.forget(now);
        self.awaited.push_back((mark, now));
        self.is_unsent = true;
        mark
    }

    fn sample(&mut self, now: Instant, echo: Echo) -> Option<Sample> {
        self.forget(now);
        let at = self
            .awaited
            .iter()
            .position(|&(mark, _)| mark == echo.mark)?;
        let (mark, sent_at) = self.awaited.remove(at)?;
        let difference = echo.arrived.wrapping_sub(mark);
        let reference = *self.reference.get_or_insert(difference);
        Some(Sample {
            sent_at,
            relative_us: difference.wrapping_sub(reference).cast_signed().into(),
        })
    }

    fn forget(&mut self, now: Instant) {
        while let Some(&(_, at)) = self.awaited.front()
            && now.saturating_duration_since(at) > PATIENCE
        {
            self.awaited.pop_front();
        }
    }

    /// Microseconds modulo 2^32.
    fn clock(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.begin).as_micros() as u32
    }

    fn count(&mut self, now: Instant, cost: u64) {
        let seconds = now.saturating_duration_since(self.counted_at).as_secs();
        if seconds > 0 {
            self.level = self.level.saturating_sub(seconds * PER_SECOND);
            self.counted_at = now;
        }
        self.level = self.level.saturating_add(cost);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment will do")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// The peer's answer to what we sent, `delay` later by a clock that is
    /// `offset` ahead.
    fn answer(datagram: &[u8], begin: Instant, arrives: Instant, offset: u32) -> Vec<u8> {
        let mark = Timing::decode(datagram).unwrap().mark().unwrap();
        let arrived = ((arrives - begin).as_micros() as u32).wrapping_add(offset);
        let (bytes, len) = Timing::Echo(Echo { mark, arrived }).encode();
        bytes[..len].to_vec()
    }

    #[test]
    fn marks_go_out_at_their_interval_while_data_waits_and_never_else() {
        let begin = Instant::now();
        let mut timer = Timer::new(begin);
        assert_eq!(timer.outgoing(begin, false, None), None);
        let mut marks = 0;
        for step in 0..100 {
            let slow = Some(SLOW_RATE - 1).filter(|_| step >= 50);
            marks += u32::from(timer.outgoing(begin + MS * step, true, slow).is_some());
        }
        assert_eq!(marks, 10 + 5);
    }

    #[test]
    fn an_echo_to_nothing_an_old_one_and_a_second_one_are_ignored() {
        let begin = Instant::now();
        let mut timer = Timer::new(begin);
        let sent = timer.outgoing(begin, true, None).unwrap();
        let echo = answer(&sent, begin, begin + MS, 0);
        let mut other = echo.clone();
        other[5] ^= 1;
        assert_eq!(timer.receive(begin + MS, &other), None);
        let sample = timer.receive(begin + MS, &echo).unwrap();
        assert_eq!(sample.sent_at, begin);
        assert_eq!(timer.receive(begin + MS, &echo), None);

        let late = begin + MS * 10;
        let sent = timer.outgoing(late, true, None).unwrap();
        let echo = answer(&sent, begin, late + MS, 0);
        assert_eq!(timer.receive(late + PATIENCE + MS, &echo), None);
    }

    #[test]
    fn a_mark_that_quinn_holds_back_measures_nothing() {
        let begin = Instant::now();
        let mut timer = Timer::new(begin);
        let sent = timer.outgoing(begin, true, None).unwrap();
        timer.stalled();
        let echo = answer(&sent, begin, begin + MS, 0);
        assert_eq!(timer.receive(begin + MS, &echo), None);

        let sent = timer.outgoing(begin + MS * 5, true, None).unwrap();
        timer.sent(0);
        timer.stalled();
        let echo = answer(&sent, begin, begin + MS * 6, 0);
        assert!(timer.receive(begin + MS * 6, &echo).is_some());
    }

    #[test]
    fn a_mark_is_answered_once_with_the_time_of_its_arrival() {
        let begin = Instant::now();
        let mut timer = Timer::new(begin);
        let (bytes, len) = Timing::Mark(77).encode();
        assert_eq!(timer.receive(begin + MS * 3, &bytes[..len]), None);
        let echo = timer.outgoing(begin + MS * 4, false, None).unwrap();
        let expected = Echo {
            mark: 77,
            arrived: 3_000,
        };
        assert_eq!(Timing::decode(&echo), Ok(Timing::Echo(expected)));
        assert_eq!(timer.outgoing(begin + MS * 4, false, None), None);
    }

    #[test]
    fn the_rate_of_two_busy_sides_is_tolerated_and_a_flood_is_not() {
        let begin = Instant::now();
        let mut timer = Timer::new(begin);
        let (bytes, len) = Timing::Mark(0).encode();
        for step in 0..60_000 {
            timer.receive(begin + INTERVAL * step / 2, &bytes[..len]);
            assert!(!timer.is_flooded());
        }
        let end = begin + INTERVAL * 30_000;
        for _ in 0..=BURST {
            timer.receive(end, &bytes[..len]);
        }
        assert!(timer.is_flooded());

        let mut timer = Timer::new(begin);
        for _ in 0..=BURST / MALFORMED {
            assert!(!timer.is_flooded());
            timer.receive(begin, &bytes[..1]);
        }
        assert!(timer.is_flooded());
    }

    proptest! {
        #[test]
        fn delays_come_out_as_they_went_in_whatever_the_clocks_say(
            offset: u32,
            delays in prop::collection::vec(0_u64..1_500_000, 1..20),
            age in 0_u64..10_000,
        ) {
            let begin = Instant::now();
            let mut timer = Timer::new(begin);
            let mut first = None;
            for (step, delay) in delays.into_iter().enumerate() {
                let now = begin + Duration::from_secs(age + 2 * step as u64);
                let sent = timer.outgoing(now, true, None).unwrap();
                timer.sent(0);
                let arrives = now + Duration::from_micros(delay);
                let echo = answer(&sent, begin, arrives, offset);
                let sample = timer.receive(arrives, &echo).unwrap();
                let first = *first.get_or_insert(delay);
                prop_assert_eq!(sample.sent_at, now);
                prop_assert_eq!(sample.relative_us, delay as i64 - first as i64);
            }
        }
    }
}
