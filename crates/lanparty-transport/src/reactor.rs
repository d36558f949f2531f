//! Waiting for descriptors and deadlines, and the one clock.
//!
//! Level-triggered on every system: a handler reads a bounded amount and is
//! called again while there is more.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(windows)]
mod windows;

use std::io;
use std::time::{Duration, Instant};

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
    busy_poll: Duration,
    last_ready: Option<Instant>,
    ready: Vec<Ready>,
}

impl Reactor {
    /// # Errors
    /// Where the process is out of file descriptors or handles.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            poller: Poller::new()?,
            busy_poll: Duration::ZERO,
            last_ready: None,
            ready: Vec::with_capacity(BATCH),
        })
    }

    /// Spins for up to `limit` after traffic before it sleeps. A wakeup costs
    /// 13 to 17 microseconds of latency and CPU; spinning costs a core. Off by
    /// default.
    pub const fn set_busy_poll(&mut self, limit: Duration) {
        self.busy_poll = limit;
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
        self.ready.clear();
        loop {
            let now = self.now();
            let deadline = deadline.map(|at| (at, at.saturating_duration_since(now)));
            let spins = self
                .last_ready
                .is_some_and(|at| now.saturating_duration_since(at) < self.busy_poll);
            if spins {
                self.poller.look(&mut self.ready)?;
            } else {
                self.poller.sleep(deadline, &mut self.ready)?;
            }
            if !self.ready.is_empty() {
                if !self.busy_poll.is_zero() {
                    self.last_ready = Some(begin.max(now));
                }
                return Ok(&self.ready);
            }
            if !spins || deadline.is_some_and(|(_, left)| left.is_zero()) {
                return Ok(&self.ready);
            }
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
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
        reactor.set_busy_poll(Duration::from_secs(3_600));
        reactor.last_ready = Some(reactor.now());
        let deadline = reactor.now() + Duration::from_millis(2);
        assert!(reactor.wait(Some(deadline)).unwrap().is_empty());
        assert!(reactor.now() >= deadline);
    }
}
