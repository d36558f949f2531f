//! CoDel for one flow, after the pseudocode of RFC 8289 section 5.

use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub(crate) struct CodelParameters {
    /// Standing delay that is tolerated (RFC 8289 section 4.4).
    pub(crate) target: Duration,
    /// How long the delay must stand before anything is dropped (section 4.3).
    pub(crate) interval: Duration,
    /// A backlog of at most this many bytes is never judged: one packet.
    pub(crate) floor: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Codel {
    first_above: Option<Instant>,
    drop_next: Option<Instant>,
    count: u32,
    last_count: u32,
    dropping: bool,
}

impl Codel {
    /// Judges the packet that was just taken from the head of the flow;
    /// `backlog` is what remains behind it. True where it is to be dropped and
    /// the next one judged.
    pub(crate) fn drops(
        &mut self,
        now: Instant,
        sojourn: Duration,
        backlog: usize,
        parameters: &CodelParameters,
    ) -> bool {
        let may_drop = self.stands_above(now, sojourn, backlog, parameters);
        if !may_drop {
            self.dropping = false;
            return false;
        }
        if self.dropping {
            let Some(next) = self.drop_next.filter(|&next| now >= next) else {
                return false;
            };
            self.count = self.count.saturating_add(1);
            self.drop_next = Some(next + parameters.interval_after(self.count));
            return true;
        }
        self.dropping = true;
        // Resume near the rate that controlled the flow last time, if that was
        // recent (RFC 8289 section 5.3).
        let recent = self
            .drop_next
            .is_some_and(|next| now.saturating_duration_since(next) < parameters.interval * 16);
        let delta = self.count.saturating_sub(self.last_count);
        self.count = if recent && delta > 1 { delta } else { 1 };
        self.last_count = self.count;
        self.drop_next = Some(now + parameters.interval_after(self.count));
        true
    }

    /// The flow ran empty, so no delay stands.
    pub(crate) fn emptied(&mut self) {
        self.first_above = None;
        self.dropping = false;
    }

    fn stands_above(
        &mut self,
        now: Instant,
        sojourn: Duration,
        backlog: usize,
        parameters: &CodelParameters,
    ) -> bool {
        if sojourn < parameters.target || backlog <= parameters.floor {
            self.first_above = None;
            return false;
        }
        match self.first_above {
            None => {
                self.first_above = Some(now + parameters.interval);
                false
            }
            Some(since) => now >= since,
        }
    }
}

impl CodelParameters {
    /// The control law: drops come closer by the square root of their count.
    fn interval_after(&self, count: u32) -> Duration {
        self.interval.div_f64(f64::from(count.max(1)).sqrt())
    }
}
