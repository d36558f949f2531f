//! Waiting for file descriptors and deadlines, and the one clock.
//!
//! Level-triggered epoll: a handler reads a bounded amount and is called again
//! while there is more. Deadlines closer than a millisecond are kept by a
//! timerfd, since epoll counts in milliseconds.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

/// What a program calls one of its file descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u32);

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    Read,
    Write,
    Both,
}

/// A descriptor that is ready. Errors and hang-ups make it readable, so that a
/// read finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    pub token: Token,
    pub readable: bool,
    pub writable: bool,
}

/// Ready descriptors taken in one turn.
const BATCH: usize = 64;
/// Deadlines nearer than this are worth a timerfd; later ones may be late by
/// epoll's millisecond.
const PRECISE: Duration = Duration::from_millis(20);
const TIMER: u64 = u64::MAX;

/// Waits for descriptors and tells the time.
#[derive(Debug)]
pub struct Reactor {
    epoll: OwnedFd,
    timer: OwnedFd,
    /// The deadline that the timer is set to.
    timer_at: Option<Instant>,
    busy_poll: Duration,
    last_ready: Option<Instant>,
    ready: Vec<Ready>,
}

impl Reactor {
    /// # Errors
    /// Where the process is out of file descriptors.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        epoll::add(
            &epoll,
            &timer,
            epoll::EventData::new_u64(TIMER),
            epoll::EventFlags::IN | epoll::EventFlags::ET,
        )?;
        Ok(Self {
            epoll,
            timer,
            timer_at: None,
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
    /// Where the descriptor is registered already or cannot be waited for.
    pub fn register(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            fd,
            epoll::EventData::new_u64(token.0.into()),
            flags(interest),
        )?)
    }

    /// # Errors
    /// Where the descriptor is not registered.
    pub fn modify(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(
            &self.epoll,
            fd,
            epoll::EventData::new_u64(token.0.into()),
            flags(interest),
        )?)
    }

    /// To be called before the descriptor is closed.
    ///
    /// # Errors
    /// Where the descriptor is not registered.
    pub fn deregister(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Sleeps until a descriptor is ready or the deadline is reached; without
    /// a deadline for as long as it takes.
    ///
    /// # Errors
    /// Never in practice: epoll fails on invalid arguments only.
    pub fn wait(&mut self, deadline: Option<Instant>) -> io::Result<&[Ready]> {
        let begin = self.now();
        loop {
            let now = self.now();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(now));
            let spins = self
                .last_ready
                .is_some_and(|at| now.saturating_duration_since(at) < self.busy_poll);
            let timeout = if spins {
                Some(Duration::ZERO)
            } else {
                self.sleep_for(deadline, left)?
            };
            self.poll(timeout)?;
            if !self.ready.is_empty() {
                if !self.busy_poll.is_zero() {
                    self.last_ready = Some(begin.max(now));
                }
                return Ok(&self.ready);
            }
            if !spins || left.is_some_and(|left| left.is_zero()) {
                return Ok(&self.ready);
            }
            std::hint::spin_loop();
        }
    }

    /// The timeout to give to epoll, with the timerfd set where it is finer.
    fn sleep_for(
        &mut self,
        deadline: Option<Instant>,
        left: Option<Duration>,
    ) -> io::Result<Option<Duration>> {
        let Some(left) = left else { return Ok(None) };
        if left.is_zero() || left > PRECISE {
            return Ok(Some(left));
        }
        if self.timer_at != deadline {
            let value = Itimerspec {
                it_interval: timespec(Duration::ZERO),
                it_value: timespec(left),
            };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &value)?;
            self.timer_at = deadline;
        }
        // A backstop: the timer wakes us first.
        Ok(Some(left))
    }

    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.ready.clear();
        let mut events = [MaybeUninit::uninit(); BATCH];
        let timeout = timeout.map(timespec);
        let (events, _) = match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok(events) => events,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for event in events {
            let Ok(token) = u32::try_from(event.data.u64()) else {
                // Edge-triggered and never read: setting it anew clears it.
                self.timer_at = None;
                continue;
            };
            let flags = event.flags;
            let broken = flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP);
            self.ready.push(Ready {
                token: Token(token),
                readable: broken || flags.contains(epoll::EventFlags::IN),
                writable: flags.contains(epoll::EventFlags::OUT),
            });
        }
        Ok(())
    }
}

fn flags(interest: Interest) -> epoll::EventFlags {
    match interest {
        Interest::Read => epoll::EventFlags::IN,
        Interest::Write => epoll::EventFlags::OUT,
        Interest::Both => epoll::EventFlags::IN | epoll::EventFlags::OUT,
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_descriptor_is_reported_until_it_is_read() {
        let mut reactor = Reactor::new().unwrap();
        let (mut here, mut there) = UnixStream::pair().unwrap();
        reactor.register(&here, Token(7), Interest::Read).unwrap();
        let now = reactor.now();
        assert!(reactor.wait(Some(now)).unwrap().is_empty());
        there.write_all(b"x").unwrap();
        for _ in 0..2 {
            let ready = reactor.wait(None).unwrap();
            assert_eq!(
                ready,
                [Ready {
                    token: Token(7),
                    readable: true,
                    writable: false
                }]
            );
        }
        here.read_exact(&mut [0]).unwrap();
        assert!(reactor.wait(Some(now)).unwrap().is_empty());
    }

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
    fn busy_polling_keeps_to_the_deadline() {
        let mut reactor = Reactor::new().unwrap();
        reactor.set_busy_poll(Duration::from_secs(3_600));
        let (here, mut there) = UnixStream::pair().unwrap();
        reactor.register(&here, Token(1), Interest::Read).unwrap();
        there.write_all(b"x").unwrap();
        assert_eq!(reactor.wait(None).unwrap().len(), 1);
        reactor.deregister(&here).unwrap();
        let deadline = reactor.now() + Duration::from_millis(2);
        assert!(reactor.wait(Some(deadline)).unwrap().is_empty());
        assert!(reactor.now() >= deadline);
    }
}
