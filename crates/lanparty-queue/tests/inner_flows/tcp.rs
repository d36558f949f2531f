//! Senders behind the queue: TCP in three tempers, and traffic that does not
//! listen at all.

use std::collections::BTreeMap;

/// Microseconds since the simulation began.
pub(crate) type Micros = u64;

const SECOND: f64 = 1e6;
/// RFC 6298 asks for 1 s, every system uses less.
const MIN_RTO: Micros = 200_000;
/// RFC 9438 section 4.
const CUBIC_C: f64 = 0.4;
const CUBIC_BETA: f64 = 0.7;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Temper {
    /// RFC 5681.
    Reno,
    /// RFC 9438 with the delay half of HyStart, as Linux has it.
    Cubic,
    /// So many segments in flight whatever happens.
    Fixed(u32),
}

/// A sender with unlimited data, counted in segments.
#[derive(Debug)]
pub(crate) struct Tcp {
    temper: Temper,
    window: f64,
    threshold: f64,
    next: u64,
    in_flight: BTreeMap<u64, Micros>,
    /// Losses below are of a window that was reduced already.
    recovery: u64,
    reduction: Reduction,
    cubic: Cubic,
    hystart: HyStart,
    smoothed_rtt: Micros,
    last_ack: Micros,
}

/// Proportional rate reduction (RFC 6937).
#[derive(Debug, Default)]
struct Reduction {
    flight: f64,
    delivered: f64,
    sent: f64,
}

#[derive(Debug, Default)]
struct Cubic {
    w_max: f64,
    /// What Reno would have by now (RFC 9438 section 4.3).
    w_est: f64,
    epoch: Option<Micros>,
    k: f64,
}

#[derive(Debug)]
struct HyStart {
    min_rtt: Micros,
    round_end: u64,
    round_min: Micros,
    samples: u32,
}

impl Tcp {
    pub(crate) fn new(temper: Temper) -> Self {
        Self {
            temper,
            window: match temper {
                Temper::Fixed(window) => f64::from(window),
                Temper::Reno | Temper::Cubic => 10.0,
            },
            threshold: f64::INFINITY,
            next: 0,
            in_flight: BTreeMap::new(),
            recovery: 0,
            reduction: Reduction::default(),
            cubic: Cubic::default(),
            hystart: HyStart {
                min_rtt: Micros::MAX,
                round_end: 0,
                round_min: Micros::MAX,
                samples: 0,
            },
            smoothed_rtt: 0,
            last_ack: 0,
        }
    }

    /// The next segment, if one may leave.
    pub(crate) fn send(&mut self, now: Micros) -> Option<u64> {
        if !self.may_send() {
            return None;
        }
        if self.in_flight.is_empty() {
            self.last_ack = now;
        }
        self.reduction.sent += 1.0;
        let number = self.next;
        self.next += 1;
        self.in_flight.insert(number, now);
        Some(number)
    }

    fn may_send(&self) -> bool {
        let flight = self.in_flight.len() as f64;
        if !self.is_recovering() {
            return flight < self.window;
        }
        let reduction = &self.reduction;
        if flight > self.threshold {
            let share = self.threshold / reduction.flight.max(1.0);
            reduction.sent < (reduction.delivered * share).ceil()
        } else {
            flight < self.threshold && reduction.sent <= reduction.delivered
        }
    }

    fn is_recovering(&self) -> bool {
        let oldest = self.in_flight.keys().next();
        oldest.is_some_and(|&oldest| oldest < self.recovery)
    }

    pub(crate) fn acked(&mut self, number: u64, now: Micros) {
        let Some(sent_at) = self.in_flight.remove(&number) else {
            return;
        };
        self.last_ack = now;
        self.reduction.delivered += 1.0;
        let rtt = now - sent_at;
        self.smoothed_rtt = match self.smoothed_rtt {
            0 => rtt,
            smoothed => (7 * smoothed + rtt) / 8,
        };
        let lost: Vec<u64> = self
            .in_flight
            .range(..number.saturating_sub(2))
            .map(|(&number, _)| number)
            .collect();
        for number in lost {
            self.in_flight.remove(&number);
            if number >= self.recovery {
                self.reduce();
            }
        }
        if number >= self.recovery {
            self.grow(number, rtt, now);
        }
    }

    fn reduce(&mut self) {
        let beta = match self.temper {
            Temper::Fixed(_) => return,
            Temper::Reno => 0.5,
            Temper::Cubic => CUBIC_BETA,
        };
        self.recovery = self.next;
        self.reduction = Reduction {
            flight: self.in_flight.len() as f64 + 1.0,
            ..Reduction::default()
        };
        let cubic = &mut self.cubic;
        cubic.epoch = None;
        // Fast convergence (RFC 9438 section 4.7).
        cubic.w_max = if self.window < cubic.w_max {
            self.window * (1.0 + beta) / 2.0
        } else {
            self.window
        };
        self.window = (self.window * beta).max(2.0);
        self.threshold = self.window;
    }

    fn grow(&mut self, number: u64, rtt: Micros, now: Micros) {
        match self.temper {
            Temper::Fixed(_) => {}
            _ if self.window < self.threshold => {
                self.window += 1.0;
                if self.temper == Temper::Cubic && self.has_delay(number, rtt) {
                    self.threshold = self.window;
                }
            }
            Temper::Reno => self.window += 1.0 / self.window,
            Temper::Cubic => self.grow_cubic(now),
        }
    }

    fn grow_cubic(&mut self, now: Micros) {
        let cubic = &mut self.cubic;
        let epoch = *cubic.epoch.get_or_insert_with(|| {
            cubic.w_est = self.window;
            cubic.w_max = cubic.w_max.max(self.window);
            cubic.k = ((cubic.w_max - self.window) / CUBIC_C).cbrt();
            now
        });
        let t = (now - epoch + self.smoothed_rtt) as f64 / SECOND;
        let target = CUBIC_C * (t - cubic.k).powi(3) + cubic.w_max;
        let step = if target > self.window {
            (target.min(1.5 * self.window) - self.window) / self.window
        } else {
            0.01 / self.window
        };
        cubic.w_est += 3.0 * (1.0 - CUBIC_BETA) / (1.0 + CUBIC_BETA) / self.window;
        self.window = (self.window + step).max(cubic.w_est);
    }

    /// HyStart's sign that the queue has begun to grow.
    fn has_delay(&mut self, number: u64, rtt: Micros) -> bool {
        let hystart = &mut self.hystart;
        hystart.min_rtt = hystart.min_rtt.min(rtt);
        if number >= hystart.round_end {
            hystart.round_end = self.next;
            hystart.round_min = Micros::MAX;
            hystart.samples = 0;
        }
        hystart.samples += 1;
        if hystart.samples > 8 || self.window < 16.0 {
            return false;
        }
        hystart.round_min = hystart.round_min.min(rtt);
        let slack = (hystart.min_rtt / 8).clamp(4_000, 16_000);
        hystart.samples == 8 && hystart.round_min > hystart.min_rtt + slack
    }

    /// When to give up on what is in flight.
    pub(crate) fn timeout(&self) -> Option<Micros> {
        (!self.in_flight.is_empty()).then(|| self.last_ack + MIN_RTO.max(2 * self.smoothed_rtt))
    }

    pub(crate) fn timed_out(&mut self, now: Micros) {
        self.in_flight.clear();
        self.last_ack = now;
        if !matches!(self.temper, Temper::Fixed(_)) {
            self.threshold = (self.window / 2.0).max(2.0);
            self.window = 1.0;
            self.cubic.epoch = None;
        }
    }
}
