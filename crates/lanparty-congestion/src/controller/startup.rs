//! Looking for the rate: doubling until the first queue.

use std::time::Instant;

use super::{Controller, FIRST_RATE, LEAST_WINDOW, MIN_ROUND, STEADY_SPAN};
use crate::snapshot::Mode;

/// While looking for the rate: double where that is heard of soon, less where
/// the queue would have grown for long before it is.
const STARTUP_GAIN: f64 = 2.0;
const STARTUP_GAIN_FAR: f64 = 1.5;
const FAR: f64 = 0.060;
const NEAR: f64 = 0.020;
/// Part of the rate from which on a queue tells of the path although nothing
/// waits for us.
const HEAVY: f64 = 0.5;
/// Seconds for which a host stalls now and then; shorter round trips are near.
const STALL: f64 = 0.005;
/// Seconds of marks, of which the lowest counts. Two marks; three where the round trip is short, for a stall of some
/// milliseconds is then no queue and waiting costs little.
const STARTUP_LATELY: f64 = 0.006;
const STARTUP_LATELY_NEAR: f64 = 0.011;
/// Seconds over which arrivals are measured.
pub(super) const STARTUP_SPAN: f64 = 0.010;
const STARTUP_SPAN_NEAR: f64 = 0.004;

/// By what the rate found so far is exceeded, so many seconds away.
pub(super) fn gain(rtt: f64) -> f64 {
    let far = (rtt - NEAR) / (FAR - NEAR);
    STARTUP_GAIN + (STARTUP_GAIN_FAR - STARTUP_GAIN) * far.clamp(0.0, 1.0)
}

impl Controller {
    pub(super) fn decide_startup(&mut self, now: Instant) {
        let Some(interval) = self.delay.interval(self.startup_span()) else {
            return;
        };
        // Whoever never waits for us may still send more than the path takes.
        if interval.blocked < 0.5 && interval.sent < HEAVY * self.capacity {
            return;
        }
        let queue = self.first_queue(now);
        if queue > self.target() + 0.001 + 2.0 * self.delay.noise() {
            self.capacity = self.arrived_through_stalls(interval.arrived);
            self.proven = self.capacity;
            self.is_measured = true;
            self.enter_steady(now);
        } else if !self.loss.is_suspicious() {
            // Without a queue no more arrives than was sent; what seems more
            // waited for a stalled host.
            self.capacity = self.capacity.max(interval.arrived.min(interval.sent));
            self.is_measured = true;
        }
    }

    /// Nothing arrives any more: another path, perhaps.
    pub(super) fn begin_again(&mut self, now: Instant) {
        self.mode = Mode::Startup;
        self.rival = None;
        self.suspicion.clear();
        self.loss.forget(now);
        self.delay.forget();
        let rtt = self.delay.latest_rtt().max(MIN_ROUND);
        let first = (LEAST_WINDOW * self.packet / rtt).min(FIRST_RATE);
        self.capacity = (self.capacity / 4.0).max(first);
        self.began = now;
        self.proven = self.capacity;
        self.is_measured = false;
        self.drain.stop();
    }

    fn startup_span(&self) -> f64 {
        if self.delay.latest_rtt() < STALL {
            STARTUP_SPAN_NEAR
        } else {
            STARTUP_SPAN
        }
    }

    /// The queue as soon as it can be told from a stall.
    pub(super) fn first_queue(&self, now: Instant) -> f64 {
        let window = if self.delay.latest_rtt() < STALL {
            STARTUP_LATELY_NEAR
        } else {
            STARTUP_LATELY
        };
        self.delay.queue_through_stalls(now, window).unwrap_or(0.0)
    }

    /// A stall makes a short interval look slower than a long one.
    pub(super) fn arrived_through_stalls(&self, short: f64) -> f64 {
        let long = self.delay.interval(STEADY_SPAN);
        long.map_or(short, |interval| short.max(interval.arrived))
    }
}
