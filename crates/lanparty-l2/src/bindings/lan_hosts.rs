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
