//! A wait for handles, one of them a timer finer than the system's tick.

use std::cell::RefCell;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle as _, BorrowedHandle, OwnedHandle};
use std::time::{Duration, Instant};

use lanparty_os::windows::wait::{MAX_HANDLES, Timer, wait_any};

use super::{Interest, Ready, Token};

/// What a reactor waits for: anything whose handle stays signalled as long as
/// it is ready, such as a manual-reset event that is reset once its queue was
/// found empty.
pub trait Source: AsHandle {}

impl<T: AsHandle> Source for T {}

/// Places in one wait, less the timer's.
const MAX_SOURCES: usize = MAX_HANDLES - 1;
/// A wait ends this much after the timer should have ended it, should the timer
/// fail us; two ticks of the system.
const BACKSTOP: Duration = Duration::from_millis(32);

#[derive(Debug)]
pub(super) struct Poller {
    sources: RefCell<Vec<Registered>>,
    timer: Timer,
    /// The deadline that the timer is set to.
    timer_at: Option<Instant>,
}

#[derive(Debug)]
struct Registered {
    /// What the owner of the source calls it.
    raw: usize,
    /// Our own, so that a source closed too early cannot become another.
    handle: OwnedHandle,
    token: Token,
    interest: Interest,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            sources: RefCell::new(Vec::new()),
            timer: Timer::new()?,
            timer_at: None,
        })
    }

    pub(super) fn add(
        &self,
        source: impl AsHandle,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        let handle = source.as_handle();
        let raw = raw(handle);
        let mut sources = self.sources.borrow_mut();
        if sources.iter().any(|source| source.raw == raw) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if sources.len() == MAX_SOURCES {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        sources.push(Registered {
            raw,
            handle: handle.try_clone_to_owned()?,
            token,
            interest,
        });
        Ok(())
    }

    pub(super) fn modify(
        &self,
        source: impl AsHandle,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        let raw = raw(source.as_handle());
        let mut sources = self.sources.borrow_mut();
        let source = sources.iter_mut().find(|source| source.raw == raw);
        let source = source.ok_or(io::ErrorKind::NotFound)?;
        (source.token, source.interest) = (token, interest);
        Ok(())
    }

    pub(super) fn remove(&self, source: impl AsHandle) -> io::Result<()> {
        let raw = raw(source.as_handle());
        let mut sources = self.sources.borrow_mut();
        let place = sources.iter().position(|source| source.raw == raw);
        sources.remove(place.ok_or(io::ErrorKind::NotFound)?);
        Ok(())
    }

    /// Puts into `ready` what is ready now.
    pub(super) fn look(&self, ready: &mut Vec<Ready>) -> io::Result<()> {
        for source in &*self.sources.borrow() {
            if is_signalled(&source.handle)? {
                ready.push(source.ready());
            }
        }
        Ok(())
    }

    /// Sleeps until something is ready or the deadline, `left` from now, has
    /// come.
    pub(super) fn sleep(
        &mut self,
        deadline: Option<(Instant, Duration)>,
        ready: &mut Vec<Ready>,
    ) -> io::Result<()> {
        let timeout = match deadline {
            Some((_, left)) if left.is_zero() => return self.look(ready),
            Some((at, left)) => {
                if self.timer_at != Some(at) {
                    self.timer.set(left)?;
                    self.timer_at = Some(at);
                }
                Some(left.saturating_add(BACKSTOP))
            }
            None => None,
        };
        let sources = self.sources.borrow();
        let mut handles: Vec<BorrowedHandle<'_>> = Vec::with_capacity(MAX_HANDLES);
        handles.extend(sources.iter().map(|source| source.handle.as_handle()));
        if deadline.is_some() {
            handles.push(self.timer.as_handle());
        }
        let Some(first) = wait_any(&handles, timeout)? else {
            self.timer_at = None;
            return Ok(());
        };
        if first == sources.len() {
            // Signalled until it is set anew, for the same deadline too.
            self.timer_at = None;
            return Ok(());
        }
        // The wait names the first only; without a look at the rest a busy
        // source would starve those behind it.
        for (place, source) in sources.iter().enumerate().skip(first) {
            if place == first || is_signalled(&source.handle)? {
                ready.push(source.ready());
            }
        }
        Ok(())
    }
}

impl Registered {
    const fn ready(&self) -> Ready {
        Ready {
            token: self.token,
            readable: !matches!(self.interest, Interest::Write),
            writable: !matches!(self.interest, Interest::Read),
        }
    }
}

fn raw(handle: BorrowedHandle<'_>) -> usize {
    handle.as_raw_handle() as usize
}

fn is_signalled(handle: &OwnedHandle) -> io::Result<bool> {
    Ok(wait_any(&[handle.as_handle()], Some(Duration::ZERO))?.is_some())
}

#[cfg(test)]
mod tests {
    use lanparty_os::windows::overlapped::Event;

    use super::super::Reactor;
    use super::*;

    #[test]
    fn a_source_is_reported_until_it_is_drained_and_none_hides_another() {
        let mut reactor = Reactor::new().unwrap();
        let sources: Vec<Event> = (0..5).map(|_| Event::new().unwrap()).collect();
        for (number, source) in sources.iter().enumerate() {
            let token = Token(number as u32);
            reactor.register(source, token, Interest::Read).unwrap();
        }
        let now = reactor.now();
        assert!(reactor.wait(Some(now)).unwrap().is_empty());
        sources[1].set();
        sources[4].set();
        for deadline in [None, Some(now), None] {
            let tokens: Vec<Token> = reactor
                .wait(deadline)
                .unwrap()
                .iter()
                .map(|ready| {
                    assert!(ready.readable && !ready.writable);
                    ready.token
                })
                .collect();
            assert_eq!(tokens, [Token(1), Token(4)]);
        }
        sources[1].reset();
        assert_eq!(reactor.wait(None).unwrap().len(), 1);
        reactor.deregister(&sources[4]).unwrap();
        assert!(reactor.wait(Some(now)).unwrap().is_empty());
    }

    #[test]
    fn a_source_has_one_place_and_a_wait_has_63() {
        let reactor = Reactor::new().unwrap();
        let sources: Vec<Event> = (0..64).map(|_| Event::new().unwrap()).collect();
        for (number, source) in sources.iter().enumerate() {
            let done = reactor.register(source, Token(1), Interest::Both);
            assert_eq!(done.is_ok(), number < MAX_SOURCES);
        }
        assert!(
            reactor
                .register(&sources[0], Token(2), Interest::Read)
                .is_err()
        );
        reactor
            .modify(&sources[0], Token(2), Interest::Write)
            .unwrap();
        reactor.deregister(&sources[0]).unwrap();
        assert!(reactor.deregister(&sources[0]).is_err());
    }

    #[test]
    fn a_timer_that_came_due_during_traffic_does_not_end_the_next_wait_early() {
        let mut reactor = Reactor::new().unwrap();
        let source = Event::new().unwrap();
        reactor.register(&source, Token(1), Interest::Read).unwrap();
        source.set();
        let soon = reactor.now() + Duration::from_millis(2);
        while reactor.now() < soon + Duration::from_millis(20) {
            assert_eq!(reactor.wait(Some(soon)).unwrap().len(), 1);
        }
        source.reset();
        let later = reactor.now() + Duration::from_millis(100);
        assert!(reactor.wait(Some(later)).unwrap().is_empty());
        // Wine's timers come a little early.
        assert!(reactor.now() + Duration::from_millis(5) >= later);
    }
}
