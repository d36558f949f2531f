//! Level-triggered epoll, and a timerfd for what is finer than its millisecond.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::{Interest, Ready, Token};

/// What a reactor waits for: any file descriptor that epoll knows.
pub trait Source: AsFd {}

impl<T: AsFd> Source for T {}

/// Ready descriptors taken in one turn.
const BATCH: usize = 64;
/// Deadlines nearer than this, such as a pacer's, are worth a timerfd; later
/// ones, such as QUIC's, may be late by epoll's millisecond.
const PRECISE: Duration = Duration::from_millis(2);
const TIMER: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    timer: OwnedFd,
    /// The deadline that the timer is set to.
    timer_at: Option<Instant>,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
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
        })
    }

    pub(super) fn add(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            fd,
            epoll::EventData::new_u64(token.0.into()),
            flags(interest),
        )?)
    }

    pub(super) fn modify(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(
            &self.epoll,
            fd,
            epoll::EventData::new_u64(token.0.into()),
            flags(interest),
        )?)
    }

    pub(super) fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Puts into `ready` what is ready now.
    pub(super) fn look(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.poll(Some(Duration::ZERO), ready)
    }

    /// Sleeps until something is ready or the deadline, `left` from now, has
    /// come.
    pub(super) fn sleep(
        &mut self,
        deadline: Option<(Instant, Duration)>,
        ready: &mut Vec<Ready>,
    ) -> io::Result<()> {
        let Some((deadline, left)) = deadline else {
            return self.poll(None, ready);
        };
        if !left.is_zero() && left <= PRECISE && self.timer_at != Some(deadline) {
            let value = Itimerspec {
                it_interval: timespec(Duration::ZERO),
                it_value: timespec(left),
            };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &value)?;
            self.timer_at = Some(deadline);
        }
        // Where a timer is set it wakes us first.
        self.poll(Some(left), ready)
    }

    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
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
            ready.push(Ready {
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

    use super::super::Reactor;
    use super::super::busy::{BusyPoll, Spinner};
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
    fn busy_polling_keeps_to_the_deadline() {
        let mut reactor = Reactor::new().unwrap();
        reactor.spinner = Spinner::new(BusyPoll::For(Duration::from_secs(3_600)), 2);
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
