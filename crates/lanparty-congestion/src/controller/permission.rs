//! What follows from what is known: the rate, the queue to aim at, and the
//! bound on what is in flight.

use std::time::Instant;

use super::{Controller, LATELY, LEAST_WINDOW, drain, startup};
use crate::snapshot::Mode;

/// Seconds in which a queue above or below its target is made good. Chosen
/// because an empty queue then asks for about the +5 % that probing may cost.
const CORRECTION: f64 = 0.05;
const MOST_GAIN: f64 = 1.05;
const LEAST_GAIN: f64 = 0.5;
/// The target is the configured one at this rate, bytes a second, and falls
/// with the fourth root: whoever has less pushes harder, so that equals end
/// up with equal shares, and a queue in time is cheaper on a fast link.
const TARGET_RATE: f64 = 1_250_000.0;
const LEAST_TARGET: f64 = 0.0012;
/// Windows a round trip beside a rival: smoother than it would lose less than
/// it, and take more than its part.
const COMPETING_PACE: f64 = 2.5;
/// Bytes a second, 128 kbit/s: less than any party could use.
const LEAST_RATE: f64 = 16_000.0;

impl Controller {
    pub(super) fn set_rate(&mut self, now: Instant) {
        if self.capacity == 0.0 {
            return;
        }
        self.capacity = self.capacity.max(LEAST_RATE);
        let rate = match (&self.mode, &self.rival) {
            (Mode::Competing, Some((cubic, test))) => {
                let srtt = self.rtt.map_or(0.1, |rtt| rtt.smoothed.as_secs_f64());
                let rate = COMPETING_PACE * cubic.window() as f64 / srtt.max(1e-4);
                test.rate(now).map_or(rate, |limit| limit.min(rate))
            }
            _ => {
                let rate = self.capacity * self.gain(now);
                self.loss.test_rate().map_or(rate, |limit| limit.min(rate))
            }
        };
        self.rate = rate.max(LEAST_RATE);
        self.window = self.allowed_window(rate);
    }

    fn gain(&self, now: Instant) -> f64 {
        if self.mode == Mode::Startup {
            if !self.is_measured || self.loss.is_suspicious() {
                return 1.0;
            }
            return startup::gain(self.delay.latest_rtt());
        }
        if self.drain.is_on(now) {
            return drain::RATE;
        }
        let window = LATELY + 4.0 * self.delay.noise();
        let ahead = self
            .delay
            .queue_ahead(now, window, self.capacity, &self.history)
            .unwrap_or(0.0)
            .max(0.0);
        let is_growing = self.empty_since.is_some() && !self.drain.forbids_growth(now);
        let most = if self.loss.ceiling(now).is_some() || is_growing {
            1.0
        } else {
            MOST_GAIN
        };
        let correction = CORRECTION.max(self.delay.latest_rtt() / 2.0);
        (1.0 + (self.target() - ahead) / correction).clamp(LEAST_GAIN, most)
    }

    /// Queue to aim at, seconds.
    pub(super) fn target(&self) -> f64 {
        let wanted = self.config.target_delay.as_secs_f64();
        let scaled = wanted * (TARGET_RATE / self.capacity.max(1.0)).sqrt().sqrt();
        let packets = 2.0 * self.packet / self.capacity.max(1.0);
        scaled.clamp(LEAST_TARGET, wanted).max(packets) + self.delay.noise()
    }

    /// The rate is what shapes; the window stops us when nothing is heard.
    fn allowed_window(&self, rate: f64) -> f64 {
        let least = LEAST_WINDOW * self.packet;
        if let (Mode::Competing, Some((cubic, _))) = (&self.mode, &self.rival) {
            return (cubic.window() as f64).max(4.0 * self.packet);
        }
        let min_rtt = self.delay.min_rtt().unwrap_or(0.1);
        let smoothed = self.rtt.map_or(min_rtt, |rtt| rtt.smoothed.as_secs_f64());
        let queue = self.queue.unwrap_or(0.0);
        let way = if self.delay.is_one_way() {
            (smoothed - queue).max(min_rtt)
        } else {
            min_rtt
        };
        let slack = 2.0 * self.target()
            + self.config.max_ack_delay.as_secs_f64()
            + 4.0 * self.delay.noise()
            + 0.005;
        (rate * (way + slack)).max(least)
    }
}
