//! Two interfaces joined by a wire with weather: what goes in on one side
//! comes out on the other later, out of order, twice or not at all.
//!
//! One thread of the lab's own, because not every kernel has netem. Its luck
//! comes from a fixed seed, so two runs lose the same shares.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{set_socket_recv_buffer_size_force, set_socket_send_buffer_size_force};

use crate::hurry::hurry;
use crate::node::Node;
use crate::packet::RawSocket;
use crate::wait;

/// What happens to frames on their way, in each direction by itself. Shares
/// are 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    /// One way.
    pub delay: Duration,
    /// Up to this much is added to the delay; frames stay in order.
    pub jitter: Duration,
    /// The share of frames that are held back by [`HELD_BACK`], so that those
    /// behind them overtake.
    pub reorder: f64,
    pub duplicate: f64,
    /// Each frame by its own luck.
    pub loss: f64,
}

/// How much later a reordered frame comes: two or three frames at 10 Mbit/s,
/// about ten at 50.
pub const HELD_BACK: Duration = Duration::from_millis(2);

impl Weather {
    /// Only far away.
    #[must_use]
    pub fn far(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    /// Only lossy.
    #[must_use]
    pub fn lossy(loss: f64) -> Self {
        Self {
            loss,
            ..Self::default()
        }
    }

    /// Whether frames pass untouched.
    #[must_use]
    pub fn is_fair(&self) -> bool {
        *self == Self::default()
    }
}

/// What a link did so far.
#[derive(Debug, Default)]
struct Counters {
    carried: AtomicU64,
    lost: AtomicU64,
    /// The next hop's queue was full, or its interface down.
    refused: AtomicU64,
}

/// A running link. Dropping it cuts the wire.
#[derive(Debug)]
pub struct Link {
    stop: Arc<AtomicBool>,
    counters: Arc<Counters>,
    silence: Arc<Mutex<Option<Instant>>>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// Joins two interfaces of a host on which nobody else sends.
    ///
    /// # Errors
    /// When an interface does not exist.
    pub fn start(node: &Node, interfaces: [&str; 2], weather: Weather) -> Result<Self> {
        let [left, right] = interfaces.map(|interface| open(node, interface));
        let sides = [left?, right?];
        let stop = Arc::new(AtomicBool::new(false));
        let counters = Arc::new(Counters::default());
        let silence = Arc::new(Mutex::new(None));
        let wire = Wire {
            sides,
            weather,
            luck: Luck(SEED),
            due: BTreeMap::new(),
            last: [None; 2],
            number: 0,
            counters: Arc::clone(&counters),
            silence: Arc::clone(&silence),
        };
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("link".to_owned())
            .spawn(move || wire.run(&stopped))?;
        Ok(Self {
            stop,
            counters,
            silence,
            thread: Some(thread),
        })
    }

    /// Loses everything, both ways, for a while from now on.
    pub fn cut_for(&self, time: Duration) {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        *silence = Some(wait::now() + time);
    }

    /// Frames that came out on the other side.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.counters.carried.load(Ordering::Relaxed)
    }

    /// Frames that were lost on purpose.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.counters.lost.load(Ordering::Relaxed)
    }

    /// Frames that the interface behind did not take: a full bottleneck.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.counters.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Room for what a bottleneck behind holds and for what comes while the thread
/// does not run: otherwise the link would lose by itself. The kernel counts
/// about twice a frame's length.
const BUFFER: usize = 32 << 20;
const SEED: u64 = 0x5EED_0F10_77E2_1055;
/// How long a stopped link may take to notice.
const NOTICE: Duration = Duration::from_millis(50);
fn open(node: &Node, interface: &str) -> Result<RawSocket> {
    let socket = RawSocket::open(node, interface)?;
    set_socket_recv_buffer_size_force(socket.as_fd(), BUFFER).context("no room to receive")?;
    set_socket_send_buffer_size_force(socket.as_fd(), BUFFER).context("no room to send")?;
    Ok(socket)
}

struct Wire {
    sides: [RawSocket; 2],
    weather: Weather,
    luck: Luck,
    /// Frames on their way: when due, in which order they came, to which side.
    due: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    /// When the last frame to each side is due that was not held back.
    last: [Option<Instant>; 2],
    number: u64,
    counters: Arc<Counters>,
    silence: Arc<Mutex<Option<Instant>>>,
}

impl Wire {
    fn run(mut self, stop: &AtomicBool) {
        hurry();
        let mut buffer = vec![0; 65_536];
        while !stop.load(Ordering::Relaxed) {
            self.wait();
            for from in 0..self.sides.len() {
                self.take_in(from, &mut buffer);
            }
            self.give_out();
        }
    }

    fn wait(&self) {
        let next = self.due.keys().next().map(|(due, _)| *due);
        let left = next.map_or(NOTICE, |due| {
            due.saturating_duration_since(wait::now()).min(NOTICE)
        });
        let mut set = self
            .sides
            .each_ref()
            .map(|side| PollFd::from_borrowed_fd(side.as_fd(), PollFlags::IN));
        let timeout = Timespec::try_from(left).ok();
        let _interrupted = poll(&mut set, timeout.as_ref());
    }

    fn take_in(&mut self, from: usize, buffer: &mut [u8]) {
        let to = 1 - from;
        loop {
            let Some(length) = self.sides.get(from).and_then(|it| it.try_receive(buffer)) else {
                return;
            };
            let now = wait::now();
            let frame = buffer.get(..length).unwrap_or_default();
            if self.is_silent(now) || self.luck.strikes(self.weather.loss) {
                self.counters.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.schedule(now, to, frame);
            if self.luck.strikes(self.weather.duplicate) {
                self.schedule(now, to, frame);
            }
        }
    }

    fn is_silent(&self, now: Instant) -> bool {
        let silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        silence.is_some_and(|until| now < until)
    }

    fn schedule(&mut self, now: Instant, to: usize, frame: &[u8]) {
        let mut due = now + self.weather.delay + self.weather.jitter.mul_f64(self.luck.draw());
        if self.luck.strikes(self.weather.reorder) {
            due += HELD_BACK;
        } else if let Some(last) = self.last.get_mut(to) {
            due = last.map_or(due, |last| due.max(last));
            *last = Some(due);
        }
        self.number += 1;
        self.due.insert((due, self.number), (to, frame.to_vec()));
    }

    fn give_out(&mut self) {
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > wait::now() {
                return;
            }
            let (to, frame) = entry.remove();
            let sent = self.sides.get(to).is_some_and(|it| it.send(&frame).is_ok());
            let counter = if sent {
                &self.counters.carried
            } else {
                &self.counters.refused
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// xorshift64*: enough for weather.
struct Luck(u64);

impl Luck {
    /// Even, from 0 to below 1.
    fn draw(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        f64::from(u32::try_from(high).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
    }

    fn strikes(&mut self, share: f64) -> bool {
        share > 0.0 && self.draw() < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luck_strikes_as_often_as_it_should() {
        let mut luck = Luck(SEED);
        let strikes = (0..100_000).filter(|_| luck.strikes(0.05)).count();
        assert!((4_700..5_300).contains(&strikes), "{strikes}");
        assert!(!luck.strikes(0.0));
    }
}
