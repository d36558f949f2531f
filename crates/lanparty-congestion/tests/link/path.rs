//! What lies between the ends: a bottleneck with a byte-bounded queue, delay,
//! jitter, loss, a policer, and the way back.

use rand::Rng;
use rand::rngs::StdRng;

pub(crate) type Nanos = u64;

pub(crate) const MS: Nanos = 1_000_000;
pub(crate) const SECOND: Nanos = 1_000_000_000;

/// One direction.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Bits a second from these moments on.
    pub(crate) rates: Vec<(Nanos, f64)>,
    /// Bytes.
    pub(crate) buffer: u64,
    /// Behind the queue.
    pub(crate) delays: Vec<(Nanos, Nanos)>,
    pub(crate) jitter: Nanos,
    /// Whether jitter lets packets overtake.
    pub(crate) reorders: bool,
    pub(crate) loss: f64,
    /// Everything that comes in these spans is dropped.
    pub(crate) outages: Vec<(Nanos, Nanos)>,
    /// Part of what comes in these spans that is dropped.
    pub(crate) holes: Vec<(Nanos, Nanos, f64)>,
    /// Bits a second and bytes of a policer before the queue.
    pub(crate) policer: Option<(f64, f64)>,
}

impl Line {
    pub(crate) fn new(rate: f64, delay: Nanos, buffer: u64) -> Self {
        Self {
            rates: vec![(0, rate)],
            buffer,
            delays: vec![(0, delay)],
            jitter: 0,
            reorders: false,
            loss: 0.0,
            outages: Vec::new(),
            holes: Vec::new(),
            policer: None,
        }
    }
}

/// A line at work.
#[derive(Debug)]
pub(crate) struct Link {
    line: Line,
    free_at: Nanos,
    last_out: Nanos,
    tokens: f64,
    policed_at: Nanos,
    pub(crate) carried: u64,
}

pub(crate) enum Fate {
    Dropped,
    /// Waited so long for the bottleneck, and arrives then.
    Arrives {
        queued: Nanos,
        at: Nanos,
    },
}

fn at<T: Copy>(steps: &[(Nanos, T)], now: Nanos) -> T {
    let mut value = steps[0].1;
    for (from, next) in steps {
        if *from <= now {
            value = *next;
        }
    }
    value
}

impl Link {
    pub(crate) fn new(line: Line) -> Self {
        let tokens = line.policer.map_or(0.0, |(_, burst)| burst);
        Self {
            line,
            free_at: 0,
            last_out: 0,
            tokens,
            policed_at: 0,
            carried: 0,
        }
    }

    pub(crate) fn rate(&self, now: Nanos) -> f64 {
        at(&self.line.rates, now)
    }

    /// How long a packet that comes now waits.
    pub(crate) fn queue(&self, now: Nanos) -> Nanos {
        self.free_at.saturating_sub(now)
    }

    /// The far side does nothing for so long.
    pub(crate) fn stall(&mut self, now: Nanos, time: Nanos) {
        self.free_at = self.free_at.max(now) + time;
    }

    pub(crate) fn send(&mut self, now: Nanos, bytes: u64, rng: &mut StdRng) -> Fate {
        let out = self
            .line
            .outages
            .iter()
            .any(|(from, to)| (*from..*to).contains(&now));
        let holes = self.line.holes.iter();
        let hole = holes
            .filter(|(from, to, _)| (*from..*to).contains(&now))
            .map(|(_, _, part)| *part)
            .fold(0.0, f64::max);
        let is_lost = hole > 0.0 && rng.random_bool(hole);
        if out || is_lost || self.is_policed(now, bytes) {
            return Fate::Dropped;
        }
        let rate = self.rate(now);
        let waiting = self.queue(now);
        if waiting as f64 * rate / 8e9 > self.line.buffer as f64 {
            return Fate::Dropped;
        }
        let time = (bytes as f64 * 8e9 / rate) as Nanos;
        self.free_at = now.max(self.free_at) + time;
        self.carried += bytes;
        if self.line.loss > 0.0 && rng.random_bool(self.line.loss) {
            return Fate::Dropped;
        }
        let jitter = if self.line.jitter > 0 {
            rng.random_range(0..self.line.jitter)
        } else {
            0
        };
        let mut arrival = self.free_at + at(&self.line.delays, now) + jitter;
        if !self.line.reorders {
            arrival = arrival.max(self.last_out);
            self.last_out = arrival;
        }
        Fate::Arrives {
            queued: waiting,
            at: arrival,
        }
    }

    fn is_policed(&mut self, now: Nanos, bytes: u64) -> bool {
        let Some((rate, burst)) = self.line.policer else {
            return false;
        };
        let gained = (now - self.policed_at) as f64 * rate / 8e9;
        self.policed_at = now;
        self.tokens = (self.tokens + gained).min(burst);
        if self.tokens < bytes as f64 {
            return true;
        }
        self.tokens -= bytes as f64;
        false
    }
}
