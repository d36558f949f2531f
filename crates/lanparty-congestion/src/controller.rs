//! The decisions, put together.
//!
//! The rate is the bottleneck's, which shows whenever a queue stands, times a
//! little more or less by how far the queue is from its target. Where no queue
//! stands it grows: by doubling until the first queue, later by a twentieth a
//! round trip.

use std::time::{Duration, Instant};

use crate::competition::{DrainTest, Finding, Suspicion, part_of_cut};
use crate::config::Config;
use crate::cubic::Cubic;
use crate::delay::{Delay, Interval};
use crate::history::History;
use crate::loss::{Judgement, LossJudge};
use crate::snapshot::{Mode, Snapshot};

/// Round trips as the connection measured them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtt {
    pub latest: Duration,
    pub smoothed: Duration,
    pub min: Duration,
}

/// Seconds in which a queue above or below its target is made good. Chosen
/// because an empty queue then asks for about the +5 % that probing may cost.
const CORRECTION: f64 = 0.05;
const MOST_GAIN: f64 = 1.05;
const LEAST_GAIN: f64 = 0.5;
/// While looking for the rate: double where that is heard of soon, less where
/// the queue would have grown for long before it is.
const STARTUP_GAIN: f64 = 2.0;
const STARTUP_GAIN_FAR: f64 = 1.5;
const FAR: f64 = 0.060;
const NEAR: f64 = 0.020;
/// Bytes a second to begin with at most: a short round trip says nothing of
/// the rate, and 16 Mbit/s overrun 10 for one round trip only.
const FIRST_RATE: f64 = 2_000_000.0;
/// Part of the rate from which on a queue tells of the path although nothing
/// waits for us.
const HEAVY: f64 = 0.5;
/// Two marks; three where the round trip is short, for a stall of some
/// milliseconds is then no queue and waiting costs little.
const STARTUP_LATELY: f64 = 0.006;
const STARTUP_LATELY_NEAR: f64 = 0.011;
const STALL: f64 = 0.005;
/// Growth a round trip while no queue stands, and after several of them.
const GROWTH: f64 = 1.05;
const FAST_GROWTH: f64 = 1.25;
const ROUNDS_TO_FAST: f64 = 4.0;
/// A round trip for decisions: marks come every 5 ms.
const MIN_ROUND: f64 = 0.020;
/// Spans over which arrivals are measured, seconds.
const STEADY_SPAN: f64 = 0.050;
const STARTUP_SPAN: f64 = 0.010;
const STARTUP_SPAN_NEAR: f64 = 0.004;
/// Four marks: of those the lowest counts.
const LATELY: f64 = 0.020;
/// The target is the configured one at this rate, bytes a second, and falls
/// with the fourth root: whoever has less pushes harder, so that equals end
/// up with equal shares, and a queue in time is cheaper on a fast link.
const TARGET_RATE: f64 = 1_250_000.0;
const LEAST_TARGET: f64 = 0.0012;
/// Windows a round trip beside a rival: smoother than it would lose less than
/// it, and take more than its part.
const COMPETING_PACE: f64 = 2.5;
/// An empty queue is looked for this often, or other flows' queue would pass
/// for the path's delay.
const DRAIN_EVERY: Duration = Duration::from_secs(2);
const DRAIN_RATE: f64 = 0.75;
/// A longer queue is not drained for a look, but by the control itself.
const MOST_DRAINED: f64 = 0.010;
/// Seconds by which the idea of an empty queue rises with a drain at most: a
/// rival's queue may be what did not shorten.
const MOST_RAISED: f64 = 0.001;
/// Seconds, less than a packet at 30 Mbit/s.
const NO_QUEUE: f64 = 0.0004;
/// Packets: less would wait for the peer's delayed acknowledgements.
const LEAST_WINDOW: f64 = 10.0;
/// Bytes a second, 128 kbit/s: less than any party could use.
const LEAST_RATE: f64 = 16_000.0;

