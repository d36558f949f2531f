//! Which loss is our fault.
//!
//! We keep queues short, so loss is either the path's (Wi-Fi, a bad cable) or
//! that of a policer or a buffer of a few packets, and theirs goes away when we
//! send less. So less is sent for a moment, and what loss remains then is never
//! answered by sending less. Nothing else lowers the rate: a rate lowered for
//! loss that does not answer to us would be lowered again and again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::history::History;

/// Loss above what is known to be random that calls for a test.
const SUSPICIOUS: f64 = 0.02;
/// And so many standard deviations of a count of lost packets, or luck would
/// pass for a change.
const DEVIATIONS: f64 = 2.0;
/// Windows in a row: a dropped burst fills one.
const WINDOWS: u32 = 2;
/// One lost packet of fewer would be above [`SUSPICIOUS`] by itself.
const MIN_PACKETS: f64 = 100.0;
/// While the rate doubles one window of this is enough.
const HEAVY: f64 = 0.15;
const MIN_SPAN: Duration = Duration::from_millis(50);
/// A window with fewer packets ends then and says nothing.
const MAX_SPAN: Duration = Duration::from_millis(400);
/// Round trips until a packet's loss is known: RFC 9002's 9/8, and more where
/// reordering is forgiven.
const KNOWN: f64 = 1.6;
/// More than this is not believed to be no fault of ours, though half as much
/// again is borne: a path that loses a tenth is used in full, but not a rate
/// that start-up left a fifth above what a shallow buffer passes.
const MOST_RANDOM: f64 = 0.07;
/// Nor does a policer take more than this from a rate that it let pass before.
const OUTAGE: f64 = 0.5;
/// Windows of an outage until it is taken for our fault after all.
const OUTAGES: u32 = 8;
/// Sent in a test, of what arrived before.
const TEST_RATE: f64 = 0.85;
/// Lost packets that a test waits for if the loss is the path's. Of a Poisson
/// count with this mean, [`REMAINS`] and less come in 0.1 % of all cases.
const EVIDENCE: f64 = 15.0;
/// A policer's loss of 15 % and less is gone at [`TEST_RATE`].
const REMAINS: f64 = 0.3;
/// By then a slow path has not lost enough to blame us.
const MAX_TEST: Duration = Duration::from_secs(1);
/// Of a window; more would be an outage.
const MAX_LOSSES: usize = 8_192;
/// How long a policer's rate is kept before more is tried.
const HOLD: Duration = Duration::from_secs(2);
/// The same of a rate that was found by doubling, of which half may be missing.
const HOLD_MEAN: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Judgement {
    Nothing,
    /// No more than this rate passes for some time.
    Policed {
        rate: f64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Watching {
        suspicious: u32,
        /// Lowest of the suspicious windows' losses: the highest was luck.
        loss: f64,
        /// Windows in a row that lost more than a policer takes.
        outages: u32,
    },
    Testing(Test),
}

/// Less is sent, to see whether the loss goes away.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Test {
    /// Before, and what passed then.
    loss: f64,
    passed: f64,
    /// Both are the means of a window in which the rate doubled.
    is_mean: bool,
    until: Instant,
}

const QUIET: Phase = Phase::Watching {
    suspicious: 0,
    loss: 1.0,
    outages: 0,
};

#[derive(Clone, Debug)]
pub(crate) struct LossJudge {
    phase: Phase,
    /// What was sent since then is the present window.
    began: Instant,
    /// When lost packets had been sent, and their bytes.
    lost: VecDeque<(Instant, f64)>,
    /// Share of loss that is not our fault.
    random: f64,
    ceiling: Option<(f64, Instant)>,
    /// The present window is suspicious already.
    is_alarmed: bool,
}

/// What became of the packets of a window so far.
#[derive(Clone, Copy, Debug)]
struct Window {
    span: Duration,
    packets: f64,
    lost: f64,
    /// Bytes a second.
    sent: f64,
}

