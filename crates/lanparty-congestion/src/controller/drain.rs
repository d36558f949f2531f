//! An empty queue, looked for now and then by sending less for a while.

use std::time::{Duration, Instant};

use super::{LATELY, NO_QUEUE, STEADY_SPAN, seconds};
use crate::delay::Delay;

/// An empty queue is looked for this often, or other flows' queue would pass
/// for the path's delay.
const EVERY: Duration = Duration::from_secs(2);
/// Of the rate, meanwhile.
pub(super) const RATE: f64 = 0.75;
/// A longer queue is not drained for a look, but by the control itself.
const MOST_DRAINED: f64 = 0.010;
/// Seconds by which the idea of an empty queue rises with a drain at most: a
/// rival's queue may be what did not shorten.
const MOST_RAISED: f64 = 0.001;

#[derive(Clone, Debug)]
pub(super) struct Drain {
    until: Option<Instant>,
    began: Instant,
    /// An empty queue before was asked for.
    grow_after: Instant,
}

impl Drain {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            until: None,
            began: now,
            grow_after: now,
        }
    }

    /// True while less is to be sent.
    pub(super) fn is_on(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// True where an empty queue says nothing of the rate.
    pub(super) fn forbids_growth(&self, now: Instant) -> bool {
        now < self.grow_after
    }

    pub(super) const fn stop(&mut self) {
        self.until = None;
    }

    /// Begins, goes on or ends, with this queue of late.
    pub(super) fn look(&mut self, now: Instant, queue: f64, delay: &mut Delay) {
        let told = seconds(delay.latest_rtt() + STEADY_SPAN + LATELY);
        if queue < NO_QUEUE {
            delay.empty_at = now;
        }
        match self.until {
            Some(until) if now >= until + seconds(delay.latest_rtt()) => {
                self.until = None;
                if delay.empty_at < self.began {
                    self.raise_base(until, delay);
                }
                delay.empty_at = now;
            }
            Some(_) => self.grow_after = now + told,
            None => {
                let is_due = now.saturating_duration_since(delay.empty_at) >= EVERY;
                if is_due && queue < MOST_DRAINED {
                    let time = 2.0 * queue / (1.0 - RATE) + 0.005;
                    self.until = Some(now + seconds(time));
                    self.began = now;
                    self.grow_after = now + told;
                }
            }
        }
    }

    /// It ended without an empty queue. Where sending less did not shorten the
    /// queue, it is none: a clock that drifts, or a radio that is slower in use.
    fn raise_base(&self, until: Instant, delay: &mut Delay) {
        let span = until.saturating_duration_since(self.began);
        let Some(interval) = delay.interval(0.75 * span.as_secs_f64()) else {
            return;
        };
        if interval.arrived < 1.05 * interval.sent {
            delay.raise(interval.queue_min.min(MOST_RAISED));
        }
    }
}
