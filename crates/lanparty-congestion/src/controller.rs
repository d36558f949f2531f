//! The decisions, put together.
//!
//! The rate is the bottleneck's, which shows whenever a queue stands, times a
//! little more or less by how far the queue is from its target. Where no queue
//! stands it grows: by doubling until the first queue, later by a twentieth a
//! round trip.

mod competing;
mod drain;
mod permission;
mod startup;
mod steady;

use std::time::{Duration, Instant};

use crate::competition::{DrainTest, Suspicion};
use crate::config::Config;
use crate::cubic::Cubic;
use crate::delay::Delay;
use crate::history::History;
use crate::loss::{Judgement, LossJudge};
use crate::snapshot::{Mode, Snapshot};

use self::drain::Drain;

/// Round trips as the connection measured them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtt {
    pub latest: Duration,
    pub smoothed: Duration,
    pub min: Duration,
}

/// Bytes a second to begin with at most: a short round trip says nothing of
/// the rate, and 16 Mbit/s overrun 10 for one round trip only.
const FIRST_RATE: f64 = 2_000_000.0;
/// A round trip for decisions: marks come every 5 ms.
const MIN_ROUND: f64 = 0.020;
/// Seconds over which arrivals are measured once the rate is found.
const STEADY_SPAN: f64 = 0.050;
/// Seconds, four marks: of those the lowest counts.
const LATELY: f64 = 0.020;
/// Seconds, less than a packet at 30 Mbit/s.
const NO_QUEUE: f64 = 0.0004;
/// Packets: less would wait for the peer's delayed acknowledgements.
const LEAST_WINDOW: f64 = 10.0;

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
    drain: Drain,
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
            drain: Drain::new(now),
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
}

fn seconds(value: f64) -> Duration {
    Duration::from_secs_f64(value.clamp(0.0, 3_600.0))
}
