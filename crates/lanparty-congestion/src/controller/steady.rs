//! Keeping to the rate that was found: what a queue says of it, and growth
//! where none stands.

use std::time::Instant;

use super::startup::STARTUP_SPAN;
use super::{Controller, MIN_ROUND, NO_QUEUE, STEADY_SPAN, seconds};
use crate::competition::{CUT, Finding, part_of_cut};
use crate::delay::Interval;
use crate::snapshot::Mode;

/// Growth a round trip while no queue stands, and after several of them.
const GROWTH: f64 = 1.05;
const FAST_GROWTH: f64 = 1.25;
pub(super) const ROUNDS_TO_FAST: f64 = 4.0;

impl Controller {
    pub(super) fn enter_steady(&mut self, now: Instant) {
        self.mode = Mode::Steady;
        if self.rival.take().is_some() {
            self.suspicion.answered(now);
        }
        self.empty_since = None;
        self.drain.stop();
        self.delay.empty_at = now;
    }

    pub(super) fn decide_steady(&mut self, now: Instant, elapsed: f64) {
        let Some(interval) = self.delay.interval(STEADY_SPAN) else {
            return;
        };
        let target = self.target();
        let threshold = (0.3 * target).max(NO_QUEUE) + self.delay.noise();
        let latest = self.first_queue(now);
        if interval.queue_min > threshold {
            self.empty_since = None;
            self.follow(&interval);
        } else if latest > target {
            self.end_growth(now);
        } else if interval.blocked > 0.5 {
            self.suspicion.clear();
            let since = *self.empty_since.get_or_insert(now);
            self.grow(now, since, &interval, elapsed);
        } else {
            self.empty_since = None;
        }
        let high = 2.0 * target + 0.004;
        let rtt = seconds(self.delay.latest_rtt());
        let reference = self.capacity.min(self.proven);
        let finding = self.suspicion.judge(now, &interval, reference, high, rtt);
        let over = if interval.blocked > 0.5 {
            interval.queue_min / target
        } else {
            0.0
        };
        if finding == Finding::NotOurs {
            self.compete(now);
            return;
        }
        let slow = self.suspicion.judge_slowly(now, over, self.capacity);
        if let Some(before) = slow {
            self.capacity = before;
            self.compete(now);
            return;
        }
        self.drain
            .look(now, self.queue.unwrap_or(0.0), &mut self.delay);
    }

    /// A queue stands: what arrives is what the bottleneck gives us, unless we
    /// just asked for less.
    fn follow(&mut self, interval: &Interval) {
        let reference = self.capacity.min(self.proven);
        let is_pushing = interval.sent >= CUT * reference;
        let is_draining = interval.arrived > 1.03 * interval.sent;
        // What arrived is counted from what was sent, lost or not: before a
        // full buffer it would confirm any rate, and a stall multiply it. A
        // rate above the line's must not stay: the control holds the queue of
        // one at what leaves, which looks like a rival's.
        let is_more = interval.arrived > self.capacity && !self.loss.is_suspicious();
        let asked_less = part_of_cut(interval, reference).is_some_and(|part| part < 0.75);
        let is_overrun = interval.arrived > self.capacity && !is_more;
        if !is_overrun && (is_more || is_pushing || (is_draining && !asked_less)) {
            let is_far = interval.arrived < 0.8 * self.capacity;
            let step = if is_far { 0.5 } else { 0.2 };
            let arrived = interval.arrived.min(2.0 * self.capacity);
            self.capacity += step * (arrived - self.capacity);
            self.proven = self.capacity;
            self.is_measured = true;
        }
    }

    /// The first queue after there was none.
    fn end_growth(&mut self, now: Instant) {
        let Some(since) = self.empty_since.take() else {
            return;
        };
        let rounds = self.rounds_since(now, since);
        if rounds < ROUNDS_TO_FAST {
            return;
        }
        if let Some(interval) = self.delay.interval(STARTUP_SPAN) {
            let arrived = self.arrived_through_stalls(interval.arrived);
            self.capacity = self.capacity.min(arrived);
            self.proven = self.capacity;
        }
    }

    fn grow(&mut self, now: Instant, since: Instant, interval: &Interval, elapsed: f64) {
        if self.loss.is_suspicious() || self.drain.forbids_growth(now) {
            self.empty_since = Some(now);
            return;
        }
        self.proven = self.proven.max(interval.arrived);
        let round = self.delay.latest_rtt().max(MIN_ROUND);
        let growth = if self.rounds_since(now, since) < ROUNDS_TO_FAST {
            GROWTH
        } else {
            FAST_GROWTH
        };
        let grown = self.capacity * growth.powf((elapsed / round).min(1.0));
        let bound = 2.0 * interval.arrived;
        if grown < bound {
            self.capacity = grown;
        }
        if let Some(ceiling) = self.loss.ceiling(now) {
            self.capacity = self.capacity.min(ceiling);
            self.empty_since = Some(now);
        }
    }

    fn rounds_since(&self, now: Instant, since: Instant) -> f64 {
        let round = self.delay.latest_rtt().max(MIN_ROUND);
        now.saturating_duration_since(since).as_secs_f64() / round
    }
}