/// Decides how much may be in flight and how fast it leaves.
#[derive(Clone, Debug)]
pub struct Controller {
    config: Config,
    packet: f64,
    mode: Mode,
    history: History,
    delay: Delay,
    loss: LossJudge,
    suspicion: Suspicion,
    rival: Option<(Cubic, DrainTest)>,
    /// Bytes a second that the path takes from us.
    capacity: f64,
    /// What arrived when we last asked for all of it; growth is a guess above.
    proven: f64,
    is_measured: bool,
    /// When start-up began, the first or another.
    began: Instant,
    rate: f64,
    window: f64,
    rtt: Option<Rtt>,
    /// The newest packet of the acknowledgement being told.
    acked_sent_at: Option<Instant>,
    judged: Instant,
    /// Since when there has been no queue although data waited.
    empty_since: Option<Instant>,
    draining_until: Option<Instant>,
    drain_began: Instant,
    /// An empty queue before was asked for.
    grow_after: Instant,
    queue: Option<f64>,
}

impl Controller {
    #[must_use]
    pub fn new(config: Config, now: Instant, packet_bytes: u16) -> Self {
        Self {
            config,
            packet: f64::from(packet_bytes.max(1)),
            mode: Mode::Startup,
            history: History::new(now),
            delay: Delay::new(now),
            loss: LossJudge::new(now),
            suspicion: Suspicion::default(),
            rival: None,
            capacity: 0.0,
            proven: 0.0,
            is_measured: false,
            began: now,
            rate: 0.0,
            window: config.initial_window as f64,
            rtt: None,
            acked_sent_at: None,
            judged: now,
            empty_since: None,
            draining_until: None,
            drain_began: now,
            grow_after: now,
            queue: None,
        }
    }

    /// A packet left that counts as in flight.
    pub fn on_sent(&mut self, now: Instant, bytes: u64) {
        self.history.on_sent(now, bytes);
    }

    /// One packet arrived.
    pub fn on_acked(&mut self, now: Instant, sent_at: Instant, bytes: u64) {
        self.acked_sent_at = self.acked_sent_at.max(Some(sent_at));
        if let Some((cubic, _)) = &mut self.rival
            && self.history.is_blocked()
        {
            let rtt = self.rtt.map_or(Duration::ZERO, |rtt| rtt.smoothed);
            cubic.on_acked(now, sent_at, bytes, rtt);
        }
    }

    /// All packets of one acknowledgement were told.
    pub fn on_acks_end(&mut self, now: Instant, _in_flight: u64, rtt: Rtt) {
        let Some(sent_at) = self.acked_sent_at.take() else {
            return;
        };
        self.rtt = Some(rtt);
        let is_new = self.delay.on_round_trip(now, sent_at, &self.history);
        if self.capacity == 0.0 {
            let first = now.saturating_duration_since(sent_at).as_secs_f64();
            let rate = self.config.initial_window as f64 / first.max(1e-4);
            self.capacity = rate.min(FIRST_RATE);
        }
        if is_new {
            self.decide(now);
        }
        self.judge_loss(now);
        self.set_rate(now);
    }

    /// Packets did not arrive, the last of them sent then.
    pub fn on_lost(&mut self, now: Instant, sent_at: Instant, bytes: u64, persistent: bool) {
        self.loss.on_lost(sent_at, (bytes as f64).max(self.packet));
        if let Some((cubic, _)) = &mut self.rival {
            cubic.on_lost(now, sent_at, persistent);
        }
        if persistent && sent_at >= self.began {
            self.begin_again(now);
        }
        self.set_rate(now);
    }

    /// The peer's clock minus ours for something sent then, in microseconds.
    /// The offset of the clocks is unknown; only differences count.
    pub fn on_one_way_delay(&mut self, now: Instant, sent_at: Instant, relative_us: i64) {
        let is_new = self
            .delay
            .on_one_way(now, sent_at, relative_us, &self.history);
        if is_new {
            self.decide(now);
            self.set_rate(now);
        }
    }

