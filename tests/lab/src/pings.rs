//! A steady stream of small packets and what became of each: the game that
//! goes on while something else happens.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::node::Node;

/// The round trips of one stream.
#[derive(Clone, Debug)]
pub struct Pings {
    sent: usize,
    /// Of the answers that came, shortest first.
    times: Vec<Duration>,
}

impl Pings {
    /// Sends `count` pings, one every `interval`, and waits a second for the
    /// last answers.
    ///
    /// # Errors
    /// When not one answer comes.
    pub fn run(node: &Node, target: IpAddr, interval: Duration, count: usize) -> Result<Self> {
        let interval = interval.as_secs_f64();
        let report = node.sh(&format!(
            "ping -n -i {interval} -W 1 -c {count} {target} || true"
        ))?;
        let mut times: Vec<Duration> = report.lines().filter_map(time_of).collect();
        times.sort();
        ensure!(!times.is_empty(), "no answer from {target}: {report}");
        Ok(Self { sent: count, times })
    }

    /// The share of pings without an answer, 0 to 1.
    #[must_use]
    pub fn loss(&self) -> f64 {
        let lost = self.sent.saturating_sub(self.times.len());
        as_f64(lost) / as_f64(self.sent)
    }

    /// The time that `percent` of the answers did not exceed.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let at = (self.times.len() * percent / 100).min(self.times.len() - 1);
        self.times.get(at).copied().unwrap_or_default()
    }
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn time_of(line: &str) -> Option<Duration> {
    let (_, rest) = line.split_once("time=")?;
    let ms: f64 = rest.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_secs_f64(ms / 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ping_has_a_time() {
        let line = "64 bytes from 10.73.42.10: icmp_seq=7 ttl=64 time=0.482 ms";
        assert_eq!(time_of(line), Some(Duration::from_micros(482)));
        assert_eq!(
            time_of("From 10.73.42.2 icmp_seq=1 Destination Host Unreachable"),
            None
        );
    }

    #[test]
    fn loss_counts_what_did_not_come_back() {
        let times = (1..=99).map(Duration::from_millis).collect();
        let pings = Pings { sent: 100, times };
        assert!((pings.loss() - 0.01).abs() < 1e-9);
        assert_eq!(pings.percentile(50), Duration::from_millis(50));
        assert_eq!(pings.percentile(100), Duration::from_millis(99));
    }
}
