//! Rows of the IP Helper's tables, checked, and what the registry says of an
//! adapter.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::prefix::Prefix;

/// `AF_INET` and `AF_INET6` of Windows.
pub const FAMILY_V4: u16 = 2;
pub const FAMILY_V6: u16 = 23;

/// The union `SOCKADDR_INET`, both ways of reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawAddress {
    pub family: u16,
    pub v4: [u8; 4],
    pub v6: [u8; 16],
}

/// A row of the routing table as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawRoute {
    pub destination: RawAddress,
    pub prefix_length: u8,
    pub next_hop: RawAddress,
    pub interface: u32,
    pub luid: u64,
    pub metric: u32,
}

/// A route; also what undoing it needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub destination: Prefix,
    /// None where the destination is on the interface's own link.
    pub next_hop: Option<IpAddr>,
    /// The outgoing interface's index, until the machine's next start.
    pub interface: u32,
    /// The outgoing interface itself.
    pub luid: u64,
    /// Without that of the interface, which is added to it.
    pub metric: u32,
}

/// A row of the table of addresses as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawUnicast {
    pub address: RawAddress,
    pub prefix_length: u8,
    pub interface: u32,
    pub origin: i32,
    pub dad_state: i32,
}

/// An address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unicast {
    pub prefix: Prefix,
    pub interface: u32,
    pub origin: Origin,
    /// Nobody else has it, as far as the system has looked.
    pub is_usable: bool,
}

/// Who gave an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Manual,
    Dhcp,
    /// Chosen by the machine, as for link-local addresses.
    LinkLocal,
    Other,
}

/// Every string that matters of one network adapter, as the registry has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdapterValues {
    /// Which driver it is for.
    pub component_id: Option<String>,
    pub instance_id: Option<String>,
    pub driver_version: Option<String>,
    /// The name that people see and can change.
    pub connection: Option<String>,
    /// Names the device to the device manager.
    pub device: Option<String>,
}

impl RawAddress {
    /// None where it is no IP address.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self.family {
            FAMILY_V4 => Some(Ipv4Addr::from(self.v4).into()),
            FAMILY_V6 => Some(Ipv6Addr::from(self.v6).into()),
            _ => None,
        }
    }

    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self {
                family: FAMILY_V4,
                v4: address.octets(),
                v6: [0; 16],
            },
            IpAddr::V6(address) => Self {
                family: FAMILY_V6,
                v4: [0; 4],
                v6: address.octets(),
            },
        }
    }
}

impl RawRoute {
    /// None where the row makes no sense.
    #[must_use]
    pub fn check(&self) -> Option<Route> {
        let destination = prefix(&self.destination, self.prefix_length)?;
        let next_hop = self.next_hop.ip().filter(|hop| !hop.is_unspecified());
        if next_hop.is_some_and(|hop| hop.is_ipv4() != destination.address.is_ipv4()) {
            return None;
        }
        Some(Route {
            destination,
            next_hop,
            interface: self.interface,
            luid: self.luid,
            metric: self.metric,
        })
    }
}

impl RawUnicast {
    /// None where the row makes no sense.
    #[must_use]
    pub fn check(&self) -> Option<Unicast> {
        // NL_PREFIX_ORIGIN and NL_DAD_STATE: 3 is a deprecated address, 4 the
        // preferred one; both are in use.
        let origin = match self.origin {
            1 => Origin::Manual,
            2 => Origin::LinkLocal,
            3 => Origin::Dhcp,
            _ => Origin::Other,
        };
        Some(Unicast {
            prefix: prefix(&self.address, self.prefix_length)?,
            interface: self.interface,
            origin,
            is_usable: matches!(self.dad_state, 3 | 4),
        })
    }
}

fn prefix(address: &RawAddress, length: u8) -> Option<Prefix> {
    let address = address.ip()?;
    (length <= Prefix::host(address).length).then_some(Prefix { address, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(address: &str) -> RawAddress {
        RawAddress::of(address.parse().unwrap())
    }

    #[test]
    fn a_route_without_a_next_hop_is_on_link() {
        let mut row = RawRoute {
            destination: raw("192.168.1.0"),
            prefix_length: 24,
            next_hop: raw("0.0.0.0"),
            interface: 7,
            ..RawRoute::default()
        };
        assert_eq!(row.check().unwrap().next_hop, None);
        row.next_hop = raw("192.168.1.1");
        assert_eq!(
            row.check().unwrap().next_hop,
            Some("192.168.1.1".parse().unwrap())
        );
        row.next_hop = RawAddress::default();
        assert_eq!(row.check().unwrap().next_hop, None);
    }

    #[test]
    fn rows_that_make_no_sense_are_left_out() {
        let good = RawRoute {
            destination: raw("10.0.0.0"),
            prefix_length: 8,
            next_hop: raw("192.168.1.1"),
            ..RawRoute::default()
        };
        assert!(good.check().is_some());
        for bad in [
            RawRoute {
                prefix_length: 33,
                ..good
            },
            RawRoute {
                prefix_length: 255,
                ..good
            },
            RawRoute {
                next_hop: raw("fe80::1"),
                ..good
            },
            RawRoute {
                destination: RawAddress::default(),
                ..good
            },
        ] {
            assert_eq!(bad.check(), None, "{bad:?}");
        }
    }

    #[test]
    fn an_address_that_is_still_being_looked_for_is_not_usable() {
        let mut row = RawUnicast {
            address: raw("10.0.0.5"),
            prefix_length: 24,
            origin: 3,
            dad_state: 4,
            ..RawUnicast::default()
        };
        let found = row.check().unwrap();
        assert!(found.is_usable);
        assert_eq!(found.origin, Origin::Dhcp);
        row.dad_state = 1;
        assert!(!row.check().unwrap().is_usable);
    }
}
