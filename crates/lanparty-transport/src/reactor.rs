//! Waiting for descriptors and deadlines, and the one clock.
//!
//! Level-triggered on every system: a handler reads a bounded amount and is
//! called again while there is more.

mod busy;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(windows)]
mod windows;

use std::io;
use std::time::Instant;

use busy::Spinner;
pub use busy::{BusyPoll, BusyPollError};
#[cfg(target_os = "linux")]
use linux::Poller;
#[cfg(target_os = "linux")]
pub use linux::Source;
#[cfg(windows)]
use windows::Poller;
#[cfg(windows)]
pub use windows::Source;

/// What a program calls one of its sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u32);

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    Read,
    Write,
    Both,
}

/// A source that is ready. Errors and hang-ups make it readable, so that a
/// read finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    pub token: Token,
    pub readable: bool,
    pub writable: bool,
}

/// Room for the sources that are ready in one turn.
const BATCH: usize = 64;

/// Waits for sources and tells the time.
#[derive(Debug)]
pub struct Reactor {
    poller: Poller,
    spinner: Spinner,
    ready: Vec<Ready>,
}

impl Reactor {
    /// # Errors
    /// Where the process is out of file descriptors or handles.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            poller: Poller::new()?,
            spinner: Spinner::new(BusyPoll::Off, 1),
            ready: Vec::with_capacity(BATCH),
        })
    }

    /// Whether to look for traffic for a while before sleeping. Off until it is set.
    pub fn set_busy_poll(&mut self, choice: BusyPoll) {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.spinner = Spinner::new(choice, processors);
    }

    /// The time. Nothing else in the data plane reads a clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// # Errors
    /// Where the source is registered already or cannot be waited for.
    pub fn register(
        &self,
        source: impl Source,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.poller.add(source, token, interest)
    }

    /// # Errors
    /// Where the source is not registered.
    pub fn modify(&self, source: impl Source, token: Token, interest: Interest) -> io::Result<()> {
        self.poller.modify(source, token, interest)
    }

    /// To be called before the source is closed.
    ///
    /// # Errors
    /// Where the source is not registered.
    pub fn deregister(&self, source: impl Source) -> io::Result<()> {
        self.poller.remove(source)
    }

    /// Sleeps until a source is ready or the deadline is reached; without a
    /// deadline for as long as it takes.
    ///
    /// # Errors
    /// Never in practice: the system fails on invalid arguments only.
    pub fn wait(&mut self, deadline: Option<Instant>) -> io::Result<&[Ready]> {
        let begin = self.now();
        let mut now = begin;
        self.ready.clear();
        loop {
            let deadline = deadline.map(|at| (at, at.saturating_duration_since(now)));
            let looks = self.spinner.looks(begin, now);
            if looks {
                self.poller.look(&mut self.ready)?;
            } else {
                self.poller.sleep(deadline, &mut self.ready)?;
            }
            let is_due = deadline.is_some_and(|(_, left)| left.is_zero());
            now = self.now();
            if !self.ready.is_empty() || !looks || is_due {
                self.spinner.waited(begin, now, !self.ready.is_empty());
                return Ok(&self.ready);
            }
            // Where all processors are taken, whoever has work goes first.
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn deadlines_below_a_millisecond_are_neither_early_nor_forgotten() {
        let mut reactor = Reactor::new().unwrap();
        for micros in [1, 300, 700, 1_500, 25_000] {
            let deadline = reactor.now() + Duration::from_micros(micros);
            while reactor.now() < deadline {
                assert!(reactor.wait(Some(deadline)).unwrap().is_empty());
            }
        }
    }

    #[test]
    fn without_traffic_busy_polling_keeps_to_the_deadline() {
        let mut reactor = Reactor::new().unwrap();
        reactor.spinner = Spinner::new(BusyPoll::For(Duration::from_secs(3_600)), 2);
        let now = reactor.now();
        reactor.spinner.waited(now, now, true);
        let deadline = reactor.now() + Duration::from_millis(2);
        assert!(reactor.wait(Some(deadline)).unwrap().is_empty());
        assert!(reactor.now() >= deadline);
    }
}
