//! Interface addresses.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Family, Netlink, NetlinkError, Prefix};

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface's index.
    pub interface: u32,
    pub prefix: Prefix,
    pub is_link_local: bool,
    /// Duplicate address detection has not ended yet, or has failed.
    pub is_tentative: bool,
}

/// An address to give to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewAddress {
    pub interface: u32,
    pub prefix: Prefix,
    /// Metric of the on-link route that comes with it; `None` adds no such
    /// route.
    pub on_link_metric: Option<u32>,
}

impl Netlink {
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn addresses(&mut self) -> Result<Vec<Address>, NetlinkError> {
        let answers = self.socket.dump(
            "list the addresses",
            &RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        )?;
        Ok(answers.into_iter().filter_map(parse).collect())
    }

    /// # Errors
    /// When the kernel cannot be asked.
    pub fn addresses_of(&mut self, interface: u32) -> Result<Vec<Address>, NetlinkError> {
        let mut addresses = self.addresses()?;
        addresses.retain(|address| address.interface == interface);
        Ok(addresses)
    }

    /// # Errors
    /// When the kernel refuses; see [`NetlinkError::already_exists`].
    pub fn add_address(&mut self, new: &NewAddress) -> Result<(), NetlinkError> {
        self.socket.change(
            "add the address",
            RouteNetlinkMessage::NewAddress(message(new)),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    /// Adds the address or updates the one that is there.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn replace_address(&mut self, new: &NewAddress) -> Result<(), NetlinkError> {
        self.socket.change(
            "set the address",
            RouteNetlinkMessage::NewAddress(message(new)),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
    }

    /// # Errors
    /// When the kernel refuses; see [`NetlinkError::is_missing`].
    pub fn delete_address(&mut self, interface: u32, prefix: Prefix) -> Result<(), NetlinkError> {
        let mut message = AddressMessage::default();
        message.header.family = family(prefix.family());
        message.header.prefix_len = prefix.length;
        message.header.index = interface;
        message.attributes = vec![AddressAttribute::Local(prefix.address)];
        self.socket.change(
            "remove the address",
            RouteNetlinkMessage::DelAddress(message),
            0,
        )
    }
}

pub(super) fn family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

fn message(new: &NewAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(new.prefix.family());
    message.header.prefix_len = new.prefix.length;
    message.header.index = new.interface;
    message.header.scope = if is_link_local(new.prefix.address) {
        AddressScope::Link
    } else {
        AddressScope::Universe
    };
    message.attributes = vec![
        AddressAttribute::Local(new.prefix.address),
        AddressAttribute::Address(new.prefix.address),
        AddressAttribute::Protocol(AddressProtocol::Other(super::ROUTE_PROTOCOL)),
    ];
    message
        .attributes
        .extend(new.prefix.broadcast().map(AddressAttribute::Broadcast));
    message.attributes.push(match new.on_link_metric {
        Some(metric) => AddressAttribute::RoutePriority(metric),
        None => AddressAttribute::Flags(AddressFlags::Noprefixroute),
    });
    message
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn parse(message: RouteNetlinkMessage) -> Option<Address> {
    let RouteNetlinkMessage::NewAddress(message) = message else {
        return None;
    };
    let mut local = None;
    let mut peer = None;
    let mut flags = AddressFlags::from_bits_retain(message.header.flags.bits().into());
    for attribute in message.attributes {
        if let AddressAttribute::Local(address) = attribute {
            local = Some(address);
        } else if let AddressAttribute::Address(address) = attribute {
            peer = Some(address);
        } else if let AddressAttribute::Flags(wide) = attribute {
            flags = wide;
        }
    }
    // IPv6 has only `IFA_ADDRESS`; on IPv4 that one is the far end of a
    // point-to-point link.
    let address = local.or(peer)?;
    Some(Address {
        interface: message.header.index,
        prefix: Prefix {
            address,
            length: message.header.prefix_len,
        },
        is_link_local: is_link_local(address),
        is_tentative: flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed),
    })
}
