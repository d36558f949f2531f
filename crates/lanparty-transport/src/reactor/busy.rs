//! When a reactor looks for traffic instead of sleeping.
//!
//! A sleep and the wakeup that ends it cost 10 to 20 microseconds of latency
//! and as much CPU; looking costs a core for as long as it lasts. So looking
//! pays where traffic comes sooner than that, which nobody knows beforehand:
//! `auto` learns it from the waits before.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How long to look for traffic before sleeping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BusyPoll {
    /// Sleep at once.
    Off,
    /// Look where traffic has come quickly lately, and only while nobody else
    /// wants the processor.
    #[default]
    Auto,
    /// Look for so long after every piece of traffic.
    For(Duration),
}

/// What was given is no choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give auto, off, or up to {MAX_MICROS} microseconds")]
pub struct BusyPollError;

/// A tenth of a second: longer than the gaps of any game, and whoever wants a
/// core spun on for longer has given it away already.
const MAX_MICROS: u64 = 100_000;

impl FromStr for BusyPoll {
    type Err = BusyPollError;

    fn from_str(text: &str) -> Result<Self, BusyPollError> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" | "0" => Ok(Self::Off),
            micros => match micros.parse() {
                Ok(micros) if micros <= MAX_MICROS => Ok(Self::For(Duration::from_micros(micros))),
                Ok(_) | Err(_) => Err(BusyPollError),
            },
        }
    }
}

impl fmt::Display for BusyPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Auto => f.write_str("auto"),
            Self::For(limit) => write!(f, "{}", limit.as_micros()),
        }
    }
}

/// What `auto` spends on one wait: about three wakeups.
const AUTO_LIMIT: Duration = Duration::from_micros(50);
/// Of this many waits `auto` remembers how they went.
const MEMORY: u32 = 32;
/// It looks where three in four were short.
const ENOUGH: u32 = MEMORY * 3 / 4;
/// Two looks are a microsecond or two apart. More than this between them means
/// that the thread was put aside for another one.
const PUT_ASIDE: Duration = Duration::from_micros(100);
/// How long `auto` leaves the processor to others then.
const RESPECT: Duration = Duration::from_millis(20);

/// Decides for one reactor. The time comes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spinner {
    choice: BusyPoll,
    /// The last traffic.
    heard: Option<Instant>,
    /// How the last waits went, a bit each, set where it was short.
    memory: u32,
    /// Others wanted the processor: not before then.
    not_before: Option<Instant>,
    /// The look before, in this wait.
    looked: Option<Instant>,
}

impl Spinner {
    /// On a single processor whoever would send the traffic waits for us.
    pub(super) const fn new(choice: BusyPoll, processors: usize) -> Self {
        Self {
            choice: if processors > 1 {
                choice
            } else {
                BusyPoll::Off
            },
            heard: None,
            memory: 0,
            not_before: None,
            looked: None,
        }
    }

    /// Whether to look once more at `now`, in a wait that began at `begin`,
    /// rather than to sleep.
    pub(super) fn looks(&mut self, begin: Instant, now: Instant) -> bool {
        match self.choice {
            BusyPoll::Off => false,
            BusyPoll::For(limit) => self
                .heard
                .is_some_and(|at| now.saturating_duration_since(at) < limit),
            BusyPoll::Auto => self.expects_traffic(begin, now),
        }
    }

    fn expects_traffic(&mut self, begin: Instant, now: Instant) -> bool {
        let before = self.looked.replace(now);
        if before.is_some_and(|at| now.saturating_duration_since(at) > PUT_ASIDE) {
            self.not_before = Some(now + RESPECT);
        }
        now.saturating_duration_since(begin) < AUTO_LIMIT
            && self.memory.count_ones() >= ENOUGH
            && self.not_before.is_none_or(|at| at <= now)
    }

