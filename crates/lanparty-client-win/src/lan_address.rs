//! Which of the adapter's addresses is worth telling.

use lanparty_obs::stats::AddressSource;
use lanparty_os::Prefix;
use lanparty_os::windows::rows::{Origin, Unicast};

/// The address that games will use: IPv4 before IPv6, the party's before one
/// that the machine chose for itself. None while Windows still probes it.
pub(crate) fn best(addresses: &[Unicast]) -> Option<(Prefix, AddressSource)> {
    let usable = addresses.iter().filter(|address| address.is_usable);
    let best = usable.min_by_key(|address| {
        (
            address.prefix.address.is_ipv6(),
            address.origin == Origin::LinkLocal,
        )
    })?;
    let source = match best.origin {
        Origin::Manual => AddressSource::Static,
        Origin::LinkLocal => AddressSource::LinkLocal,
        Origin::Dhcp | Origin::Other => AddressSource::Dhcp,
    };
    Some((best.prefix, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(prefix: &str, origin: Origin) -> Unicast {
        Unicast {
            prefix: prefix.parse().unwrap(),
            interface: 7,
            origin,
            is_usable: true,
        }
    }

    #[test]
    fn a_lease_is_told_before_what_windows_gave_itself() {
        let link_local = address("169.254.7.7/16", Origin::LinkLocal);
        let lease = address("10.73.42.5/24", Origin::Dhcp);
        let v6 = address("fe80::1/64", Origin::LinkLocal);
        let told = |addresses: &[Unicast]| best(addresses).map(|(prefix, _)| prefix);
        assert_eq!(told(&[v6, link_local]), Some(link_local.prefix));
        assert_eq!(
            best(&[v6, link_local, lease]),
            Some((lease.prefix, AddressSource::Dhcp))
        );
        assert_eq!(told(&[]), None);
    }

    #[test]
    fn an_address_that_may_be_taken_is_not_told() {
        let mut lease = address("10.73.42.5/24", Origin::Dhcp);
        lease.is_usable = false;
        assert_eq!(best(&[lease]), None);
    }
}
