//! How long the queue on the way to the peer is, from one-way delays, or from
//! round trips where the peer tells none.
//!
//! The queue is what a delay has above the lowest of the last seconds. The
//! clocks' offset cancels out; drift is forgotten with the window; a step of a
//! clock is found by the round trip, which no one-way queue can exceed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::history::{History, Totals};

/// One sample of many within this is kept, the lowest: acknowledgements of a
/// fast path come every few microseconds.
const SLOT: Duration = Duration::from_millis(2);
/// Covers the longest interval that is asked for, at one sample a slot.
const MAX_SAMPLES: usize = 512;
/// Seconds; over less nothing can be measured.
const LEAST_SPAN: f64 = 0.001;
/// Seconds; half of what lies between two marks.
const APART: f64 = 0.0025;
/// Samples older than this say nothing about the present rate.
const MAX_AGE: Duration = Duration::from_secs(1);
/// The base is the lowest of this many spans. Long, because a rival's queue
/// must not pass for the path; what rises is found by sending less
/// ([`Delay::raise`], [`Delay::rebase`]).
const BASE_SPANS: usize = 8;
const BASE_SPAN: Duration = Duration::from_secs(8);
/// Without an echo for this long and some round trips, round trips serve.
const ONE_WAY_STALE: Duration = Duration::from_millis(300);
/// A one-way queue longer than the round trip's allows by this much, for
/// [`STEP_TIME`], is a clock that was set.
const STEP: f64 = 0.010;
/// More would be a path of its own.
const MOST_NOISE: f64 = 0.010;
/// Until it is measured: a radio's, which must not pass for the first queue.
const FIRST_NOISE: f64 = 0.0015;
const STEP_TIME: Duration = Duration::from_millis(100);

/// One measured delay and what had been sent before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) sent_at: Instant,
    pub(crate) heard_at: Instant,
    /// Seconds, of unknown offset.
    delay: f64,
    totals: Totals,
}

impl Sample {
    /// Seconds between the arrivals.
    fn arrived_after(&self, earlier: &Self) -> f64 {
        let apart = self.sent_at.saturating_duration_since(earlier.sent_at);
        apart.as_secs_f64() + self.delay - earlier.delay
    }
}

/// What happened between two samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interval {
    /// Bytes a second that left us.
    pub(crate) sent: f64,
    /// Bytes a second at which they arrived, lost ones included: sent bytes
    /// over the time between the arrivals. While a queue stands this is our
    /// part of the bottleneck's rate, whatever we send.
    pub(crate) arrived: f64,
    /// Share of the time in which data waited for permission.
    pub(crate) blocked: f64,
    /// Shortest queue, seconds.
    pub(crate) queue_min: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Delay {
    samples: VecDeque<Sample>,
    spans: VecDeque<f64>,
    span_began: Instant,
    is_one_way: bool,
    last_one_way: Option<Instant>,
    /// Lowest round trip of the last spans, seconds.
    rtt_spans: VecDeque<f64>,
    rtt_latest: f64,
    stepped_since: Option<Instant>,
    slot_began: Instant,
    /// When the queue was last seen (almost) empty.
    pub(crate) empty_at: Instant,
    /// Mean distance of a sample from what its neighbours suggest, seconds.
    noise: f64,
}

