//! A gateway that is as simple as can be: every frame goes through.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use lanparty_lan::{FromLan, Lan, LanCounters, LanPort, Target};
use lanparty_os::tap::Tap;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::TURN;
use super::frames::{assert_finished, destination};

pub(crate) struct Tunnel {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Lan>>,
}

impl Tunnel {
    pub(crate) fn between(mut lan: Lan, tap: Tap) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                wait(&lan, &tap);
                lan.receive(TURN, &mut |from_lan| match from_lan {
                    FromLan::Frame { frame, .. } => {
                        assert_finished(frame);
                        // A full queue is a loss as on any LAN.
                        let _ = rustix::io::write(&tap, frame);
                    }
                    FromLan::Dropped(reason) => panic!("dropped: {reason}"),
                })
                .unwrap();
                let mut buffer = [0; 2048];
                for _ in 0..64 {
                    let Ok(length) = rustix::io::read(&tap, &mut buffer[..]) else {
                        break;
                    };
                    let frame = &buffer[..length];
                    let target = match destination(frame) {
                        group if group.is_multicast() => Target::Both,
                        host if host == lan.mac() => Target::Host,
                        _ => Target::Wire,
                    };
                    lan.send(frame, target);
                }
                lan.flush();
            }
            lan
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    pub(crate) fn stop(mut self) -> LanCounters {
        self.stop.store(true, Ordering::Relaxed);
        let lan = self.thread.take().unwrap().join();
        lan.expect("the tunnel panicked").counters()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn wait(lan: &Lan, tap: &Tap) {
    let lan_fd = lan.frames_fd();
    let mut fds = [
        PollFd::new(&lan_fd, PollFlags::IN),
        PollFd::new(tap, PollFlags::IN),
    ];
    let timeout = Timespec::try_from(Duration::from_millis(50)).unwrap();
    match poll(&mut fds, Some(&timeout)) {
        Ok(_) => {}
        Err(errno) => assert_eq!(io::Error::from(errno).kind(), io::ErrorKind::Interrupted),
    }
}
