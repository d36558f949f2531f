//! What came of a simulation.

use crate::path::{Nanos, SECOND};

#[derive(Clone, Debug, Default)]
pub(crate) struct FlowLog {
    /// When packets arrived, and their bytes.
    pub(crate) arrivals: Vec<(Nanos, u64)>,
    /// How long packets sent then waited for the bottleneck.
    pub(crate) delays: Vec<(Nanos, Nanos)>,
    pub(crate) lost: u64,
    pub(crate) sent: u64,
    /// Milliseconds spent competing.
    pub(crate) competing: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) flows: Vec<FlowLog>,
    pub(crate) rates: Vec<(Nanos, f64)>,
    pub(crate) queue: Vec<(Nanos, Nanos)>,
    pub(crate) time: Nanos,
}

impl Report {
    /// Bits a second that a flow got between two moments.
    pub(crate) fn goodput(&self, flow: usize, from: Nanos, to: Nanos) -> f64 {
        let bytes: u64 = self.flows[flow]
            .arrivals
            .iter()
            .filter(|(at, _)| (from..to).contains(at))
            .map(|(_, bytes)| bytes)
            .sum();
        bytes as f64 * 8.0 * SECOND as f64 / (to - from) as f64
    }

    /// What all flows got of the bottleneck.
    pub(crate) fn utilisation(&self, from: Nanos, to: Nanos) -> f64 {
        let got: f64 = (0..self.flows.len())
            .map(|flow| self.goodput(flow, from, to))
            .sum();
        let mut rate = self.rates[0].1;
        for (at, next) in &self.rates {
            if *at <= from {
                rate = *next;
            }
        }
        got / rate
    }

    pub(crate) fn share(&self, flow: usize, from: Nanos, to: Nanos) -> f64 {
        let all: f64 = (0..self.flows.len())
            .map(|flow| self.goodput(flow, from, to))
            .sum();
        self.goodput(flow, from, to) / all
    }

    /// Milliseconds that packets waited for the bottleneck, at this part of
    /// the way from the shortest to the longest.
    pub(crate) fn queue_ms(&self, part: f64, from: Nanos, to: Nanos) -> f64 {
        let mut waits: Vec<_> = self
            .queue
            .iter()
            .filter(|(at, _)| (from..to).contains(at))
            .map(|(_, wait)| *wait)
            .collect();
        waits.sort_unstable();
        let at = (part * (waits.len() - 1) as f64).round() as usize;
        waits[at] as f64 / 1e6
    }

    pub(crate) fn loss(&self, flow: usize) -> f64 {
        self.flows[flow].lost as f64 / self.flows[flow].sent.max(1) as f64
    }
}
