//! How often strangers may guess.
//!
//! A failed join costs its source prefix, and the room that it named if there
//! is one. Who is out of tries gets the same answer as who guessed wrong.
//! Members that come back with a token of the relay's are never held up, so
//! that an attacker cannot lock them out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::rate::Allowance;

/// The networks that an address belongs to, from the smallest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source([Option<Prefix>; 3]);

/// A network by its first address and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prefix {
    network: IpAddr,
    len: u8,
}

/// A line of an IPv6 customer has a /64 at least, usually a /56, and a site
/// up to a /48 (RFC 6177); each larger one gets twice the tries.
const V6_LENS: [u8; 3] = [64, 56, 48];

impl Source {
    pub(crate) fn of(remote: IpAddr) -> Self {
        match remote.to_canonical() {
            network @ IpAddr::V4(_) => Self([Some(Prefix { network, len: 32 }), None, None]),
            IpAddr::V6(v6) => Self(V6_LENS.map(|len| {
                let mask = u128::MAX << 128_u8.saturating_sub(len);
                let network = IpAddr::V6((v6.to_bits() & mask).into());
                Some(Prefix { network, len })
            })),
        }
    }

    /// From the smallest on, with how many times the smallest one's share it
    /// may have.
    pub(crate) fn prefixes(self) -> impl Iterator<Item = (Prefix, u32)> {
        self.0.into_iter().flatten().zip([1, 2, 4])
    }

    /// Whether both have a network in common.
    pub(crate) fn contains(self, prefix: Prefix) -> bool {
        self.0.contains(&Some(prefix))
    }
}

/// The failed joins of each prefix.
#[derive(Debug)]
pub(crate) struct Attempts {
    burst: u32,
    every: Duration,
    by_prefix: BTreeMap<Prefix, Allowance>,
    /// What all prefixes share for which there was no place.
    others: Option<Allowance>,
    /// When to look again for prefixes that can be forgotten.
    next_sweep: Option<Instant>,
}

impl Attempts {
    /// Prefixes that are remembered at one time, about 1 MB. An attacker with
    /// more of them makes newcomers from unknown networks wait.
    const MAX: usize = 16_384;
    /// Looking for those that can be forgotten takes a walk through all of
    /// them, about a millisecond, which an attacker must not be able to order.
    const SWEEP_EVERY: Duration = Duration::from_secs(10);

    pub(crate) const fn new(burst: u32, every: Duration) -> Self {
        Self {
            burst,
            every,
            by_prefix: BTreeMap::new(),
            others: None,
            next_sweep: None,
        }
    }

    /// Whether any network of this source has used up its tries.
    pub(crate) fn is_spent(&mut self, source: Source, now: Instant) -> bool {
        let every = self.every;
        let is_full = self.by_prefix.len() >= Self::MAX;
        source.prefixes().any(|(prefix, share)| {
            let burst = self.burst.saturating_mul(share);
            let allowance = match self.by_prefix.get_mut(&prefix) {
                None if is_full => self.others.as_mut(),
                known => known,
            };
            allowance.is_some_and(|allowance| allowance.is_spent(burst, every, now))
        })
    }

    pub(crate) fn failed(&mut self, source: Source, now: Instant) {
        let is_full = self.by_prefix.len() >= Self::MAX;
        if is_full && self.next_sweep.is_none_or(|at| at <= now) {
            self.next_sweep = Some(now + Self::SWEEP_EVERY);
            self.forget_rested(now);
        }
        for (prefix, share) in source.prefixes() {
            let burst = self.burst.saturating_mul(share);
            let fresh = Allowance::full(burst, now);
            let is_full = self.by_prefix.len() >= Self::MAX;
            let allowance = if is_full && !self.by_prefix.contains_key(&prefix) {
                self.others.get_or_insert(fresh)
            } else {
                self.by_prefix.entry(prefix).or_insert(fresh)
            };
            let _left = allowance.take(burst, self.every, now);
        }
    }

    /// Drops prefixes that have all their tries back.
    fn forget_rested(&mut self, now: Instant) {
        let Self { burst, every, .. } = *self;
        self.by_prefix.retain(|prefix, allowance| {
            let share = match prefix.len {
                48 => 4,
                56 => 2,
                _ => 1,
            };
            !allowance.is_full(burst.saturating_mul(share), every, now)
        });
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const EVERY: Duration = Duration::from_secs(120);

    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    fn start() -> Instant {
        Instant::now()
    }

    fn tries(attempts: &mut Attempts, address: IpAddr, now: Instant) -> usize {
        let source = Source::of(address);
        (0..10_000)
            .take_while(|_| {
                let may = !attempts.is_spent(source, now);
                if may {
                    attempts.failed(source, now);
                }
                may
            })
            .count()
    }

    #[test]
    fn each_network_has_its_own_tries_and_gets_them_back_slowly() {
        let mut attempts = Attempts::new(5, EVERY);
        let now = start();
        let one = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped());
        let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
        assert_eq!(tries(&mut attempts, one, now), 5);
        assert_eq!(tries(&mut attempts, mapped, now), 0);
        assert_eq!(tries(&mut attempts, other, now), 5);
        assert_eq!(tries(&mut attempts, one, now + EVERY * 3), 3);
    }

    #[test]
    fn a_site_does_not_multiply_its_tries_by_changing_its_network() {
        let mut attempts = Attempts::new(5, EVERY);
        let now = start();
        let of = |subnet: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xDB8, 7, subnet, 0, 0, 0, 1));
        let within_56: usize = (0..0x100).map(|n| tries(&mut attempts, of(n), now)).sum();
        assert_eq!(within_56, 10);
        let within_48: usize = (0..=u16::MAX)
            .step_by(0x100)
            .map(|n| tries(&mut attempts, of(n), now))
            .sum();
        assert_eq!(within_56 + within_48, 20);
    }

    #[test]
    fn the_memory_is_bounded_and_overflowing_it_gains_nothing() {
        let mut attempts = Attempts::new(5, EVERY);
        let now = start();
        for n in 0..20_000_u32 {
            attempts.failed(Source::of(Ipv4Addr::from_bits(n).into()), now);
        }
        assert_eq!(attempts.by_prefix.len(), Attempts::MAX);
        let fresh = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
        assert_eq!(tries(&mut attempts, fresh, now), 0);
        // Whoever was known keeps what it has, and time heals.
        assert_eq!(tries(&mut attempts, Ipv4Addr::from_bits(1).into(), now), 4);
        let later = now + EVERY * 6;
        attempts.failed(Source::of(fresh), later);
        assert_eq!(attempts.by_prefix.len(), 1);
    }
}