impl Delay {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            samples: VecDeque::new(),
            spans: VecDeque::new(),
            span_began: now,
            is_one_way: false,
            last_one_way: None,
            rtt_spans: VecDeque::new(),
            rtt_latest: 0.0,
            stepped_since: None,
            slot_began: now,
            empty_at: now,
            noise: FIRST_NOISE,
        }
    }

    pub(crate) const fn is_one_way(&self) -> bool {
        self.is_one_way
    }

    pub(crate) const fn noise(&self) -> f64 {
        self.noise
    }

    /// Lowest round trip of the last seconds.
    pub(crate) fn min_rtt(&self) -> Option<f64> {
        lowest(&self.rtt_spans)
    }

    pub(crate) const fn latest_rtt(&self) -> f64 {
        self.rtt_latest
    }

    /// The peer told when something sent then arrived. True where there is a
    /// new sample.
    pub(crate) fn on_one_way(
        &mut self,
        now: Instant,
        sent_at: Instant,
        relative_us: i64,
        history: &History,
    ) -> bool {
        if !self.is_one_way {
            self.forget();
            self.is_one_way = true;
        }
        self.last_one_way = Some(now);
        self.add(now, sent_at, relative_us as f64 * 1e-6, history)
    }

    /// The newest packet of an acknowledgement. True where it makes a sample.
    pub(crate) fn on_round_trip(
        &mut self,
        now: Instant,
        sent_at: Instant,
        history: &History,
    ) -> bool {
        let rtt = now.saturating_duration_since(sent_at).as_secs_f64();
        self.rtt_latest = rtt;
        self.turn_span(now);
        note_lowest(&mut self.rtt_spans, rtt);
        if self.is_one_way {
            let patience = ONE_WAY_STALE.max(Duration::from_secs_f64(4.0 * rtt.min(1.0)));
            let is_stale = self
                .last_one_way
                .is_none_or(|last| now.saturating_duration_since(last) > patience);
            if !is_stale || !history.is_blocked() {
                return false;
            }
            self.forget();
            self.is_one_way = false;
        }
        self.add(now, sent_at, rtt, history)
    }

    /// The path is another: no earlier delay counts.
    pub(crate) fn forget(&mut self) {
        self.samples.clear();
        self.spans.clear();
        self.rtt_spans.clear();
        self.stepped_since = None;
    }

    /// The lowest delay seen since then is what an empty queue has.
    pub(crate) fn rebase(&mut self, since: Instant) {
        let recent = self
            .samples
            .iter()
            .filter(|sample| sample.heard_at >= since);
        let lowest = recent
            .map(|sample| sample.delay)
            .fold(f64::INFINITY, f64::min);
        if lowest.is_finite() {
            self.spans.clear();
            self.spans.push_back(lowest);
            self.rtt_spans.clear();
            self.rtt_spans.push_back(self.rtt_latest);
        }
    }

    /// The base is higher than thought, by so many seconds.
    pub(crate) fn raise(&mut self, by: f64) {
        for span in &mut self.spans {
            *span += by;
        }
    }

    pub(crate) fn newest(&self) -> Option<&Sample> {
        self.samples.back()
    }

    /// Queue that a sample met, seconds.
    pub(crate) fn queue(&self, sample: &Sample) -> f64 {
        let base = lowest(&self.spans).unwrap_or(sample.delay);
        (sample.delay - base).max(0.0)
    }

    /// Shortest queue that was heard of within the last `window` seconds.
    pub(crate) fn queue_lately(&self, now: Instant, window: f64) -> Option<f64> {
        self.lately(now, window)
            .map(|sample| self.queue(sample))
            .reduce(f64::min)
    }

    /// The same of at least two samples that arrived apart: a peer that was
    /// stalled takes all at once what came meanwhile, and none of that had to
    /// wait for the path.
    pub(crate) fn queue_through_stalls(&self, now: Instant, window: f64) -> Option<f64> {
        let newest = self.samples.back()?;
        let mut lowest = f64::INFINITY;
        let mut is_apart = false;
        for sample in self.samples.iter().rev() {
            let age = now.saturating_duration_since(sample.heard_at);
            if is_apart && age.as_secs_f64() > window {
                break;
            }
            lowest = lowest.min(self.queue(sample));
            is_apart |= newest.arrived_after(sample) >= APART;
        }
        Some(lowest)
    }

    /// Range of the queues that were met between these moments.
    pub(crate) fn queue_range(&self, from: Instant, to: Instant) -> f64 {
        let met = self
            .samples
            .iter()
            .filter(|sample| (from..=to).contains(&sample.sent_at));
        let (low, high) = met.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), sample| {
            (low.min(sample.delay), high.max(sample.delay))
        });
        (high - low).max(0.0)
    }

    /// The queue that a packet sent now will meet: what was measured, plus
    /// what was sent since, minus what left since at `capacity` (a Smith
    /// predictor: it takes the round trip out of the control loop). The lowest
    /// of the recent samples' predictions, since schedulers only ever add.
    pub(crate) fn queue_ahead(
        &self,
        now: Instant,
        window: f64,
        capacity: f64,
        history: &History,
    ) -> Option<f64> {
        self.lately(now, window)
            .map(|sample| {
                let since = now.saturating_duration_since(sample.sent_at).as_secs_f64();
                let added = (history.sent() - sample.totals.sent) / capacity.max(1.0);
                self.queue(sample) + added - since
            })
            .reduce(f64::min)
    }

    /// From the newest sample back to the youngest that is `span` seconds
    /// older.
    pub(crate) fn interval(&self, span: f64) -> Option<Interval> {
        let last = self.samples.back()?;
        let mut queue_min = f64::INFINITY;
        for first in self.samples.iter().rev() {
            queue_min = queue_min.min(self.queue(first));
            let apart = last.sent_at.saturating_duration_since(first.sent_at);
            let apart = apart.as_secs_f64();
            if apart < span.max(LEAST_SPAN) {
                continue;
            }
            let sent = last.totals.sent - first.totals.sent;
            let arrival = last.arrived_after(first).max(apart * 0.1);
            return Some(Interval {
                sent: sent / apart,
                arrived: sent / arrival,
                blocked: (last.totals.blocked - first.totals.blocked) / apart,
                queue_min,
            });
        }
        None
    }

    fn lately(&self, now: Instant, window: f64) -> impl Iterator<Item = &Sample> {
        let newest = self.samples.back().map(|sample| sample.heard_at);
        self.samples.iter().rev().take_while(move |sample| {
            Some(sample.heard_at) == newest
                || now.saturating_duration_since(sample.heard_at).as_secs_f64() <= window
        })
    }

    fn add(&mut self, now: Instant, sent_at: Instant, delay: f64, history: &History) -> bool {
        self.turn_span(now);
        if self.is_from_a_set_clock(now, delay) {
            return false;
        }
        note_lowest(&mut self.spans, delay);
        if let Some(last) = self.samples.back_mut() {
            if sent_at <= last.sent_at {
                return false;
            }
            if sent_at.saturating_duration_since(self.slot_began) < SLOT {
                if delay < last.delay {
                    last.delay = delay;
                    last.sent_at = sent_at;
                    last.heard_at = now;
                    last.totals = history.at(sent_at);
                }
                return false;
            }
        }
        // A growing queue is no noise: what is off the line through its
        // neighbours is.
        let mut last = self.samples.iter().rev();
        if let (Some(second), Some(first)) = (last.next(), last.next()) {
            let bend = (delay - 2.0 * second.delay + first.delay).abs() / 2.0;
            self.noise += (bend.min(MOST_NOISE) - self.noise) / 16.0;
        }
        self.slot_began = sent_at;
        self.samples.push_back(Sample {
            sent_at,
            heard_at: now,
            delay,
            totals: history.at(sent_at),
        });
        while self.samples.len() > MAX_SAMPLES
            || self.samples.front().is_some_and(|first| {
                self.samples.len() > 2 && now.saturating_duration_since(first.heard_at) > MAX_AGE
            })
        {
            self.samples.pop_front();
        }
        true
    }

    /// True for a delay that no queue explains, and for what follows until it
    /// is clear that it stays.
    fn is_from_a_set_clock(&mut self, now: Instant, delay: f64) -> bool {
        let (true, Some(base)) = (self.is_one_way, lowest(&self.spans)) else {
            return false;
        };
        let possible = self.rtt_latest - self.min_rtt().unwrap_or(self.rtt_latest);
        let possible = possible.max(0.0) + STEP;
        if (-STEP..=possible).contains(&(delay - base)) {
            self.stepped_since = None;
            return false;
        }
        let since = *self.stepped_since.get_or_insert(now);
        if now.saturating_duration_since(since) < STEP_TIME {
            return true;
        }
        self.samples.clear();
        self.spans.clear();
        self.stepped_since = None;
        false
    }

    fn turn_span(&mut self, now: Instant) {
        if now.saturating_duration_since(self.span_began) < BASE_SPAN {
            return;
        }
        self.span_began = now;
        for spans in [&mut self.spans, &mut self.rtt_spans] {
            spans.push_back(f64::INFINITY);
            // An idle connection keeps what it knew.
            let known = spans.iter().filter(|span| span.is_finite()).count();
            if spans.len() > BASE_SPANS && known > 1 {
                spans.pop_front();
            }
            if spans.len() > 2 * BASE_SPANS {
                spans.remove(1);
            }
        }
    }
}

fn lowest(spans: &VecDeque<f64>) -> Option<f64> {
    spans
        .iter()
        .copied()
        .reduce(f64::min)
        .filter(|lowest| lowest.is_finite())
}

fn note_lowest(spans: &mut VecDeque<f64>, value: f64) {
    match spans.back_mut() {
        Some(last) => *last = last.min(value),
        None => spans.push_back(value),
    }
}