impl LossJudge {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            phase: QUIET,
            began: now,
            lost: VecDeque::new(),
            random: 0.0,
            ceiling: None,
            is_alarmed: false,
        }
    }

    pub(crate) const fn random(&self) -> f64 {
        self.random
    }

    /// What a test that runs allows.
    pub(crate) fn test_rate(&self) -> Option<f64> {
        match self.phase {
            Phase::Watching { .. } => None,
            Phase::Testing(test) => Some(TEST_RATE * test.passed),
        }
    }

    /// True while more loss than the path's was just seen.
    pub(crate) const fn is_suspicious(&self) -> bool {
        match self.phase {
            Phase::Watching {
                suspicious,
                outages,
                ..
            } => self.is_alarmed || suspicious > 0 || outages > 0,
            Phase::Testing(_) => true,
        }
    }

    /// The rate that a policer lets pass, as long as it is held.
    pub(crate) fn ceiling(&self, now: Instant) -> Option<f64> {
        self.ceiling
            .filter(|(_, until)| now < *until)
            .map(|(rate, _)| rate)
    }

    pub(crate) fn on_lost(&mut self, sent_at: Instant, bytes: f64) {
        if sent_at >= self.began && self.lost.len() < MAX_LOSSES {
            self.lost.push_back((sent_at, bytes));
        }
    }

    /// Ends a window where one is full. `rtt` is the one that losses are found
    /// by, `sent` the rate of the last round trip.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        rtt: Duration,
        packet: f64,
        sent: f64,
        is_doubling: bool,
        history: &History,
    ) -> Judgement {
        let Some(window) = self.window(now, rtt, packet, history) else {
            return Judgement::Nothing;
        };
        if let Phase::Testing(test) = self.phase {
            return self.judge_test(now, &window, test);
        }
        self.is_alarmed = window.lost > self.usual(&window) + 2.0;
        let is_full = window.packets >= MIN_PACKETS && window.span >= MIN_SPAN.max(rtt);
        if is_full {
            // A stall of ours is no limit of the path's; and what doubles was
            // less when it was lost.
            let sent = if is_doubling {
                window.sent
            } else {
                window.sent.max(sent)
            };
            self.begin_window(now);
            return self.watch(now, &window, sent, is_doubling);
        }
        if window.span >= MAX_SPAN.max(rtt) {
            self.begin_window(now);
            self.phase = QUIET;
        }
        Judgement::Nothing
    }

    fn judge_test(&mut self, now: Instant, window: &Window, test: Test) -> Judgement {
        let expected = test.loss * window.packets;
        let is_random = window.lost >= REMAINS * EVIDENCE.max(expected);
        if !is_random && expected < EVIDENCE && now < test.until {
            return Judgement::Nothing;
        }
        self.begin_window(now);
        self.phase = QUIET;
        if is_random || expected < EVIDENCE {
            let found = (window.lost / window.packets.max(1.0)).min(test.loss);
            self.random = self.random.max(found).min(MOST_RANDOM);
            return Judgement::Nothing;
        }
        let hold = if test.is_mean { HOLD_MEAN } else { HOLD };
        self.ceiling = Some((test.passed, now + hold));
        Judgement::Policed { rate: test.passed }
    }

    fn watch(&mut self, now: Instant, window: &Window, sent: f64, is_doubling: bool) -> Judgement {
        let Phase::Watching {
            suspicious,
            loss: lowest,
            outages,
        } = std::mem::replace(&mut self.phase, QUIET)
        else {
            return Judgement::Nothing;
        };
        let loss = window.lost / window.packets;
        if loss > OUTAGE && !is_doubling {
            if outages + 1 >= OUTAGES {
                return Judgement::Policed { rate: sent / 2.0 };
            }
            self.phase = Phase::Watching {
                suspicious: 0,
                loss: 1.0,
                outages: outages + 1,
            };
            return Judgement::Nothing;
        }
        let usual = self.usual(window);
        self.random += (loss.min(self.random) - self.random) / 16.0;
        if window.lost <= usual {
            return Judgement::Nothing;
        }
        let suspicious = suspicious + 1;
        let loss = loss.min(lowest);
        let is_enough =
            suspicious >= WINDOWS || self.ceiling(now).is_some() || (is_doubling && loss > HEAVY);
        self.phase = if is_enough {
            Phase::Testing(Test {
                loss,
                passed: sent * (1.0 - loss) / (1.0 - self.random),
                is_mean: is_doubling,
                until: now + MAX_TEST,
            })
        } else {
            Phase::Watching {
                suspicious,
                loss,
                outages: 0,
            }
        };
        Judgement::Nothing
    }

    /// Lost packets of a window that call for nothing.
    fn usual(&self, window: &Window) -> f64 {
        let usual = (1.5 * self.random + SUSPICIOUS) * window.packets.max(0.0);
        usual + DEVIATIONS * usual.sqrt()
    }

    /// The part of the present window whose fate is known.
    fn window(
        &self,
        now: Instant,
        rtt: Duration,
        packet: f64,
        history: &History,
    ) -> Option<Window> {
        let known = now.checked_sub(rtt.mul_f64(KNOWN))?;
        let span = known.checked_duration_since(self.began)?;
        let sent = history.at(known).sent - history.at(self.began).sent;
        let lost = self.lost.iter().filter(|(sent_at, _)| *sent_at <= known);
        Some(Window {
            span,
            packets: sent / packet,
            lost: lost.map(|(_, bytes)| bytes / packet).sum(),
            sent: sent / span.as_secs_f64().max(1e-3),
        })
    }

    fn begin_window(&mut self, now: Instant) {
        self.lost.clear();
        self.is_alarmed = false;
        self.began = now;
    }

    pub(crate) fn forget(&mut self, now: Instant) {
        *self = Self::new(now);
    }
}
