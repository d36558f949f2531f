//! From a relay's name to its addresses.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use crate::DnsName;

/// More addresses than this are not tried.
pub const MAX_ADDRESSES: usize = 8;

/// Why a relay's name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error(
        "the relay's name {name} did not resolve; check its spelling and the internet connection"
    )]
    Lookup {
        name: DnsName,
        #[source]
        source: io::Error,
    },
    #[error("the relay's name {name} has no usable address; ask the relay's operator")]
    NoAddress { name: DnsName },
}

pub(crate) fn lookup(name: &DnsName, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    let found = (name.as_str(), port)
        .to_socket_addrs()
        .map_err(|source| ResolveError::Lookup {
            name: name.clone(),
            source,
        })?;
    let addresses = order(found);
    if addresses.is_empty() {
        return Err(ResolveError::NoAddress { name: name.clone() });
    }
    Ok(addresses)
}

/// Drops repeats and what names no host, then lets the address families take
/// turns, so that one broken family costs one attempt (RFC 8305 section 4).
/// Inside a family the resolver's own order stays (RFC 6724).
fn order(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut unique: Vec<SocketAddr> = Vec::new();
    for address in found {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        if is_host(address.ip()) && !unique.contains(&address) {
            unique.push(address);
        }
    }
    let first_is_ipv6 = unique.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, other): (Vec<_>, Vec<_>) = unique
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_ipv6);
    let mut other = other.into_iter();
    let mut ordered: Vec<SocketAddr> = preferred
        .into_iter()
        .flat_map(|address| [Some(address), other.next()])
        .flatten()
        .collect();
    ordered.extend(other);
    ordered.truncate(MAX_ADDRESSES);
    ordered
}

/// False for addresses that no single host can have.
pub(crate) fn is_host(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || broadcast)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_keep_their_order() {
        let found = addresses(&[
            "[2001:db8::1]:443",
            "[2001:db8::2]:443",
            "[2001:db8::3]:443",
            "192.0.2.1:443",
            "192.0.2.2:443",
        ]);
        let expected = addresses(&[
            "[2001:db8::1]:443",
            "192.0.2.1:443",
            "[2001:db8::2]:443",
            "192.0.2.2:443",
            "[2001:db8::3]:443",
        ]);
        assert_eq!(order(found.into_iter()), expected);
    }

    #[test]
    fn the_longer_family_goes_on_alone() {
        let found = addresses(&["192.0.2.1:1", "[2001:db8::1]:1", "[2001:db8::2]:1"]);
        assert_eq!(order(found.clone().into_iter()), found);
    }

    #[test]
    fn repeats_and_useless_addresses_are_left_out() {
        let found = addresses(&[
            "0.0.0.0:443",
            "192.0.2.1:443",
            "[::ffff:192.0.2.1]:443",
            "224.0.0.1:443",
            "[::]:443",
        ]);
        assert_eq!(order(found.into_iter()), addresses(&["192.0.2.1:443"]));
    }

    #[test]
    fn a_flood_of_addresses_is_cut() {
        let found = (0..=255).map(|last| SocketAddr::from(([192, 0, 2, last], 443)));
        assert_eq!(order(found).len(), MAX_ADDRESSES);
    }

    #[test]
    fn localhost_resolves_to_this_machine() {
        let localhost: DnsName = "localhost".parse().unwrap();
        let found = lookup(&localhost, 443).unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()));
    }
}
