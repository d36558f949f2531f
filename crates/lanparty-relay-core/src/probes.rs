//! The limit on probes between two members.

use std::collections::BTreeMap;
use std::time::Instant;

use lanparty_proto::PeerId;
use lanparty_proto::probe::{Probe, ProbeOp};

use crate::limits::Limits;
use crate::rate::Allowance;

/// What each member may still send to each other one and to the relay.
///
/// Requests and replies count apart, so that answering never uses up what a
/// member needs for its own questions. Bounded by the pairs of a room.
#[derive(Debug, Default)]
pub(crate) struct ProbeLimits(BTreeMap<(PeerId, u16, bool), Allowance>);

impl ProbeLimits {
    pub(crate) fn take(
        &mut self,
        from: PeerId,
        probe: &Probe,
        limits: &Limits,
        now: Instant,
    ) -> bool {
        let burst = limits.probe_burst;
        self.0
            .entry((from, probe.target, probe.op == ProbeOp::Reply))
            .or_insert_with(|| Allowance::full(burst, now))
            .take(burst, limits.probe_every, now)
    }

    pub(crate) fn forget(&mut self, peer: PeerId) {
        self.0
            .retain(|&(from, target, _), _| from != peer && target != peer.get());
    }
}