    /// The path carries packets of another length now.
    pub fn on_packet_bytes(&mut self, packet_bytes: u16) {
        self.packet = f64::from(packet_bytes.max(1));
    }

    /// Whether data waits for permission to leave.
    pub fn set_backlogged(&mut self, now: Instant, backlogged: bool) {
        self.history.set_blocked(now, backlogged);
    }

    /// Bytes that may be in flight.
    #[must_use]
    pub const fn window(&self) -> u64 {
        self.window as u64
    }

    /// Bytes a second; `None`: as fast as the window allows.
    #[must_use]
    pub fn rate(&self) -> Option<u64> {
        (self.rate > 0.0).then_some(self.rate as u64)
    }

    /// What the controller thinks.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            mode: self.mode,
            queue_delay: self.queue.map(seconds),
            bandwidth: self.is_measured.then_some(self.capacity as u64),
            random_loss_ppm: (self.loss.random() * 1e6) as u32,
            is_one_way: self.delay.is_one_way(),
        }
    }

    /// A new delay was heard of.
    fn decide(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.judged).as_secs_f64();
        self.judged = now;
        self.queue = self.delay.queue_lately(now, LATELY);
        match self.mode {
            Mode::Startup => self.decide_startup(now),
            Mode::Steady => self.decide_steady(now, elapsed),
            Mode::Competing => self.decide_competing(now),
        }
    }

    fn decide_startup(&mut self, now: Instant) {
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

    fn decide_steady(&mut self, now: Instant, elapsed: f64) {
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
        self.look_for_empty_queue(now);
    }

    /// A queue stands: what arrives is what the bottleneck gives us, unless we
    /// just asked for less.
    fn follow(&mut self, interval: &Interval) {
        let reference = self.capacity.min(self.proven);
        let is_pushing = interval.sent >= 0.95 * reference;
        let is_draining = interval.arrived > 1.03 * interval.sent;
        // What arrived is counted from what was sent, lost or not: before a
        // full buffer it would confirm any rate, and a stall multiply it.
        let is_more = interval.arrived > self.capacity && !self.loss.is_outage();
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

    fn startup_span(&self) -> f64 {
        if self.delay.latest_rtt() < STALL {
            STARTUP_SPAN_NEAR
        } else {
            STARTUP_SPAN
        }
    }

    /// The queue as soon as it can be told from a stall.
    fn first_queue(&self, now: Instant) -> f64 {
        let window = if self.delay.latest_rtt() < STALL {
            STARTUP_LATELY_NEAR
        } else {
            STARTUP_LATELY
        };
        self.delay.queue_through_stalls(now, window).unwrap_or(0.0)
    }

    /// A stall makes a short interval look slower than a long one.
    fn arrived_through_stalls(&self, short: f64) -> f64 {
        let long = self.delay.interval(STEADY_SPAN);
        long.map_or(short, |interval| short.max(interval.arrived))
    }

    fn rounds_since(&self, now: Instant, since: Instant) -> f64 {
        let round = self.delay.latest_rtt().max(MIN_ROUND);
        now.saturating_duration_since(since).as_secs_f64() / round
    }

    fn grow(&mut self, now: Instant, since: Instant, interval: &Interval, elapsed: f64) {
        if self.loss.is_suspicious() || now < self.grow_after {
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

    fn look_for_empty_queue(&mut self, now: Instant) {
        let told = seconds(self.delay.latest_rtt() + STEADY_SPAN + LATELY);
        let queue = self.queue.unwrap_or(0.0);
        let is_empty = queue < NO_QUEUE;
        if is_empty {
            self.delay.empty_at = now;
        }
        match self.draining_until {
            Some(until) if now >= until + seconds(self.delay.latest_rtt()) => {
                self.draining_until = None;
                if self.delay.empty_at < self.drain_began {
                    self.raise_base(until);
                }
                self.delay.empty_at = now;
            }
            Some(_) => self.grow_after = now + told,
            None => {
                let is_due = now.saturating_duration_since(self.delay.empty_at) >= DRAIN_EVERY;
                if is_due && queue < MOST_DRAINED {
                    let time = 2.0 * queue / (1.0 - DRAIN_RATE) + 0.005;
                    self.draining_until = Some(now + seconds(time));
                    self.drain_began = now;
                    self.grow_after = now + told;
                }
            }
        }
    }

    /// A drain ended without an empty queue. Where sending less did not shorten
    /// it, it is none: a clock that drifts, or a radio that is slower in use.
    fn raise_base(&mut self, drained_until: Instant) {
        let span = drained_until.saturating_duration_since(self.drain_began);
        let Some(interval) = self.delay.interval(0.75 * span.as_secs_f64()) else {
            return;
        };
        if interval.arrived < 1.05 * interval.sent {
            self.delay.raise(interval.queue_min.min(MOST_RAISED));
        }
    }

    fn compete(&mut self, now: Instant) {
        self.suspicion.answered(now);
        let window = (self.capacity * self.delay.latest_rtt()).max(4.0 * self.packet);
        let cubic = Cubic::resumed(self.packet as u16, window as u64);
        self.rival = Some((cubic, DrainTest::new(now)));
        self.mode = Mode::Competing;
    }

    fn decide_competing(&mut self, now: Instant) {
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

    fn enter_steady(&mut self, now: Instant) {
        self.mode = Mode::Steady;
        if self.rival.take().is_some() {
            self.suspicion.answered(now);
        }
        self.empty_since = None;
        self.draining_until = None;
        self.delay.empty_at = now;
    }

    /// Nothing arrives any more: another path, perhaps.
    fn begin_again(&mut self, now: Instant) {
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
        self.draining_until = None;
    }

    fn judge_loss(&mut self, now: Instant) {
        if self.mode == Mode::Competing {
            return;
        }
        let Some(interval) = self.delay.interval(STEADY_SPAN) else {
            return;
        };
        let smoothed = self.rtt.map_or(Duration::ZERO, |rtt| rtt.smoothed);
        let rtt = seconds(self.delay.latest_rtt()).max(smoothed);
        let is_doubling = self.mode == Mode::Startup;
        let judgement = self.loss.judge(
            now,
            rtt,
            self.packet,
            interval.sent,
            is_doubling,
            &self.history,
        );
        if let Judgement::Policed { rate } = judgement {
            self.capacity = self.capacity.min(rate);
            self.proven = self.capacity;
            self.empty_since = None;
            if self.mode == Mode::Startup {
                self.enter_steady(now);
            }
        }
    }

    fn set_rate(&mut self, now: Instant) {
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
            let far = (self.delay.latest_rtt() - NEAR) / (FAR - NEAR);
            return STARTUP_GAIN + (STARTUP_GAIN_FAR - STARTUP_GAIN) * far.clamp(0.0, 1.0);
        }
        if self.draining_until.is_some_and(|until| now < until) {
            return DRAIN_RATE;
        }
        let window = LATELY + 4.0 * self.delay.noise();
        let ahead = self
            .delay
            .queue_ahead(now, window, self.capacity, &self.history)
            .unwrap_or(0.0)
            .max(0.0);
        let is_growing = self.empty_since.is_some() && now >= self.grow_after;
        let most = if self.loss.ceiling(now).is_some() || is_growing {
            1.0
        } else {
            MOST_GAIN
        };
        let correction = CORRECTION.max(self.delay.latest_rtt() / 2.0);
        (1.0 + (self.target() - ahead) / correction).clamp(LEAST_GAIN, most)
    }

    /// Queue to aim at, seconds.
    fn target(&self) -> f64 {
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

fn seconds(value: f64) -> Duration {
    Duration::from_secs_f64(value.clamp(0.0, 3_600.0))
}
