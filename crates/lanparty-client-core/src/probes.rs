//! Round-trip times to the other members, measured through the relay.
//!
//! The gateway is probed every second. The other members share a fixed number
//! of probes a second, so that a full room costs no more than a small one.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use lanparty_obs::DropReason;
use lanparty_proto::PeerId;
use lanparty_proto::probe::{Probe, ProbeOp, SEQUENCE_MASK};
use rand::Rng;

/// Between two probes of one peer, at least.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// Probes a second for all members but the gateway.
pub const SHARED_PER_SECOND: u32 = 4;
/// Requests of one peer that are answered within a second (design section 5).
pub const ANSWERS_PER_SECOND: u32 = 10;
/// A reply later than this is no measurement.
pub const REPLY_WINDOW: Duration = Duration::from_secs(5);

/// A smoothed round-trip time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtt {
    /// Exponentially weighted, one eighth per sample (RFC 6298 section 2).
    pub smoothed: Duration,
    /// The smallest sample since the peer joined.
    pub min: Duration,
}

/// The probes of one member.
#[derive(Debug)]
pub struct Probes {
    epoch: Instant,
    peers: BTreeMap<PeerId, Target>,
}

#[derive(Debug)]
struct Target {
    is_gateway: bool,
    next: Instant,
    sequence: u32,
    outstanding: VecDeque<Outstanding>,
    rtt: Option<Rtt>,
    answers_since: Instant,
    answers: u32,
}

#[derive(Clone, Copy, Debug)]
struct Outstanding {
    sequence: u32,
    nonce: u64,
    sent: Instant,
}

impl Probes {
    /// `epoch` is where the clock field of the probes counts from.
    #[must_use]
    pub const fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            peers: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, peer: PeerId, is_gateway: bool, now: Instant, rng: &mut impl Rng) {
        let target = Target {
            is_gateway,
            // Spread, so that everybody who saw the peer join does not probe
            // it in the same moment.
            next: now + INTERVAL.mul_f64(rng.random_range(0.0..1.0)),
            sequence: rng.random::<u32>() & SEQUENCE_MASK,
            outstanding: VecDeque::new(),
            rtt: None,
            answers_since: now,
            answers: 0,
        };
        self.peers.insert(peer, target);
    }

    pub fn remove(&mut self, peer: PeerId) {
        self.peers.remove(&peer);
    }

    #[must_use]
    pub fn rtt(&self, peer: PeerId) -> Option<Rtt> {
        self.peers.get(&peer)?.rtt
    }

    /// When [`Self::poll`] has a request to send.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Instant> {
        self.peers.values().map(|target| target.next).min()
    }

    /// The next request that is due.
    pub fn poll(&mut self, now: Instant, rng: &mut impl Rng) -> Option<Probe> {
        let others = self.peers.values().filter(|t| !t.is_gateway).count();
        let shared = Duration::from_secs(1) / SHARED_PER_SECOND;
        let shared = shared * u32::try_from(others).unwrap_or(u32::MAX);
        let due = self.peers.iter_mut().find(|(_, t)| t.next <= now);
        let (&peer, target) = due?;
        let interval = if target.is_gateway {
            INTERVAL
        } else {
            INTERVAL.max(shared)
        };
        target.next = now + interval;
        target.sequence = target.sequence.wrapping_add(1) & SEQUENCE_MASK;
        let is_late = |o: &Outstanding| now.saturating_duration_since(o.sent) > REPLY_WINDOW;
        while target.outstanding.front().is_some_and(is_late) {
            target.outstanding.pop_front();
        }
        let probe = Outstanding {
            sequence: target.sequence,
            nonce: rng.random(),
            sent: now,
        };
        target.outstanding.push_back(probe);
        Some(Probe {
            op: ProbeOp::Request,
            seq: probe.sequence,
            target: peer.get(),
            nonce: probe.nonce,
            send_us: self.clock_us(now),
            hold_us: 0,
        })
    }

    /// Takes a probe that `source` addressed to us; returns the reply to send.
    ///
    /// # Errors
    /// [`DropReason::Probe`] for a stranger, a reply to nothing, or a request
    /// above the rate.
    pub fn receive(
        &mut self,
        source: PeerId,
        probe: Probe,
        now: Instant,
    ) -> Result<Option<Probe>, DropReason> {
        let target = self.peers.get_mut(&source).ok_or(DropReason::Probe)?;
        match probe.op {
            ProbeOp::Request => {
                if now.saturating_duration_since(target.answers_since) >= Duration::from_secs(1) {
                    target.answers_since = now;
                    target.answers = 0;
                }
                if target.answers >= ANSWERS_PER_SECOND {
                    return Err(DropReason::Probe);
                }
                target.answers += 1;
                Ok(Some(Probe {
                    op: ProbeOp::Reply,
                    target: source.get(),
                    // Answered within the receive call that brought it.
                    hold_us: 0,
                    ..probe
                }))
            }
            ProbeOp::Reply => {
                let expected = target
                    .outstanding
                    .iter()
                    .position(|o| o.sequence == probe.seq && o.nonce == probe.nonce)
                    .and_then(|at| target.outstanding.remove(at))
                    .ok_or(DropReason::Probe)?;
                let elapsed = now.saturating_duration_since(expected.sent);
                let held = Duration::from_micros(u64::from(probe.hold_us));
                // A hold time longer than the round trip is a lie.
                let sample = elapsed.checked_sub(held).ok_or(DropReason::Probe)?;
                target.rtt = Some(Rtt::update(target.rtt, sample));
                Ok(None)
            }
        }
    }

    fn clock_us(&self, now: Instant) -> u32 {
        let micros = now.saturating_duration_since(self.epoch).as_micros();
        u32::try_from(micros & u128::from(u32::MAX)).unwrap_or(0)
    }
}

