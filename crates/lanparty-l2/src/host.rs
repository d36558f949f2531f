//! The gateway PC as seen from its LAN.

use std::net::{IpAddr, Ipv4Addr};

use lanparty_proto::MacAddr;

/// An address with its on-link prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    pub address: IpAddr,
    pub prefix_len: u8,
}

impl Subnet {
    #[must_use]
    pub fn contains(&self, other: IpAddr) -> bool {
        let len = u32::from(self.prefix_len);
        match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= len,
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= len,
            _ => false,
        }
    }

    fn broadcast(&self) -> Option<Ipv4Addr> {
        let IpAddr::V4(address) = self.address else {
            return None;
        };
        // /31 and /32 have no broadcast address (RFC 3021).
        let host_bits = u32::MAX.checked_shr(u32::from(self.prefix_len))?;
        (host_bits > 1).then(|| Ipv4Addr::from_bits(address.to_bits() | host_bits))
    }
}

/// The gateway PC's own place on the LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostView {
    /// The address of the NIC (or bridge) that the host's own stack answers to.
    pub mac: MacAddr,
    /// Its IP addresses on that interface.
    pub addresses: Vec<IpAddr>,
    /// The LAN's subnets: those addresses with their prefixes.
    pub subnets: Vec<Subnet>,
}

impl HostView {
    /// True for addresses that need no router, and for all where the host has
    /// no address on the LAN and so cannot tell.
    pub(crate) fn is_on_link(&self, address: IpAddr) -> bool {
        let link_local = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        let mut same_family = self
            .subnets
            .iter()
            .filter(|subnet| subnet.address.is_ipv4() == address.is_ipv4())
            .peekable();
        link_local
            || same_family.peek().is_none()
            || same_family.any(|subnet| subnet.contains(address))
    }

    pub(crate) fn is_subnet_broadcast(&self, address: IpAddr) -> bool {
        self.subnets
            .iter()
            .filter_map(Subnet::broadcast)
            .any(|broadcast| IpAddr::V4(broadcast) == address)
    }
}
