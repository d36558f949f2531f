//! An IPv4 link-local address of one's own (RFC 3927), sans-IO.
//!
//! Chooses an address from the player's MAC, asks three times whether anybody
//! has it, and defends it or moves on when somebody does.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lanparty_proto::MacAddr;

use crate::arp::Arp;

/// RFC 3927 section 9: PROBE_NUM.
const PROBES: u32 = 3;
/// Between PROBE_MIN (1 s) and PROBE_MAX (2 s) of RFC 3927 section 9.
const PROBE_INTERVAL: Duration = Duration::from_millis(1_200);
/// ANNOUNCE_WAIT of RFC 3927 section 9.
const ANNOUNCE_WAIT: Duration = Duration::from_secs(2);
/// MAX_CONFLICTS and RATE_LIMIT_INTERVAL of RFC 3927 section 9.
const MAX_CONFLICTS: u32 = 10;
const RATE_LIMIT_INTERVAL: Duration = Duration::from_secs(60);

/// The prefix length of 169.254/16.
pub(crate) const PREFIX_LEN: u8 = 16;

#[derive(Debug)]
pub(crate) struct LinkLocal {
    mac: MacAddr,
    candidate: Ipv4Addr,
    conflicts: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Probing { sent: u32, next: Instant },
    Claimed,
}

/// What the caller has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Send(Arp),
    /// Nobody objected: the address is ours from now on.
    Take(Ipv4Addr),
    /// Somebody else uses the address that was ours.
    GiveUp,
}

impl LinkLocal {
    pub(crate) fn new(mac: MacAddr, now: Instant) -> Self {
        Self {
            mac,
            candidate: candidate(mac, 0),
            conflicts: 0,
            state: State::Probing { sent: 0, next: now },
        }
    }

    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        match self.state {
            State::Probing { next, .. } => Some(next),
            State::Claimed => None,
        }
    }

    pub(crate) fn tick(&mut self, now: Instant) -> Option<Action> {
        let State::Probing { sent, next } = self.state else {
            return None;
        };
        if next > now {
            return None;
        }
        if sent == PROBES {
            self.state = State::Claimed;
            return Some(Action::Take(self.candidate));
        }
        let sent = sent + 1;
        let pause = if sent == PROBES {
            ANNOUNCE_WAIT
        } else {
            PROBE_INTERVAL
        };
        self.state = State::Probing {
            sent,
            next: now + pause,
        };
        Some(Action::Send(Arp::probe(self.mac, self.candidate)))
    }

    /// Looks at an ARP packet from the LAN.
    pub(crate) fn observe(&mut self, arp: &Arp, now: Instant) -> Option<Action> {
        if arp.sender_mac == self.mac {
            return None;
        }
        let uses_it = arp.sender == self.candidate;
        let wants_it = arp.is_probe() && arp.target == self.candidate;
        match self.state {
            State::Probing { .. } if uses_it || wants_it => {
                self.next_candidate(now);
                None
            }
            // An established address yields only to another user of it, not to
            // somebody who asks whether it is free: the kernel answers those.
            State::Claimed if uses_it => {
                self.next_candidate(now);
                Some(Action::GiveUp)
            }
            State::Probing { .. } | State::Claimed => None,
        }
    }

    fn next_candidate(&mut self, now: Instant) {
        self.conflicts += 1;
        self.candidate = candidate(self.mac, self.conflicts);
        let pause = if self.conflicts >= MAX_CONFLICTS {
            RATE_LIMIT_INTERVAL
        } else {
            PROBE_INTERVAL
        };
        self.state = State::Probing {
            sent: 0,
            next: now + pause,
        };
    }
}

/// RFC 3927 section 2.1: from 169.254.1.0 to 169.254.254.255, the same after
/// each start as long as nobody objects. FNV-1a spreads the MAC over the range.
fn candidate(mac: MacAddr, attempt: u32) -> Ipv4Addr {
    let hash = mac
        .octets()
        .into_iter()
        .chain(attempt.to_be_bytes())
        .fold(0x811C_9DC5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    let first = Ipv4Addr::new(169, 254, 1, 0).to_bits();
    Ipv4Addr::from_bits(first + hash % (254 * 256))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    #[test]
    fn an_address_is_taken_after_three_unanswered_probes() {
        let mut now = start();
        let mut link_local = LinkLocal::new(OWN, now);
        let (address, probes) = run(&mut link_local, &mut now);
        assert_eq!(probes, 3);
        assert!(address.is_link_local());
        assert_eq!(link_local.next_wakeup(), None);
    }

    #[test]
    fn the_same_mac_gets_the_same_address_again() {
        let mut now = start();
        let (first, _) = run(&mut LinkLocal::new(OWN, now), &mut now);
        let (again, _) = run(&mut LinkLocal::new(OWN, now), &mut now);
        let (other, _) = run(&mut LinkLocal::new(OTHER, now), &mut now);
        assert_eq!(first, again);
        assert_ne!(first, other);
    }

    #[test]
    fn a_taken_address_is_left_to_its_user() {
        let mut now = start();
        let mut link_local = LinkLocal::new(OWN, now);
        let taken = link_local.candidate;
        link_local.tick(now);
        link_local.observe(&Arp::announcement(OTHER, taken), now);
        let (address, _) = run(&mut link_local, &mut now);
        assert_ne!(address, taken);
    }

    #[test]
    fn two_that_probe_for_one_address_both_move_on() {
        let now = start();
        let mut link_local = LinkLocal::new(OWN, now);
        let wanted = link_local.candidate;
        link_local.observe(&Arp::probe(OTHER, wanted), now);
        assert_ne!(link_local.candidate, wanted);
    }

    #[test]
    fn a_claimed_address_yields_to_a_user_but_not_to_a_probe() {
        let mut now = start();
        let mut link_local = LinkLocal::new(OWN, now);
        let (address, _) = run(&mut link_local, &mut now);
        assert_eq!(link_local.observe(&Arp::probe(OTHER, address), now), None);
        let conflict = Arp::announcement(OTHER, address);
        assert_eq!(link_local.observe(&conflict, now), Some(Action::GiveUp));
        let (next, _) = run(&mut link_local, &mut now);
        assert_ne!(next, address);
    }

    #[test]
    fn our_own_packets_are_no_conflict() {
        let now = start();
        let mut link_local = LinkLocal::new(OWN, now);
        let address = link_local.candidate;
        link_local.observe(&Arp::probe(OWN, address), now);
        assert_eq!(link_local.candidate, address);
    }

    #[test]
    fn every_candidate_is_in_the_usable_range() {
        let range = Ipv4Addr::new(169, 254, 1, 0)..=Ipv4Addr::new(169, 254, 254, 255);
        for last in 0..=u8::MAX {
            for attempt in 0..20 {
                let address = candidate(MacAddr([2, 0, 0, 0, 0, last]), attempt);
                assert!(range.contains(&address), "{address}");
            }
        }
    }

    fn run(link_local: &mut LinkLocal, now: &mut Instant) -> (Ipv4Addr, u32) {
        let mut probes = 0;
        loop {
            match link_local.tick(*now) {
                Some(Action::Send(arp)) => {
                    assert!(arp.is_probe());
                    probes += 1;
                }
                Some(Action::Take(address)) => return (address, probes),
                Some(Action::GiveUp) => panic!("gave up"),
                None => *now = link_local.next_wakeup().unwrap(),
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "where a test's clock starts")]
    fn start() -> Instant {
        Instant::now()
    }
}
