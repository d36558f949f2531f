//! An adapter without a machine behind it, for tests of drivers.

use std::collections::VecDeque;
use std::io;

use crate::{Adapter, FromTap, Received, TapCounters, TapError};

/// Frames pushed into [`FakeTap::from_machine`] are received; frames sent end
/// up in [`FakeTap::to_machine`] at the next flush.
#[derive(Debug, Default)]
pub struct FakeTap {
    pub from_machine: VecDeque<Vec<u8>>,
    pub to_machine: Vec<Vec<u8>>,
    pub carrier: bool,
    pub mtu: u16,
    waiting: Vec<Vec<u8>>,
    counters: TapCounters,
}

impl Adapter for FakeTap {
    fn receive(
        &mut self,
        budget: usize,
        sink: &mut dyn FnMut(FromTap<'_>),
    ) -> io::Result<Received> {
        for _ in 0..budget {
            let Some(mut frame) = self.from_machine.pop_front() else {
                return Ok(Received::Drained);
            };
            self.counters.reads += 1;
            self.counters.frames_in += 1;
            self.counters.bytes_in += frame.len() as u64;
            sink(FromTap::Frame(&mut frame));
        }
        Ok(Received::More)
    }

    fn send(&mut self, frame: &[u8]) {
        self.waiting.push(frame.to_vec());
    }

    /// Like a real adapter, refuses frames while its cable is unplugged.
    fn flush(&mut self) -> u64 {
        if !self.carrier {
            let refused = self.waiting.len() as u64;
            self.waiting.clear();
            return refused;
        }
        for frame in self.waiting.drain(..) {
            self.counters.writes += 1;
            self.counters.frames_out += 1;
            self.counters.bytes_out += frame.len() as u64;
            self.to_machine.push(frame);
        }
        0
    }

    fn set_carrier(&mut self, up: bool) -> Result<(), TapError> {
        self.carrier = up;
        Ok(())
    }

    fn set_mtu(&mut self, mtu: u16) -> Result<(), TapError> {
        self.mtu = mtu;
        Ok(())
    }

    fn counters(&self) -> TapCounters {
        self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_leaves_the_rest_for_the_next_turn() {
        let mut tap = FakeTap::default();
        tap.from_machine.extend([vec![1; 60], vec![2; 60]]);
        let mut seen = Vec::new();
        let mut sink = |from: FromTap<'_>| {
            if let FromTap::Frame(frame) = from {
                seen.push(frame[0]);
            }
        };
        assert_eq!(tap.receive(1, &mut sink).unwrap(), Received::More);
        assert_eq!(tap.receive(8, &mut sink).unwrap(), Received::Drained);
        assert_eq!(seen, [1, 2]);
    }

    #[test]
    fn frames_are_refused_without_a_cable() {
        let mut tap = FakeTap::default();
        tap.send(&[0; 60]);
        assert_eq!(tap.flush(), 1);
        tap.set_carrier(true).unwrap();
        tap.send(&[0; 60]);
        assert_eq!(tap.flush(), 0);
        assert_eq!(tap.to_machine.len(), 1);
    }
}
