//! When which connection next needs attention.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// So much earlier than its connection wants it an entry may be: moving it for
/// every packet would cost more than looking in vain, and looking in vain
/// costs a wakeup.
const EARLY: Duration = Duration::from_millis(1);

/// At most one entry for each connection, never late.
#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeSet<(Instant, usize)>);

impl Timers {
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.first().map(|&(at, _)| at)
    }

    /// Makes sure `place` is looked at by `deadline`.
    pub(crate) fn arm(
        &mut self,
        place: usize,
        armed: &mut Option<Instant>,
        deadline: Option<Instant>,
    ) {
        let Some(deadline) = deadline else { return };
        match *armed {
            Some(at) if at <= deadline && deadline.duration_since(at) <= EARLY => {}
            old => {
                if let Some(at) = old {
                    self.0.remove(&(at, place));
                }
                self.0.insert((deadline, place));
                *armed = Some(deadline);
            }
        }
    }

    pub(crate) fn disarm(&mut self, place: usize, armed: &mut Option<Instant>) {
        if let Some(at) = armed.take() {
            self.0.remove(&(at, place));
        }
    }

    /// The next connection whose time has come.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<usize> {
        let &(at, place) = self.0.first()?;
        if at > now {
            return None;
        }
        self.0.pop_first();
        Some(place)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment will do")]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_never_late_and_hardly_early() {
        let begin = Instant::now();
        let at = |micros| begin + Duration::from_micros(micros);
        let (mut timers, mut armed) = (Timers::default(), None);
        timers.arm(0, &mut armed, Some(at(8_000)));
        for (deadline, entry) in [
            (at(8_000), at(8_000)),
            (at(8_900), at(8_000)),
            (at(9_100), at(9_100)),
            (at(5_000), at(5_000)),
            (at(10_000_000), at(10_000_000)),
        ] {
            timers.arm(0, &mut armed, Some(deadline));
            assert_eq!((timers.next(), armed), (Some(entry), Some(entry)));
        }
        assert_eq!(timers.pop_due(at(9_999_999)), None);
        assert_eq!(timers.pop_due(at(10_000_000)), Some(0));
        assert_eq!(timers.next(), None);
    }
}
