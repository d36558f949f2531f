//! A steady stream of numbered datagrams, and which arrived when and in which
//! order.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::net::SendFlags;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use crate::hurry::hurry;
use crate::node::Node;
use crate::wait;

const PORT: u16 = 5_217;
/// Until the last datagrams have left every queue.
const DRAIN: Duration = Duration::from_millis(500);
/// Time for both threads to be in place.
const READY: Duration = Duration::from_millis(300);
/// How often the listener looks whether it is over.
const GLANCE: Duration = Duration::from_millis(50);
/// Between sends; at 50 Mbit/s five datagrams a time.
const PAUSE: Duration = Duration::from_millis(1);
/// For what arrives while the listener does not run.
const BUFFER: usize = 8 << 20;
const NUMBER_LEN: usize = 4;

/// A stream that is over.
#[derive(Clone, Debug)]
pub struct Stream {
    sent: u32,
    size: usize,
    /// When since the first left, and which; in the order of arrival.
    arrivals: Vec<(Duration, u32)>,
}

/// Sends datagrams of `size` bytes at `rate` a second for `time`, whatever
/// becomes of them.
///
/// # Errors
/// When sockets cannot be opened, or nothing arrives.
pub fn steady(
    from: &Node,
    to: &Node,
    target: Ipv4Addr,
    size: usize,
    rate: f64,
    time: Duration,
) -> Result<Stream> {
    let ear = to.inside(|| Ok(UdpSocket::bind((target, PORT))?))?;
    set_socket_recv_buffer_size_force(&ear, BUFFER).context("no room to receive")?;
    ear.set_read_timeout(Some(GLANCE))?;
    let mouth = from.inside(|| {
        let mouth = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        mouth.connect((target, PORT))?;
        Ok(mouth)
    })?;
    // Neighbours are found before.
    mouth.send(&[0])?;
    thread::sleep(GLANCE);
    let over = AtomicBool::new(false);
    let begin = wait::now() + READY;
    let (sent, arrivals) = thread::scope(|scope| {
        let listener = scope.spawn(|| listen(&ear, size, begin, &over));
        let speaker = scope.spawn(|| speak(&mouth, size, rate, begin, time));
        let sent = speaker.join();
        thread::sleep(DRAIN);
        over.store(true, Ordering::Relaxed);
        (sent, listener.join())
    });
    let stream = Stream {
        sent: sent.ok().context("the sender panicked")?,
        size,
        arrivals: arrivals.ok().context("the listener panicked")?,
    };
    ensure!(!stream.arrivals.is_empty(), "nothing arrived at {target}");
    Ok(stream)
}

fn speak(mouth: &UdpSocket, size: usize, rate: f64, begin: Instant, time: Duration) -> u32 {
    hurry();
    let mut sent: u32 = 0;
    let mut datagram = vec![0; size.max(NUMBER_LEN)];
    loop {
        let passed = wait::now().saturating_duration_since(begin);
        if passed >= time {
            return sent;
        }
        while f64::from(sent) < rate * passed.as_secs_f64() {
            if let Some(number) = datagram.get_mut(..NUMBER_LEN) {
                number.copy_from_slice(&sent.to_be_bytes());
            }
            let _lost = rustix::net::send(mouth, &datagram, SendFlags::DONTWAIT);
            sent = sent.saturating_add(1);
        }
        thread::sleep(PAUSE);
    }
}

fn listen(ear: &UdpSocket, size: usize, begin: Instant, over: &AtomicBool) -> Vec<(Duration, u32)> {
    hurry();
    let mut arrivals = Vec::new();
    let mut buffer = vec![0; 65_536];
    while !over.load(Ordering::Relaxed) {
        let Ok(length) = ear.recv(&mut buffer) else {
            continue;
        };
        let number = buffer.first_chunk::<NUMBER_LEN>();
        if let Some(number) = number.filter(|_| length == size) {
            let at = wait::now().saturating_duration_since(begin);
            arrivals.push((at, u32::from_be_bytes(*number)));
        }
    }
    arrivals
}

impl Stream {
    /// The share that never came, 0 to 1.
    #[must_use]
    pub fn loss(&self) -> f64 {
        let different: BTreeSet<u32> = self.arrivals.iter().map(|(_, number)| *number).collect();
        1.0 - as_f64(different.len()) / f64::from(self.sent.max(1))
    }

    /// The share of arrivals behind one that was sent later.
    #[must_use]
    pub fn overtaken(&self) -> f64 {
        let mut highest = 0;
        let behind = self.arrivals.iter().filter(|(_, number)| {
            let behind = *number < highest;
            highest = highest.max(*number);
            behind
        });
        as_f64(behind.count()) / as_f64(self.arrivals.len())
    }

    /// The share of those sent that came more than once.
    #[must_use]
    pub fn repeated(&self) -> f64 {
        let mut seen = BTreeSet::new();
        let again = self.arrivals.iter().filter(|(_, it)| !seen.insert(*it));
        as_f64(again.count()) / f64::from(self.sent.max(1))
    }

    /// Payload that arrived from one time to another since the first datagram
    /// left, in bits a second.
    #[must_use]
    pub fn bits_per_second(&self, from: Duration, to: Duration) -> f64 {
        let within = self
            .arrivals
            .iter()
            .filter(|(at, _)| (from..to).contains(at));
        as_f64(within.count() * self.size * 8) / to.saturating_sub(from).as_secs_f64()
    }
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_knows_what_was_lost_overtaken_and_repeated() {
        let at = Duration::from_millis;
        let stream = Stream {
            sent: 5,
            size: 1_000,
            arrivals: vec![(at(1), 0), (at(2), 2), (at(3), 1), (at(4), 1), (at(11), 4)],
        };
        let seen = [stream.loss(), stream.overtaken(), stream.repeated()];
        assert_eq!(seen.map(|it| (it * 10.0).round()), [2.0, 4.0, 2.0]);
        let rate = stream.bits_per_second(at(0), at(10));
        assert!((rate - 3_200_000.0).abs() < 1.0, "{rate}");
    }
}
