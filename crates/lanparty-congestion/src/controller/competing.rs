//! Beside a flow that fills the queue: its equal, until it has gone.

use std::time::Instant;

use super::steady::ROUNDS_TO_FAST;
use super::{Controller, MIN_ROUND, STEADY_SPAN, seconds};
use crate::competition::{DrainTest, part_of_cut};
use crate::cubic::Cubic;
use crate::snapshot::Mode;

impl Controller {
    pub(super) fn compete(&mut self, now: Instant) {
        self.suspicion.answered(now);
        let window = (self.capacity * self.delay.latest_rtt()).max(4.0 * self.packet);
        let cubic = Cubic::resumed(self.packet as u16, window as u64);
        self.rival = Some((cubic, DrainTest::new(now)));
        self.mode = Mode::Competing;
    }

    pub(super) fn decide_competing(&mut self, now: Instant) {
        let Some(interval) = self.delay.interval(STEADY_SPAN) else {
            return;
        };
        let target = self.target();
        let newest = self.delay.newest().map_or(now, |sample| sample.sent_at);
        let rtt = seconds(self.delay.latest_rtt());
        let Some((_, test)) = &mut self.rival else {
            self.enter_steady(now);
            return;
        };
        if let Some((from, to, before)) = test.finished(newest) {
            // The last span of the test, heard of by now.
            let part = self
                .delay
                .interval(0.025)
                .and_then(|interval| part_of_cut(&interval, before));
            // A rival's queue moves when we send less; a longer way does not.
            let range = self.delay.queue_range(from, to);
            if part.is_some_and(|part| part < 0.1) && range < 0.001 + 2.0 * self.delay.noise() {
                self.delay.rebase(from);
                self.capacity = before;
                self.proven = before;
                self.leave_rival(now);
                return;
            }
            let drained = self.queue.unwrap_or(0.0) < 2.0 * target;
            if test.end(now, part, drained) {
                self.capacity = before;
                self.proven = before;
                self.leave_rival(now);
            }
        } else if test.rate(now).is_none() {
            self.capacity = interval.arrived;
            self.proven = interval.arrived;
            test.begin_if_due(now, interval.arrived, rtt);
        }
    }

    /// What the rival had is free now: grow fast where no queue stands.
    fn leave_rival(&mut self, now: Instant) {
        self.enter_steady(now);
        let round = self.delay.latest_rtt().max(MIN_ROUND);
        self.empty_since = now.checked_sub(seconds(ROUNDS_TO_FAST * round));
    }
}
