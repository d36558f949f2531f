//! Whether the queue is ours.
//!
//! Beside nobody, what arrives does not depend on what we send while a queue
//! stands: it is the bottleneck's rate, and a queue drains as fast as we send
//! less. Beside others we get what we ask for, and the queue drains slower or
//! not at all. So the share of a cut that is missing in what arrives tells.

use std::time::{Duration, Instant};

use crate::delay::Interval;

/// Below this part of the capacity we send so much less that it shows; above
/// it we ask for all, and what arrives is the capacity.
pub(crate) const CUT: f64 = 0.9;
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
/// Shortly after a rival was answered it is likely to be still there.
const SLOW_PATIENCE_AGAIN: Duration = Duration::from_millis(600);
const SHRUNK_AGAIN: f64 = 0.9;
const REMEMBERED: Duration = Duration::from_secs(10);
/// A part that shrinks by [`EBB`] in each of [`EBBS`] such spans, while a queue
/// stands, ebbs to a rival whose queue we took for the path. A link that got
/// slower does so once.
const EBB_SPAN: Duration = Duration::from_millis(1_500);
const EBB: f64 = 0.88;
const EBBS: u32 = 2;

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
    ebb: Option<Ebb>,
    /// When we last competed.
    last_rival: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Ebb {
    since: Instant,
    capacity: f64,
    /// Before all spans that shrank.
    first: f64,
    spans: u32,
}

impl Suspicion {
    /// We compete, or the rival is gone.
    pub(crate) const fn answered(&mut self, now: Instant) {
        self.clear();
        self.last_rival = Some(now);
    }

    pub(crate) const fn clear(&mut self) {
        self.since = None;
        self.above = None;
        self.ebb = None;
    }

    /// Judges the slow ways: the capacity before the rival, where there is one.
    /// `over` is the queue as a multiple of the target.
    pub(crate) fn judge_slowly(&mut self, now: Instant, over: f64, capacity: f64) -> Option<f64> {
        let is_known = self
            .last_rival
            .is_some_and(|last| now.saturating_duration_since(last) < REMEMBERED);
        let (patience, shrunk, bound) = if is_known {
            (SLOW_PATIENCE_AGAIN, SHRUNK_AGAIN, 1.1)
        } else {
            (SLOW_PATIENCE, SHRUNK, 1.5)
        };
        self.ebbing(now, capacity).or_else(|| {
            if over < bound {
                self.above = None;
                return None;
            }
            let (since, before) = *self.above.get_or_insert((now, capacity));
            let is_long = now.saturating_duration_since(since) >= patience;
            (is_long && capacity < shrunk * before).then_some(before)
        })
    }

    fn ebbing(&mut self, now: Instant, capacity: f64) -> Option<f64> {
        let ebb = self.ebb.get_or_insert(Ebb {
            since: now,
            capacity,
            first: capacity,
            spans: 0,
        });
        if now.saturating_duration_since(ebb.since) < EBB_SPAN {
            return None;
        }
        if capacity < EBB * ebb.capacity {
            ebb.spans += 1;
        } else {
            ebb.spans = 0;
            ebb.first = capacity;
        }
        ebb.since = now;
        ebb.capacity = capacity;
        (ebb.spans >= EBBS).then_some(ebb.first)
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
/// Points to leave at: two for a cut of which all arrived, one for a queue that
/// was gone before it told. A loss of the rival at that moment decides nothing.
const POINTS_TO_LEAVE: u32 = 5;
/// A test costs 40 % for about two round trips.
const TEST_EVERY: Duration = Duration::from_millis(1_000);
/// The rival may have lost something just then: look again.
const TEST_AGAIN: Duration = Duration::from_millis(300);
/// Soon: what seemed a rival's queue may be a longer way.
const FIRST_TEST: Duration = Duration::from_millis(200);
/// Less is sent for so long after a test too, two marks: the last mark of the
/// test would else be one behind the burst that follows it, and show no cut.
const LAST_MARK: Duration = Duration::from_millis(10);
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
        (now < until + LAST_MARK).then_some(before * TEST_RATE)
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
        let points = match part {
            Some(part) if part > ALONE => 2,
            _ if drained => 1,
            _ => 0,
        };
        self.alone = if points == 0 { 0 } else { self.alone + points };
        self.next = now + if points == 0 { TEST_EVERY } else { TEST_AGAIN };
        self.alone >= POINTS_TO_LEAVE
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment will do")]
mod tests {
    use super::*;

    #[test]
    fn a_mark_that_ends_a_test_is_not_followed_by_a_burst_that_hides_the_cut() {
        let now = Instant::now();
        let rtt = Duration::from_millis(40);
        let mut test = DrainTest::new(now);
        let begun = now + FIRST_TEST;
        test.begin_if_due(begun, 1e6, rtt);
        let newest = begun + rtt + Duration::from_millis(5);
        assert!(test.finished(newest).is_some());
        assert_eq!(test.rate(newest), Some(TEST_RATE * 1e6));
        assert_eq!(test.rate(newest + LAST_MARK), None);
    }
}
