//! Routes.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol,
    RouteScope as WireScope, RouteType,
};
use serde::{Deserialize, Serialize};

use super::address::family;
use super::{Family, Netlink, NetlinkError, Prefix};

/// The table that `ip route` shows by default (`RT_TABLE_MAIN`).
pub const MAIN_TABLE: u32 = 254;

/// A route; also what undoing it needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub destination: Prefix,
    pub gateway: Option<IpAddr>,
    /// The outgoing interface's index.
    pub interface: Option<u32>,
    /// The source address to prefer.
    pub source: Option<IpAddr>,
    /// The lower, the more it is preferred.
    pub metric: u32,
    pub table: u32,
    /// Who set it; ours are [`super::ROUTE_PROTOCOL`].
    pub protocol: u8,
    pub scope: RouteScope,
    pub kind: RouteKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteScope {
    /// By way of a gateway.
    Universe,
    /// Directly on the interface.
    Link,
    /// This machine itself.
    Host,
    Other(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteKind {
    Unicast,
    Local,
    Broadcast,
    Multicast,
    Blackhole,
    Unreachable,
    Prohibit,
    Other(u8),
}

/// How `ip route get` is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteQuery {
    pub mark: Option<u32>,
    pub interface: Option<u32>,
    pub source: Option<IpAddr>,
}

impl Route {
    /// A route of ours in the main table, straight onto an interface.
    #[must_use]
    pub fn on_link(destination: Prefix, interface: u32, metric: u32) -> Self {
        Self {
            destination: destination.network(),
            gateway: None,
            interface: Some(interface),
            source: None,
            metric,
            table: MAIN_TABLE,
            protocol: super::ROUTE_PROTOCOL,
            scope: RouteScope::Link,
            kind: RouteKind::Unicast,
        }
    }
}

impl Netlink {
    /// The routes of every table.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn routes(&mut self, of: Family) -> Result<Vec<Route>, NetlinkError> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(of);
        let answers = self
            .socket
            .dump("list the routes", &RouteNetlinkMessage::GetRoute(message))?;
        Ok(answers
            .into_iter()
            .filter_map(parse_new_route)
            .filter(|route| route.destination.family() == of)
            .collect())
    }

    /// The route that a packet to `destination` would take now.
    ///
    /// # Errors
    /// When there is none ([`NetlinkError::is_missing`] or "network is unreachable").
    pub fn route_to(
        &mut self,
        destination: IpAddr,
        query: &RouteQuery,
    ) -> Result<Route, NetlinkError> {
        const OPERATION: &str = "find the route";
        let host = Prefix::host(destination);
        let mut message = RouteMessage::default();
        message.header.address_family = family(host.family());
        message.header.destination_prefix_length = host.length;
        message.header.flags = RouteFlags::LookupTable;
        message.attributes = vec![RouteAttribute::Destination(destination.into())];
        let attributes = &mut message.attributes;
        if let Some(source) = query.source {
            message.header.source_prefix_length = Prefix::host(source).length;
            attributes.push(RouteAttribute::Source(source.into()));
        }
        attributes.extend(query.mark.map(RouteAttribute::Mark));
        attributes.extend(query.interface.map(RouteAttribute::Oif));
        self.socket
            .query(OPERATION, RouteNetlinkMessage::GetRoute(message), 0)?
            .into_iter()
            .find_map(parse_new_route)
            .ok_or_else(|| NetlinkError::Answer {
                operation: OPERATION,
                detail: "no route in the answer".to_owned(),
            })
    }

    /// # Errors
    /// When the kernel refuses; see [`NetlinkError::already_exists`].
    pub fn add_route(&mut self, route: &Route) -> Result<(), NetlinkError> {
        self.socket.change(
            "add the route",
            RouteNetlinkMessage::NewRoute(message(route)),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    /// Adds the route in place of one with the same destination and metric.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn replace_route(&mut self, route: &Route) -> Result<(), NetlinkError> {
        self.socket.change(
            "set the route",
            RouteNetlinkMessage::NewRoute(message(route)),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
    }

    /// # Errors
    /// When the kernel refuses; see [`NetlinkError::is_missing`].
    pub fn delete_route(&mut self, route: &Route) -> Result<(), NetlinkError> {
        self.socket.change(
            "remove the route",
            RouteNetlinkMessage::DelRoute(message(route)),
            0,
        )
    }
}

fn message(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = family(route.destination.family());
    header.destination_prefix_length = route.destination.length;
    // The 32-bit attribute below counts; the field is only its low byte.
    header.table = u8::try_from(route.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    header.protocol = RouteProtocol::from(route.protocol);
    header.scope = route.scope.into();
    header.kind = route.kind.into();
    let attributes = &mut message.attributes;
    if !route.destination.is_default() {
        attributes.push(RouteAttribute::Destination(
            route.destination.network().address.into(),
        ));
    }
    attributes.extend(
        route
            .gateway
            .map(|gateway| RouteAttribute::Gateway(gateway.into())),
    );
    attributes.extend(
        route
            .source
            .map(|source| RouteAttribute::PrefSource(source.into())),
    );
    attributes.extend(route.interface.map(RouteAttribute::Oif));
    attributes.push(RouteAttribute::Priority(route.metric));
    attributes.push(RouteAttribute::Table(route.table));
    message
}

pub(super) fn parse_new_route(message: RouteNetlinkMessage) -> Option<Route> {
    if let RouteNetlinkMessage::NewRoute(message) = message {
        parse(message)
    } else {
        None
    }
}

fn parse(message: RouteMessage) -> Option<Route> {
    let header = message.header;
    let unspecified = if header.address_family == family(Family::V4) {
        Prefix::DEFAULT_V4.address
    } else if header.address_family == family(Family::V6) {
        Prefix::DEFAULT_V6.address
    } else {
        return None;
    };
    let mut route = Route {
        destination: Prefix {
            address: unspecified,
            length: header.destination_prefix_length,
        },
        gateway: None,
        interface: None,
        source: None,
        metric: 0,
        table: header.table.into(),
        protocol: header.protocol.into(),
        scope: header.scope.into(),
        kind: header.kind.into(),
    };
    for attribute in message.attributes {
        if let RouteAttribute::Destination(address) = attribute {
            route.destination.address = ip(&address)?;
        } else if let RouteAttribute::Gateway(address) = attribute {
            route.gateway = ip(&address);
        } else if let RouteAttribute::PrefSource(address) = attribute {
            route.source = ip(&address);
        } else if let RouteAttribute::Oif(index) = attribute {
            route.interface = Some(index);
        } else if let RouteAttribute::Priority(metric) = attribute {
            route.metric = metric;
        } else if let RouteAttribute::Table(table) = attribute {
            route.table = table;
        }
    }
    Some(route)
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    if let RouteAddress::Inet(address) = address {
        Some((*address).into())
    } else if let RouteAddress::Inet6(address) = address {
        Some((*address).into())
    } else {
        None
    }
}

impl From<RouteScope> for WireScope {
    fn from(scope: RouteScope) -> Self {
        match scope {
            RouteScope::Universe => Self::Universe,
            RouteScope::Link => Self::Link,
            RouteScope::Host => Self::Host,
            RouteScope::Other(number) => Self::from(number),
        }
    }
}

impl From<WireScope> for RouteScope {
    fn from(scope: WireScope) -> Self {
        for known in [Self::Universe, Self::Link, Self::Host] {
            if WireScope::from(known) == scope {
                return known;
            }
        }
        Self::Other(scope.into())
    }
}

impl From<RouteKind> for RouteType {
    fn from(kind: RouteKind) -> Self {
        match kind {
            RouteKind::Unicast => Self::Unicast,
            RouteKind::Local => Self::Local,
            RouteKind::Broadcast => Self::Broadcast,
            RouteKind::Multicast => Self::Multicast,
            RouteKind::Blackhole => Self::BlackHole,
            RouteKind::Unreachable => Self::Unreachable,
            RouteKind::Prohibit => Self::Prohibit,
            RouteKind::Other(number) => Self::from(number),
        }
    }
}

impl From<RouteType> for RouteKind {
    fn from(kind: RouteType) -> Self {
        for known in [
            Self::Unicast,
            Self::Local,
            Self::Broadcast,
            Self::Multicast,
            Self::Blackhole,
            Self::Unreachable,
            Self::Prohibit,
        ] {
            if RouteType::from(known) == kind {
                return known;
            }
        }
        Self::Other(kind.into())
    }
}