    /// A wait that began at `begin` ended at `now`, with traffic or without.
    pub(super) fn waited(&mut self, begin: Instant, now: Instant, traffic: bool) {
        self.looked = None;
        if matches!(self.choice, BusyPoll::Off) {
            return;
        }
        if traffic {
            self.heard = Some(now);
        }
        let short = traffic && now.saturating_duration_since(begin) < AUTO_LIMIT;
        self.memory = self.memory << 1 | u32::from(short);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment will do")]
mod tests {
    use super::*;

    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// Waits that ended with traffic after so many microseconds; then, how
    /// long it would look.
    fn looks_for(spinner: &mut Spinner, gaps: &[u64]) -> Duration {
        let mut now = Instant::now();
        for &gap in gaps {
            let begin = now;
            while now < begin + micros(gap) && spinner.looks(begin, now) {
                now += micros(1);
            }
            now = now.max(begin + micros(gap));
            spinner.waited(begin, now, true);
        }
        let begin = now;
        while spinner.looks(begin, now) && now - begin < Duration::from_secs(1) {
            now += micros(1);
        }
        now - begin
    }

    #[test]
    fn a_choice_is_a_word_or_a_time() {
        for (text, choice) in [
            ("auto", BusyPoll::Auto),
            ("off", BusyPoll::Off),
            ("0", BusyPoll::Off),
            ("250", BusyPoll::For(micros(250))),
        ] {
            assert_eq!(text.parse(), Ok(choice));
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        for text in ["", "on", "-1", "100001", "1ms"] {
            assert_eq!(text.parse::<BusyPoll>(), Err(BusyPollError), "{text}");
        }
    }

    #[test]
    fn auto_looks_after_a_stream_and_never_for_longer_than_its_limit() {
        let mut auto = Spinner::new(BusyPoll::Auto, 2);
        assert_eq!(looks_for(&mut auto, &[20; 100]), AUTO_LIMIT);
    }

    #[test]
    fn auto_sleeps_at_once_at_the_pace_of_a_game_and_after_a_stream_has_ended() {
        let mut auto = Spinner::new(BusyPoll::Auto, 2);
        assert_eq!(looks_for(&mut auto, &[15_000; 100]), Duration::ZERO);
        let ended = [[20; 32], [15_000; 32]].concat();
        assert_eq!(looks_for(&mut auto, &ended[..42]), Duration::ZERO);
    }

    #[test]
    fn auto_leaves_the_processor_to_others_for_a_while() {
        let mut auto = Spinner::new(BusyPoll::Auto, 2);
        looks_for(&mut auto, &[20; 100]);
        let begin = Instant::now();
        assert!(auto.looks(begin, begin));
        let back = begin + micros(2_000);
        assert!(!auto.looks(begin, back));
        for traffic in [true; 32] {
            auto.waited(back, back + micros(10), traffic);
        }
        let soon = back + RESPECT / 2;
        assert!(!auto.looks(soon, soon));
        auto.waited(soon, soon + micros(10), true);
        assert!(auto.looks(back + RESPECT, back + RESPECT));
    }

    #[test]
    fn a_chosen_time_counts_from_the_last_traffic() {
        let mut fixed = Spinner::new(BusyPoll::For(micros(400)), 2);
        assert_eq!(looks_for(&mut fixed, &[]), Duration::ZERO);
        assert_eq!(looks_for(&mut fixed, &[15_000; 3]), micros(400));
        let now = Instant::now() + Duration::from_secs(1);
        fixed.waited(now, now, true);
        fixed.waited(now, now + micros(300), false);
        assert!(fixed.looks(now + micros(300), now + micros(399)));
        assert!(!fixed.looks(now + micros(300), now + micros(400)));
    }

    #[test]
    fn nobody_looks_on_a_single_processor_or_when_told_not_to() {
        for (choice, processors) in [
            (BusyPoll::Auto, 1),
            (BusyPoll::For(micros(100)), 1),
            (BusyPoll::Off, 8),
        ] {
            let mut spinner = Spinner::new(choice, processors);
            assert_eq!(looks_for(&mut spinner, &[20; 100]), Duration::ZERO);
        }
    }
}
