//! The highest rate of datagrams that a path carries.

use std::io::IoSlice;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};

use crate::node::Node;
use crate::wait;

const PORT: u16 = 5_209;
/// What a path may lose and still count as carrying a rate.
const LOSS: f64 = 0.005;
/// Datagrams a second of the first try, which any tunnel carries.
const FIRST: f64 = 4_000.0;
/// No sender on one core gets further.
const LAST: f64 = 4_000_000.0;
/// Halvings of the gap between a rate that passed and one that did not: the
/// result is within 6 % of the limit.
const HALVINGS: usize = 4;
const STEP: Duration = Duration::from_millis(400);
/// Until the last datagrams of a step have left every queue.
const DRAIN: Duration = Duration::from_millis(100);
/// Between batches; shorter ones would cost the sender more than the path.
const PAUSE: Duration = Duration::from_micros(200);
/// Datagrams for one system call.
const BATCH: usize = 64;

/// Searches the highest rate, in datagrams a second, of `size` bytes of payload
/// at which less than [`LOSS`] is lost.
///
/// Nobody reads the datagrams: the receiving kernel counts them, so that as
/// little as possible of the machine is taken from the path.
///
/// # Errors
/// When the path carries next to nothing.
pub fn search(from: &Node, to: &Node, target: Ipv4Addr, size: usize) -> Result<f64> {
    let path = Path::open(from, to, target, size)?;
    let mut low = None;
    let mut rate = FIRST;
    while rate < LAST
        && let Some(arrived) = path.carries(rate)?
    {
        // The sender itself is at its limit.
        if arrived < rate * 0.9 {
            return Ok(arrived);
        }
        low = Some((rate, arrived));
        rate *= 2.0;
    }
    let (mut low, mut best) =
        low.with_context(|| format!("{FIRST} datagrams a second get lost"))?;
    let mut high = rate;
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        match path.carries(middle)? {
            Some(arrived) => (low, best) = (middle, arrived),
            None => high = middle,
        }
    }
    Ok(best)
}

struct Path<'a> {
    from: &'a Node,
    to: &'a Node,
    mouth: UdpSocket,
    /// Held and never read.
    _ear: UdpSocket,
    payload: Vec<u8>,
}

impl<'a> Path<'a> {
    fn open(from: &'a Node, to: &'a Node, target: Ipv4Addr, size: usize) -> Result<Self> {
        let ear = to.inside(|| {
            let ear = UdpSocket::bind((target, PORT))?;
            // So that next to every datagram overflows it, and is counted.
            socket2::SockRef::from(&ear).set_recv_buffer_size(0)?;
            Ok(ear)
        })?;
        let mouth = from.inside(|| {
            let mouth = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            mouth.connect((target, PORT))?;
            Ok(mouth)
        })?;
        let path = Self {
            from,
            to,
            mouth,
            _ear: ear,
            payload: vec![0x5A; size],
        };
        // Fills the ear, and finds the neighbours.
        path.send(FIRST, STEP)?;
        thread::sleep(DRAIN);
        Ok(path)
    }

    /// The rate that arrived of `rate`, unless too much was lost both times: the
    /// machine may have been busy once.
    fn carries(&self, rate: f64) -> Result<Option<f64>> {
        let mut most = None;
        for _ in 0..2 {
            let before = self.arrived()?;
            let began = wait::now();
            let sent = self.send(rate, STEP)?;
            let time = wait::now() - began;
            thread::sleep(DRAIN);
            let arrived = as_f64(self.arrived()? - before);
            if arrived < as_f64(sent) * (1.0 - LOSS) {
                continue;
            }
            let arrived = arrived / time.as_secs_f64();
            most = Some(most.map_or(arrived, |most: f64| most.max(arrived)));
            if arrived >= rate * 0.9 {
                break;
            }
        }
        Ok(most)
    }

    fn send(&self, rate: f64, time: Duration) -> Result<u64> {
        let begin = wait::now();
        let mut sent = 0;
        self.from.inside(|| {
            while wait::now() - begin < time {
                let due = due(rate, begin, wait::now());
                while sent < due && wait::now() - begin < time {
                    let count = BATCH.min(usize::try_from(due - sent).unwrap_or(BATCH));
                    sent += self.batch(count)?;
                }
                thread::sleep(PAUSE);
            }
            Ok(())
        })?;
        Ok(sent)
    }

    fn batch(&self, count: usize) -> Result<u64> {
        let pieces = [IoSlice::new(&self.payload)];
        let mut ancillary: Vec<SendAncillaryBuffer<'_, '_, '_>> =
            (0..count).map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<MMsgHdr<'_>> = ancillary
            .iter_mut()
            .map(|ancillary| MMsgHdr::new(&pieces, ancillary))
            .collect();
        let sent = sendmmsg(&self.mouth, &mut messages, SendFlags::empty())
            .context("cannot send datagrams")?;
        ensure!(sent > 0, "no datagram was taken");
        Ok(u64::try_from(sent)?)
    }

    /// Datagrams that the receiving host has counted so far.
    fn arrived(&self) -> Result<u64> {
        let counters = self
            .to
            .inside(|| Ok(std::fs::read_to_string("/proc/thread-self/net/snmp")?))?;
        udp_counter(&counters, "RcvbufErrors").context("the kernel counts no datagrams")
    }
}

fn due(rate: f64, begin: Instant, now: Instant) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is positive, and far below 2^52"
    )]
    let due = (rate * (now - begin).as_secs_f64()) as u64;
    due
}

fn as_f64(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// A line names the counters of a protocol, the next has their values.
fn udp_counter(counters: &str, name: &str) -> Option<u64> {
    let mut lines = counters.lines().filter(|line| line.starts_with("Udp:"));
    let names = lines.next()?.split_whitespace();
    let at = names.into_iter().position(|word| word == name)?;
    lines.next()?.split_whitespace().nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_stands_below_its_name() {
        let text = "Ip: a b\nIp: 1 2\nUdp: InDatagrams RcvbufErrors\nUdp: 5 17\n";
        assert_eq!(udp_counter(text, "RcvbufErrors"), Some(17));
        assert_eq!(udp_counter(text, "Sorrow"), None);
    }
}