impl Rtt {
    fn update(before: Option<Self>, sample: Duration) -> Self {
        match before {
            None => Self {
                smoothed: sample,
                min: sample,
            },
            Some(before) => Self {
                smoothed: (before.smoothed * 7 + sample) / 8,
                min: before.min.min(sample),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn peer(id: u16) -> PeerId {
        PeerId::try_from(id).unwrap()
    }

    fn room(players: u16) -> (Probes, Instant, StdRng) {
        let mut rng = StdRng::seed_from_u64(3);
        let now = crate::test_start();
        let mut probes = Probes::new(now);
        probes.add(peer(1), true, now, &mut rng);
        for id in 0..players {
            probes.add(peer(id + 2), false, now, &mut rng);
        }
        (probes, now, rng)
    }

    #[test]
    fn a_reply_measures_the_round_trip_without_the_hold_time() {
        let (mut ours, start, mut rng) = room(0);
        let mut theirs = Probes::new(start);
        theirs.add(peer(7), false, start + INTERVAL * 9, &mut rng);
        let sent = start + INTERVAL;
        let request = ours.poll(sent, &mut rng).unwrap();
        let mut reply = theirs.receive(peer(7), request, sent).unwrap().unwrap();
        assert_eq!((reply.op, reply.target), (ProbeOp::Reply, 7));
        reply.hold_us = 5_000;
        let back = sent + Duration::from_millis(25);
        assert_eq!(ours.receive(peer(1), reply, back), Ok(None));
        let expected = Duration::from_millis(20);
        assert_eq!(ours.rtt(peer(1)).unwrap().smoothed, expected);
        assert_eq!(ours.receive(peer(1), reply, back), Err(DropReason::Probe));
    }

    #[test]
    fn a_forged_reply_measures_nothing() {
        let (mut probes, start, mut rng) = room(1);
        let now = start + INTERVAL;
        while let Some(request) = probes.poll(now, &mut rng) {
            let source = PeerId::try_from(request.target).unwrap();
            let reply = Probe {
                op: ProbeOp::Reply,
                nonce: request.nonce ^ 1,
                ..request
            };
            assert_eq!(probes.receive(source, reply, now), Err(DropReason::Probe));
            assert_eq!(probes.rtt(source), None);
        }
    }

    #[test]
    fn a_full_room_costs_a_bounded_number_of_probes() {
        let (mut probes, start, mut rng) = room(199);
        let mut gateway = 0;
        let mut others = 0;
        for tick in 0..10_000 {
            let now = start + Duration::from_secs(100) + Duration::from_millis(10) * tick;
            while let Some(request) = probes.poll(now, &mut rng) {
                if request.target == 1 {
                    gateway += 1;
                } else {
                    others += 1;
                }
            }
        }
        assert!((99..=101).contains(&gateway), "{gateway}");
        // One round at once after the gap, then the shared rate for 100 s.
        assert!(others <= 199 + SHARED_PER_SECOND * 101, "{others}");
    }

    #[test]
    fn answers_are_limited_per_peer() {
        let (mut probes, now, _) = room(1);
        let request = Probe {
            op: ProbeOp::Request,
            seq: 1,
            target: 9,
            nonce: 1,
            send_us: 0,
            hold_us: 0,
        };
        let answered = (0..50)
            .filter(|_| probes.receive(peer(2), request, now).is_ok())
            .count();
        assert_eq!(answered, 10);
        assert!(probes.receive(peer(1), request, now).is_ok());
        assert!(probes.receive(peer(2), request, now + INTERVAL).is_ok());
        assert!(probes.receive(peer(99), request, now).is_err());
    }
}
