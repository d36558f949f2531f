//! Whether the queue is ours.
//!
//! Beside nobody, what arrives does not depend on what we send while a queue
//! stands: it is the bottleneck's rate, and a queue drains as fast as we send
//! less. Beside others we get what we ask for, and the queue drains slower or
//! not at all. So the share of a cut that is missing in what arrives tells.

use std::time::{Duration, Instant};

use crate::delay::Interval;

/// Below this part of the capacity we send so much less that it shows.
const CUT: f64 = 0.9;
/// Of a cut, what still arrives (because a queue of ours drains) when at least
/// half of the bottleneck is ours.
const OURS: f64 = 0.5;
/// A burst of a household's page view is over by then; a rival that is not
/// answered would have starved us in a second.
const PATIENCE: Duration = Duration::from_millis(250);
/// A queue that stays above the target for so long, while our part shrinks to
/// [`SHRUNK`], is a rival's who pushes slowly. Longer than it takes two flows
/// of ours to agree on what an empty queue is.
const SLOW_PATIENCE: Duration = Duration::from_secs(3);
const SHRUNK: f64 = 0.75;

/// What a cut showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Nothing,
    /// A queue stands that does not answer to us.
    NotOurs,
}

/// Part of a cut that arrived nevertheless: 1 alone, our share of the
/// bottleneck beside others. `None` where nothing was cut.
pub(crate) fn part_of_cut(interval: &Interval, capacity: f64) -> Option<f64> {
    let cut = capacity - interval.sent;
    (cut > capacity * (1.0 - CUT)).then(|| (interval.arrived - interval.sent) / cut)
}

/// Watches cuts that the control of the queue makes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Suspicion {
    since: Option<Instant>,
    /// Since when there is more than the target, and the capacity then.
    above: Option<(Instant, f64)>,
}

impl Suspicion {
    pub(crate) const fn clear(&mut self) {
        self.since = None;
        self.above = None;
    }

    /// Judges the slow way, by the latest queue.
    pub(crate) fn judge_slowly(
        &mut self,
        now: Instant,
        is_above: bool,
        capacity: f64,
    ) -> Option<f64> {
        if !is_above {
            self.above = None;
            return None;
        }
        let (since, before) = *self.above.get_or_insert((now, capacity));
        let is_rival =
            now.saturating_duration_since(since) >= SLOW_PATIENCE && capacity < SHRUNK * before;
        is_rival.then_some(before)
    }

    /// Judges one interval with a queue above `high` seconds.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        interval: &Interval,
        capacity: f64,
        high: f64,
        rtt: Duration,
    ) -> Finding {
        if interval.queue_min < high {
            self.since = None;
            return Finding::Nothing;
        }
        match part_of_cut(interval, capacity) {
            Some(part) if part < OURS && interval.blocked > 0.5 => {
                let since = *self.since.get_or_insert(now);
                if now.saturating_duration_since(since) >= PATIENCE.max(3 * rtt) {
                    self.since = None;
                    return Finding::NotOurs;
                }
            }
            Some(_) => self.since = None,
            None => {}
        }
        Finding::Nothing
    }
}

/// While competing: how much less is sent in a test.
pub(crate) const TEST_RATE: f64 = 0.6;
/// Three, so that a loss of the rival at that moment decides nothing.
const TESTS_TO_LEAVE: u32 = 3;
/// A test costs 40 % for about two round trips.
const TEST_EVERY: Duration = Duration::from_millis(1_000);
/// Soon: what seemed a rival's queue may be a longer way.
const FIRST_TEST: Duration = Duration::from_millis(200);
/// Part of a cut that arrives where (almost) all of the bottleneck is ours.
const ALONE: f64 = 0.75;

/// Looks now and then whether the rival is gone.
#[derive(Clone, Debug)]
pub(crate) struct DrainTest {
    next: Instant,
    /// Start and end of sending less, and what arrived before.
    running: Option<(Instant, Instant, f64)>,
    alone: u32,
}

impl DrainTest {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            next: now + FIRST_TEST,
            running: None,
            alone: 0,
        }
    }

    /// The rate to hold while a test sends less.
    pub(crate) fn rate(&self, now: Instant) -> Option<f64> {
        let (_, until, before) = self.running?;
        (now < until).then_some(before * TEST_RATE)
    }

    pub(crate) fn begin_if_due(&mut self, now: Instant, arrived: f64, rtt: Duration) {
        if self.running.is_none() && now >= self.next {
            let span = rtt.clamp(Duration::from_millis(30), Duration::from_millis(150));
            self.running = Some((now, now + span, arrived));
        }
    }

    /// The times between which less was sent and what arrived before, once
    /// all of it was heard of.
    pub(crate) fn finished(&self, newest_sent_at: Instant) -> Option<(Instant, Instant, f64)> {
        self.running
            .filter(|(_, until, _)| newest_sent_at >= *until)
    }

    /// Takes the outcome; true where the rival is gone.
    pub(crate) fn end(&mut self, now: Instant, part: Option<f64>, drained: bool) -> bool {
        self.running = None;
        if drained || part.is_some_and(|part| part > ALONE) {
            self.alone += 1;
            self.next = now + TEST_EVERY / 4;
        } else {
            self.alone = 0;
            self.next = now + TEST_EVERY;
        }
        self.alone >= TESTS_TO_LEAVE
    }
}
