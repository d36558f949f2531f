//! Counting by the places that an address is in.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::limits::PrefixLimits;

/// A network: how long its prefix is, and its bits. IPv4 addresses count as
/// their IPv6-mapped form, so that both spellings of one are one.
type Prefix = (u8, u128);

/// Counts for an address and the networks around it. Holds nothing for whom
/// the count is zero.
#[derive(Debug, Default)]
pub(crate) struct PrefixCounts(BTreeMap<Prefix, u32>);

impl PrefixCounts {
    pub(crate) fn add(&mut self, address: IpAddr) {
        for prefix in places(address) {
            *self.0.entry(prefix).or_default() += 1;
        }
    }

    pub(crate) fn remove(&mut self, address: IpAddr) {
        for prefix in places(address) {
            if let Some(count) = self.0.get_mut(&prefix) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(&prefix);
                }
            }
        }
    }

    /// True where one more would be above the limit of one of its places.
    pub(crate) fn is_full(&self, address: IpAddr, limits: PrefixLimits) -> bool {
        places(address).any(|prefix| {
            let limit = match prefix.0 {
                48 => limits.v6_48,
                56 => limits.v6_56,
                _ => limits.address,
            };
            self.0.get(&prefix).copied().unwrap_or(0) >= limit
        })
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn places(address: IpAddr) -> impl Iterator<Item = Prefix> {
    let (bits, lengths): (u128, &[u8]) = match address.to_canonical() {
        IpAddr::V4(v4) => (v4.to_ipv6_mapped().to_bits(), &[128]),
        IpAddr::V6(v6) => (v6.to_bits(), &[64, 56, 48]),
    };
    lengths
        .iter()
        .map(move |&length| (length, bits & (u128::MAX << (128 - u32::from(length)))))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    const LIMITS: PrefixLimits = PrefixLimits {
        address: 3,
        v6_56: 5,
        v6_48: 8,
    };

    /// Few enough that they share their places.
    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0..4_u8).prop_map(|host| IpAddr::from([192, 0, 2, host])),
            (0..4_u8)
                .prop_map(|host| { IpAddr::V6(Ipv4Addr::new(192, 0, 2, host).to_ipv6_mapped()) }),
            (0..2_u16, 0..3_u16, 0..3_u16).prop_map(|(site, line, host)| {
                IpAddr::V6(Ipv6Addr::new(
                    0x2001,
                    0xDB8,
                    site,
                    line << 8 | host,
                    0,
                    0,
                    0,
                    host,
                ))
            }),
            Just(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
            Just(IpAddr::V6(Ipv6Addr::LOCALHOST)),
            Just(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        ]
    }

    /// What one would write without thinking of speed.
    fn shares(a: IpAddr, b: IpAddr, octets: usize) -> bool {
        match (a.to_canonical(), b.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => a == b,
            (IpAddr::V6(a), IpAddr::V6(b)) => a.octets()[..octets] == b.octets()[..octets],
            _ => false,
        }
    }

    fn naive_is_full(open: &[IpAddr], address: IpAddr) -> bool {
        let limits = if address.to_canonical().is_ipv4() {
            &[(8, LIMITS.address)][..]
        } else {
            &[(8, LIMITS.address), (7, LIMITS.v6_56), (6, LIMITS.v6_48)]
        };
        limits.iter().any(|&(octets, limit)| {
            let sharing = open.iter().filter(|&&other| shares(other, address, octets));
            sharing.count() >= limit as usize
        })
    }

    proptest! {
        #[test]
        fn a9_the_prefix_limiter_agrees_with_counting_by_hand(
            steps in prop::collection::vec((address(), any::<bool>()), 0..200)
        ) {
            let mut counts = PrefixCounts::default();
            let mut open: Vec<IpAddr> = Vec::new();
            for (address, leaves) in steps {
                prop_assert_eq!(counts.is_full(address, LIMITS), naive_is_full(&open, address));
                if !leaves {
                    counts.add(address);
                    open.push(address);
                } else if !open.is_empty() {
                    counts.remove(open.swap_remove(0));
                }
            }
            for address in open {
                counts.remove(address);
            }
            prop_assert!(counts.is_empty());
        }
    }

    #[test]
    fn a20_mapped_zero_and_loopback_addresses_count_as_what_they_are() {
        let limits = PrefixLimits {
            address: 1,
            v6_56: 10,
            v6_48: 10,
        };
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        for (one, same, other) in [
            ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8"),
            ("::ffff:127.0.0.1", "127.0.0.1", "::1"),
            ("0.0.0.0", "::ffff:0.0.0.0", "::"),
            ("::", "::1", "::ffff:0.0.0.1"),
            ("2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"),
        ] {
            let mut counts = PrefixCounts::default();
            counts.add(parse(one));
            assert!(counts.is_full(parse(same), limits), "{one} {same}");
            assert!(!counts.is_full(parse(other), limits), "{one} {other}");
            counts.remove(parse(same));
            assert!(counts.is_empty(), "{one} {same}");
        }
    }
}
