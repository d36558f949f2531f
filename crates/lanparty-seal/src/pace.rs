//! How fast key messages leave.

use std::time::{Duration, Instant};

/// At about 0.1 ms of work for a letter, a party of 32 is served without a
/// pause, and frames never wait for more than these.
const AT_ONCE: Flow = Flow {
    interval: Duration::from_micros(3_125),
    burst: 64,
};
/// Below what a relay takes from a member (docs/protocol.md section 11): 1,024
/// messages and 50 more each second.
const IN_ALL: Flow = Flow {
    interval: Duration::from_millis(25),
    burst: 800,
};

#[derive(Clone, Copy, Debug)]
struct Flow {
    interval: Duration,
    burst: u32,
}

/// Lets bursts pass and then a steady flow (GCRA, twice).
#[derive(Debug)]
pub(crate) struct Pace {
    /// When the messages so far would have been through without a burst.
    due: [Instant; 2],
}

impl Pace {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { due: [now; 2] }
    }

    /// When the next message may leave.
    pub(crate) fn ready_at(&self, now: Instant) -> Instant {
        let flows = self.due.iter().zip([AT_ONCE, IN_ALL]);
        let ready = flows.filter_map(|(due, flow)| due.checked_sub(flow.interval * flow.burst));
        ready.max().unwrap_or(now)
    }

    pub(crate) fn take(&mut self, now: Instant) {
        for (due, flow) in self.due.iter_mut().zip([AT_ONCE, IN_ALL]) {
            *due = (*due).max(now) + flow.interval;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_stays_below_what_a_relay_takes() {
        let start = crate::test_start();
        let mut pace = Pace::new(start);
        let mut now = start;
        let mut budget = 1_024.0_f64;
        let mut sent = 0;
        while now < start + Duration::from_secs(120) {
            let ready = pace.ready_at(now).max(now);
            budget = (budget + (ready - now).as_secs_f64() * 50.0).min(1_024.0);
            now = ready;
            pace.take(now);
            sent += 1;
            budget -= 1.0;
            assert!(budget >= 0.0, "after {sent} messages");
        }
        assert!(sent > 4_000, "{sent}");
    }
}
