//! When datagrams step back so that the control stream gets through.
//!
//! quinn fills packets with datagrams before stream data and does not say
//! whether stream data waits, so under a bulk load that fills the congestion
//! window a control message, or its retransmission, would wait for ever. Now
//! and then, and after every write, no datagram is handed over until quinn has
//! nothing else to send.

use std::time::{Duration, Instant};

/// Long against a packet, short against a person: retransmitted control bytes
/// wait no longer than this for their turn.
const INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
pub(crate) struct ControlTurn {
    phase: Phase,
    /// A probe found the path blocked; the next opening is the control
    /// stream's alone.
    was_blocked: bool,
    next: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Datagrams,
    Control,
    /// quinn had nothing to send, or may not send: one datagram tells which.
    Probe,
}

/// How many datagrams quinn may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowance {
    Nothing,
    One,
    Lead,
}

impl ControlTurn {
    /// Before quinn is asked for a packet.
    pub(crate) fn allowance(&mut self, now: Instant, has_written: bool) -> Allowance {
        if has_written || self.next.is_none_or(|next| now >= next) {
            self.next = Some(now + INTERVAL);
            self.phase = Phase::Control;
        }
        match self.phase {
            Phase::Datagrams => Allowance::Lead,
            Phase::Control => Allowance::Nothing,
            Phase::Probe => Allowance::One,
        }
    }

    /// quinn had a packet.
    pub(crate) fn sent(&mut self) {
        if self.phase == Phase::Probe {
            self.phase = Phase::Datagrams;
        }
    }

    /// quinn had none. True where it is to be asked again.
    pub(crate) fn stalled(&mut self, datagrams_wait: bool) -> bool {
        match self.phase {
            Phase::Datagrams => false,
            Phase::Control if !datagrams_wait => {
                self.phase = Phase::Datagrams;
                false
            }
            Phase::Control if self.was_blocked => {
                self.was_blocked = false;
                false
            }
            Phase::Control => {
                self.phase = Phase::Probe;
                true
            }
            Phase::Probe => {
                self.phase = Phase::Control;
                self.was_blocked = true;
                false
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment will do")]
mod tests {
    use super::*;

    #[test]
    fn control_goes_first_after_a_write_until_quinn_has_nothing_else() {
        let now = Instant::now();
        let mut turn = ControlTurn::default();
        assert_eq!(turn.allowance(now, true), Allowance::Nothing);
        turn.sent();
        assert_eq!(turn.allowance(now, false), Allowance::Nothing);
        assert!(turn.stalled(true));
        assert_eq!(turn.allowance(now, false), Allowance::One);
        turn.sent();
        assert_eq!(turn.allowance(now, false), Allowance::Lead);
        assert!(!turn.stalled(true));
        let later = now + INTERVAL;
        assert_eq!(turn.allowance(later, false), Allowance::Nothing);
    }

    #[test]
    fn on_a_blocked_path_every_other_opening_is_for_control_alone() {
        let now = Instant::now();
        let mut turn = ControlTurn::default();
        turn.allowance(now, true);
        for _ in 0..5 {
            assert!(turn.stalled(true));
            assert_eq!(turn.allowance(now, false), Allowance::One);
            assert!(!turn.stalled(true));
            // The path opens for one packet, which is the probe's datagram.
            assert_eq!(turn.allowance(now, false), Allowance::Nothing);
            turn.sent();
            assert!(!turn.stalled(true));
            // And again: nothing is ahead of the control stream.
            assert_eq!(turn.allowance(now, false), Allowance::Nothing);
            turn.sent();
        }
    }

    #[test]
    fn without_datagrams_there_is_nothing_to_hold_back() {
        let now = Instant::now();
        let mut turn = ControlTurn::default();
        turn.allowance(now, true);
        assert!(!turn.stalled(false));
        assert_eq!(turn.allowance(now, false), Allowance::Lead);
    }
}
