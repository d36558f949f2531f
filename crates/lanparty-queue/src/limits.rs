//! Tunables of one queue.

use std::time::Duration;

/// Tunables of one queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Bound on the bytes held, overhead included.
    pub bytes: usize,
    /// Bound on the bytes held, as the time that the line needs for them,
    /// where its rate is known.
    pub delay: Duration,
    /// Bytes a source or a flow may send in one round: a standard frame.
    pub quantum: usize,
    /// CoDel's target delay (RFC 8289 section 4.4).
    pub target: Duration,
    /// CoDel's interval (RFC 8289 section 4.3).
    pub interval: Duration,
    /// Nothing older is sent: a game has no use for it, and a receiver that
    /// comes back from a stall gets the present instead of the past.
    pub max_age: Duration,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            // 80 ms at 100 Mbit/s: two windows of an inner TCP over a path
            // of 40 ms.
            bytes: 1024 * 1024,
            // CoDel's interval: one window of an inner TCP over as long a
            // path, and as long as CoDel takes to begin.
            delay: Duration::from_millis(100),
            quantum: 1_514,
            // Four times what RFC 8289 says, because here a bulk flow waits
            // behind nobody but itself; ADR 29 has what less would cost.
            target: Duration::from_millis(20),
            interval: Duration::from_millis(100),
            max_age: Duration::from_millis(500),
        }
    }
}

/// However slow the line is said to be: its rate is a guess while a connection
/// is young, and an inner TCP that loses its first windows to a low guess
/// grows slowly for seconds. 100 ms at 10 Mbit/s.
const MIN_BYTES: usize = 128 * 1024;

impl QueueLimits {
    /// The bound for a line that sends `rate` bytes a second.
    pub(crate) fn bytes_at(&self, rate: Option<u64>) -> usize {
        let Some(rate) = rate else {
            return self.bytes;
        };
        let by_time = u128::from(rate) * self.delay.as_nanos() / NANOS;
        let by_time = usize::try_from(by_time).unwrap_or(usize::MAX);
        by_time.max(MIN_BYTES).min(self.bytes)
    }

    /// CoDel's target there: at least two frames, or the line would run empty
    /// (RFC 8289 section 4.4 asks for one).
    pub(crate) fn target_at(&self, rate: Option<u64>) -> Duration {
        let Some(rate) = rate.filter(|&rate| rate > 0) else {
            return self.target;
        };
        let frames = u64::try_from(self.quantum).unwrap_or(u64::MAX);
        let frames = u128::from(frames.saturating_mul(2)) * NANOS / u128::from(rate);
        let frames = Duration::from_nanos(u64::try_from(frames).unwrap_or(u64::MAX));
        self.target.max(frames.min(self.interval))
    }
}

const NANOS: u128 = 1_000_000_000;
