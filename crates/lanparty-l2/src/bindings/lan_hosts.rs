//! The IP addresses that the LAN's own hosts have lately spoken from.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// As many as the LAN may show MAC addresses, with an IPv4 and an IPv6 each.
pub(super) const CAPACITY: usize = 2 * crate::mac_table::CAPACITY;
/// A host that has been silent for so long may have left; hosts on a LAN
/// renew their neighbours' entries within minutes (RFC 4861, section 6.3.2).
const AGEING: Duration = Duration::from_secs(600);
/// A full table is swept at most this often, so that a flood of forged
/// addresses costs a lookup each and not a sweep each.
const SWEEP: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Default)]
pub(super) struct LanHosts {
    seen: BTreeMap<IpAddr, Instant>,
    swept: Option<Instant>,
}

impl LanHosts {
    /// Notes a host. A full table keeps those it knows: forged addresses must
    /// not push out real ones.
    pub(super) fn see(&mut self, address: IpAddr, now: Instant) {
        if let Some(seen) = self.seen.get_mut(&address) {
            *seen = now;
            return;
        }
        if self.seen.len() >= CAPACITY {
            let due = self
                .swept
                .is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP);
            if due {
                self.swept = Some(now);
                self.seen.retain(|_, seen| is_fresh(*seen, now));
            }
        }
        if self.seen.len() < CAPACITY {
            self.seen.insert(address, now);
        }
    }

    pub(super) fn contains(&self, address: IpAddr, now: Instant) -> bool {
        self.seen
            .get(&address)
            .is_some_and(|seen| is_fresh(*seen, now))
    }
}

fn is_fresh(seen: Instant, now: Instant) -> bool {
    now.saturating_duration_since(seen) < AGEING
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn host(n: usize) -> IpAddr {
        let [.., a, b] = n.to_be_bytes();
        Ipv4Addr::new(10, 9, a, b).into()
    }

    #[test]
    fn b10_a_flood_of_forged_hosts_neither_grows_the_table_nor_pushes_out_real_ones() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let now = Instant::now();
        let mut hosts = LanHosts::default();
        for n in 0..2 * CAPACITY {
            hosts.see(host(n), now);
        }
        assert_eq!(hosts.seen.len(), CAPACITY);
        assert!(hosts.contains(host(0), now));
        let later = now + AGEING;
        hosts.see(host(CAPACITY), later);
        assert!(hosts.contains(host(CAPACITY), later), "the aged make room");
        assert_eq!(hosts.seen.len(), 1);
    }
}
