//! Interfaces.

use lanparty_proto::mac::MacAddr;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, State,
};

use super::{Netlink, NetlinkError};

/// An interface as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub mac: Option<MacAddr>,
    pub mtu: u32,
    /// Set up by the administrator (`IFF_UP`).
    pub is_up: bool,
    /// Has a cable, or whatever stands for one (`IFF_LOWER_UP`).
    pub has_carrier: bool,
    /// Able to pass packets (`IF_OPER_UP`, or unknown as TAP drivers report).
    pub is_operational: bool,
    pub is_loopback: bool,
    pub is_ethernet: bool,
    /// The bridge or bond that it belongs to.
    pub master: Option<u32>,
    /// `bridge`, `tun`, `veth`, `vlan` ... as in `ip -d link`; none for
    /// hardware.
    pub kind: Option<String>,
    /// How many have asked for promiscuous mode.
    pub promiscuity: u32,
}

/// What to change about an interface; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkChange {
    pub up: Option<bool>,
    pub mtu: Option<u32>,
    /// Frames that wait for whoever reads a TAP.
    pub queue_frames: Option<u32>,
    pub mac: Option<MacAddr>,
    /// `Some(None)` takes it out of its bridge.
    pub master: Option<Option<u32>>,
    /// Carrier of a TAP or dummy, as media state towards the local stack.
    pub carrier: Option<bool>,
}

impl Netlink {
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn links(&mut self) -> Result<Vec<Link>, NetlinkError> {
        let answers = self.socket.dump(
            "list the network interfaces",
            &RouteNetlinkMessage::GetLink(question(Vec::new())),
        )?;
        Ok(answers.into_iter().filter_map(parse_new_link).collect())
    }

    /// # Errors
    /// When the kernel cannot be asked; `Ok(None)` when there is no such interface.
    pub fn link_by_name(&mut self, name: &str) -> Result<Option<Link>, NetlinkError> {
        self.link(question(vec![LinkAttribute::IfName(name.to_owned())]))
    }

    /// # Errors
    /// When the kernel cannot be asked; `Ok(None)` when there is no such interface.
    pub fn link_by_index(&mut self, index: u32) -> Result<Option<Link>, NetlinkError> {
        let mut message = question(Vec::new());
        message.header.index = index;
        self.link(message)
    }

    fn link(&mut self, message: LinkMessage) -> Result<Option<Link>, NetlinkError> {
        let answers = self.socket.query(
            "describe the network interface",
            RouteNetlinkMessage::GetLink(message),
            0,
        );
        match answers {
            Ok(answers) => Ok(answers.into_iter().find_map(parse_new_link)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// # Errors
    /// When the kernel refuses, for example without `CAP_NET_ADMIN`.
    pub fn change_link(&mut self, index: u32, change: &LinkChange) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        if let Some(up) = change.up {
            message.header.change_mask = LinkFlags::Up;
            message.header.flags = if up {
                LinkFlags::Up
            } else {
                LinkFlags::empty()
            };
        }
        let attributes = &mut message.attributes;
        attributes.extend(change.mtu.map(LinkAttribute::Mtu));
        attributes.extend(change.queue_frames.map(LinkAttribute::TxQueueLen));
        attributes.extend(
            change
                .mac
                .map(|mac| LinkAttribute::Address(mac.octets().to_vec())),
        );
        attributes.extend(
            change
                .master
                .map(|master| LinkAttribute::Controller(master.unwrap_or(0))),
        );
        attributes.extend(change.carrier.map(|on| LinkAttribute::Carrier(on.into())));
        self.socket.change(
            "change the network interface",
            RouteNetlinkMessage::SetLink(message),
            0,
        )
    }

    /// # Errors
    /// When the kernel refuses; see [`NetlinkError::is_missing`].
    pub fn delete_link(&mut self, index: u32) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        self.socket.change(
            "delete the network interface",
            RouteNetlinkMessage::DelLink(message),
            0,
        )
    }
}

fn question(mut attributes: Vec<LinkAttribute>) -> LinkMessage {
    // Counters are most of a description and nothing here reads them.
    attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    let mut message = LinkMessage::default();
    message.attributes = attributes;
    message
}

pub(super) fn parse_new_link(message: RouteNetlinkMessage) -> Option<Link> {
    if let RouteNetlinkMessage::NewLink(message) = message {
        Some(parse(message))
    } else {
        None
    }
}

fn parse(message: LinkMessage) -> Link {
    let header = message.header;
    let mut link = Link {
        index: header.index,
        name: String::new(),
        mac: None,
        mtu: 0,
        is_up: header.flags.contains(LinkFlags::Up),
        has_carrier: header.flags.contains(LinkFlags::LowerUp),
        is_operational: false,
        is_loopback: header.flags.contains(LinkFlags::Loopback),
        is_ethernet: header.link_layer_type == LinkLayerType::Ether,
        master: None,
        kind: None,
        promiscuity: 0,
    };
    for attribute in message.attributes {
        if let LinkAttribute::IfName(name) = attribute {
            link.name = name;
        } else if let LinkAttribute::Address(bytes) = attribute {
            link.mac = bytes.try_into().ok().map(MacAddr);
        } else if let LinkAttribute::Mtu(mtu) = attribute {
            link.mtu = mtu;
        } else if let LinkAttribute::Controller(master) = attribute {
            link.master = Some(master);
        } else if let LinkAttribute::Promiscuity(count) = attribute {
            link.promiscuity = count;
        } else if let LinkAttribute::OperState(state) = attribute {
            link.is_operational = matches!(state, State::Up | State::Unknown);
        } else if let LinkAttribute::LinkInfo(infos) = attribute {
            link.kind = infos.into_iter().find_map(|info| {
                if let LinkInfo::Kind(kind) = info {
                    Some(kind_name(&kind))
                } else {
                    None
                }
            });
        }
    }
    link
}

fn kind_name(kind: &InfoKind) -> String {
    kind.to_string()
}
