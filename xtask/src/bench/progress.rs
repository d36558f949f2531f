//! How far the bench is, for whoever waits.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lanparty_lab::wait;

#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How long the present part and those after it take.
    parts: VecDeque<Duration>,
    /// When the present part did.
    began: Option<Instant>,
}

impl Progress {
    pub(super) fn expect(&self, parts: impl Iterator<Item = Duration>) {
        self.change(|state| state.parts.extend(parts));
    }

    /// The present part is over.
    pub(super) fn done(&self) {
        self.change(|state| {
            state.parts.pop_front();
        });
    }

    pub(super) fn say(&self, what: &str) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = state.began.map(|began| wait::now() - began);
        let left = left(state.parts.iter().copied(), elapsed.unwrap_or_default());
        eprintln!("[about {} left] {what}", spoken(left));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state.began = Some(wait::now());
    }
}

impl Clone for Progress {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// A part that takes longer than estimated leaves the others their time.
fn left(mut parts: impl Iterator<Item = Duration>, elapsed: Duration) -> Duration {
    let present = parts.next().unwrap_or_default().saturating_sub(elapsed);
    present + parts.sum::<Duration>()
}

fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{} min", seconds.div_ceil(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_takes_too_long_takes_nothing_from_the_others() {
        let parts = [20, 60].map(Duration::from_secs);
        let after = |seconds| left(parts.into_iter(), Duration::from_secs(seconds));
        assert_eq!(after(5), Duration::from_secs(75));
        assert_eq!(after(500), Duration::from_secs(60));
    }

    #[test]
    fn minutes_are_rounded_up() {
        assert_eq!(spoken(Duration::from_secs(59)), "59 s");
        assert_eq!(spoken(Duration::from_secs(61)), "2 min");
    }
}
