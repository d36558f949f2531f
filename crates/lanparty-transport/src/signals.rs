//! Signals as a descriptor of the reactor.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::SigId;
use signal_hook::low_level::{pipe, unregister};

use crate::reactor::{Interest, Reactor, Token};

/// Signals that were caught and not yet taken.
#[derive(Debug)]
pub struct Signals {
    pipe: UnixStream,
    flags: Vec<(i32, Arc<AtomicBool>)>,
    hooks: Vec<SigId>,
}

impl Signals {
    /// Catches these signals from now on and reports them under `token`.
    ///
    /// # Errors
    /// Where a signal cannot be caught.
    pub fn new(reactor: &Reactor, token: Token, signals: &[i32]) -> io::Result<Self> {
        let (pipe, sender) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        let mut this = Self {
            pipe,
            flags: Vec::new(),
            hooks: Vec::new(),
        };
        for &signal in signals {
            let flag = Arc::new(AtomicBool::new(false));
            // Hooks run in the order of their registration: the flag is up
            // before the pipe wakes the loop.
            this.hooks
                .push(signal_hook::flag::register(signal, flag.clone())?);
            this.hooks
                .push(pipe::register(signal, sender.try_clone()?)?);
            this.flags.push((signal, flag));
        }
        reactor.register(&this.pipe, token, Interest::Read)?;
        Ok(this)
    }

    /// The signals since the last call, each once.
    pub fn take(&mut self) -> Vec<i32> {
        let mut wakeups = [0; 64];
        while matches!(self.pipe.read(&mut wakeups), Ok(count) if count == wakeups.len()) {}
        self.flags
            .iter()
            .filter(|(_, flag)| flag.swap(false, Ordering::Relaxed))
            .map(|&(signal, _)| signal)
            .collect()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for hook in self.hooks.drain(..) {
            unregister(hook);
        }
    }
}

#[cfg(test)]
mod tests {
    use signal_hook::consts::{SIGUSR1, SIGUSR2};
    use signal_hook::low_level::raise;

    use super::*;

    #[test]
    fn a_signal_wakes_the_loop_and_is_taken_once() {
        let mut reactor = Reactor::new().unwrap();
        let mut signals = Signals::new(&reactor, Token(5), &[SIGUSR1, SIGUSR2]).unwrap();
        raise(SIGUSR2).unwrap();
        raise(SIGUSR2).unwrap();
        assert_eq!(reactor.wait(None).unwrap().len(), 1);
        assert_eq!(signals.take(), [SIGUSR2]);
        assert_eq!(signals.take(), []);
        let now = reactor.now();
        assert!(reactor.wait(Some(now)).unwrap().is_empty());
    }
}
