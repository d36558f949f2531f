//! Which loss is our fault.
//!
//! We keep queues short, so loss is either the path's (Wi-Fi, a bad cable) or
//! that of a policer or a buffer of a few packets, and theirs goes away when we
//! send less. So less is sent for a moment,
//! and what loss remains then is never answered by sending less.

use std::time::{Duration, Instant};

/// Loss above what is known to be random that calls for a test.
const SUSPICIOUS: f64 = 0.02;
/// Windows in a row: a dropped burst fills one.
const WINDOWS: u32 = 2;
/// One lost packet of fewer would be above [`SUSPICIOUS`] by itself.
const MIN_PACKETS: f64 = 100.0;
/// While the rate doubles one window of this is enough.
const HEAVY: f64 = 0.15;
const MIN_SPAN: Duration = Duration::from_millis(50);
/// A window with fewer packets ends then and says nothing.
const MAX_SPAN: Duration = Duration::from_millis(400);
/// More than this without our fault is an outage and not a path to use.
const MOST_RANDOM: f64 = 0.10;
/// Nor does a policer take more than this from a rate that it let pass before.
const OUTAGE: f64 = 0.5;
/// Sent in a test, of what arrived before.
pub(crate) const TEST_RATE: f64 = 0.85;
/// A policer's loss of 15 % and less is gone at [`TEST_RATE`].
const REMAINS: f64 = 0.4;
/// How long a policer's rate is kept before more is tried.
const HOLD: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Judgement {
    Nothing,
    /// Send [`TEST_RATE`] of this rate until told otherwise.
    Test {
        rate: f64,
    },
    /// The loss is the path's; go on.
    Random,
    /// No more than this rate passes for some time.
    Policed {
        rate: f64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Watching { suspicious: u32 },
    Testing { loss: f64, rate: f64 },
}

#[derive(Clone, Debug)]
pub(crate) struct LossJudge {
    phase: Phase,
    began: Instant,
    acked: f64,
    lost: f64,
    /// Share of loss that is not our fault.
    random: f64,
    ceiling: Option<(f64, Instant)>,
}

impl LossJudge {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Watching { suspicious: 0 },
            began: now,
            acked: 0.0,
            lost: 0.0,
            random: 0.0,
            ceiling: None,
        }
    }

    pub(crate) const fn random(&self) -> f64 {
        self.random
    }

    pub(crate) const fn is_testing(&self) -> bool {
        matches!(self.phase, Phase::Testing { .. })
    }

    /// True while more loss than the path's was just seen.
    pub(crate) const fn is_suspicious(&self) -> bool {
        match self.phase {
            Phase::Watching { suspicious } => suspicious > 0,
            Phase::Testing { .. } => true,
        }
    }

    /// The rate that a policer lets pass, as long as it is held.
    pub(crate) fn ceiling(&self, now: Instant) -> Option<f64> {
        self.ceiling
            .filter(|(_, until)| now < *until)
            .map(|(rate, _)| rate)
    }

    pub(crate) fn on_acked(&mut self, sent_at: Instant, bytes: f64) {
        if sent_at >= self.began {
            self.acked += bytes;
        }
    }

    pub(crate) fn on_lost(&mut self, sent_at: Instant, bytes: f64) {
        if sent_at >= self.began {
            self.lost += bytes;
        }
    }

    /// Ends a window where one is full. `sent` is the rate of the last round
    /// trip.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        rtt: Duration,
        packet: f64,
        sent: f64,
        is_doubling: bool,
    ) -> Judgement {
        let total = self.acked + self.lost;
        let span = now.saturating_duration_since(self.began);
        // What was sent in a round trip is told in the next.
        let is_thin = total < MIN_PACKETS * packet;
        let least = if is_thin { MAX_SPAN } else { MIN_SPAN };
        if span < least.max(2 * rtt) {
            return Judgement::Nothing;
        }
        let loss = self.lost / total.max(packet);
        self.acked = 0.0;
        self.lost = 0.0;
        self.began = now;
        if is_thin || (loss > OUTAGE && !is_doubling) {
            self.phase = Phase::Watching { suspicious: 0 };
            return Judgement::Nothing;
        }
        self.random += (loss.min(self.random) - self.random) / 16.0;
        match self.phase {
            Phase::Testing { loss: before, rate } => {
                self.phase = Phase::Watching { suspicious: 0 };
                if loss < REMAINS * before {
                    self.ceiling = Some((rate, now + HOLD));
                    return Judgement::Policed { rate };
                }
                self.random = self.random.max(loss).min(MOST_RANDOM);
                Judgement::Random
            }
            Phase::Watching { suspicious } => {
                let is_suspicious = loss > 1.5 * self.random + SUSPICIOUS;
                if !is_suspicious {
                    self.phase = Phase::Watching { suspicious: 0 };
                    return Judgement::Nothing;
                }
                let passed = sent * (1.0 - loss) / (1.0 - self.random);
                if let Some((ceiling, _)) = self.ceiling
                    && passed < 1.2 * ceiling
                {
                    self.ceiling = Some((passed, now + HOLD));
                    return Judgement::Policed { rate: passed };
                }
                let is_enough = suspicious + 1 >= WINDOWS || (is_doubling && loss > HEAVY);
                if !is_enough {
                    self.phase = Phase::Watching {
                        suspicious: suspicious + 1,
                    };
                    return Judgement::Nothing;
                }
                self.phase = Phase::Testing { loss, rate: passed };
                Judgement::Test { rate: passed }
            }
        }
    }

    pub(crate) fn forget(&mut self, now: Instant) {
        *self = Self::new(now);
    }
}
