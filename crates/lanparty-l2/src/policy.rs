//! The bridge policy: one pure function that every member and the relay run.
//!
//! # Order
//!
//! The first rule that a frame breaks names the drop.
//!
//! 1. Length, link-control traffic, tags that nobody may use: `Runt`,
//!    `Oversize`, `LinkControl`, `VlanTagged`.
//! 2. The source MAC: `SourceMac`, `MemberMacFromLan`.
//! 3. The VLAN: `VlanTagged`.
//! 4. The protocol's shape: `MalformedArp`, `MalformedIpv4`,
//!    `MalformedIpv6`, `EtherType`.
//! 5. What the protocol says: `DhcpServer`, `DhcpClient`, `Dhcpv6`,
//!    `RouterAdvertisement`, `Redirect`, `MulticastQuerier`,
//!    `RoutingProtocol`, and claims of others' link-layer addresses:
//!    `ArpSpoof`, `NeighbourSpoof`.
//! 6. Where it goes: `HostNotAllowed`.
//! 7. Whose IP address it uses: `SourceIp`, `ArpSpoof`, `NeighbourSpoof`.
//!
//! Budgets ([`crate::buckets`]) and forwarding come after, in the callers.
//!
//! A player checks what it sends, so that an honest player learns why
//! something does not work; the relay and the gateway check again because a
//! player's program need not be honest; the receiving player checks a last
//! time because the relay need not be.

mod address;
mod lan_to_player;
mod player_to_lan;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{EtherType, EthernetHeader, HEADER_LEN};

use crate::bindings::IpBindings;
use crate::class::{self, Class, Protocol};
use crate::host::HostView;
use crate::link::{self, Link, Tag};
use crate::rules::Rules;
use crate::{ipv4, ipv6, nd};

/// Who sent the frame, which decides what it may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Sent by a player, to the LAN or to another player.
    PlayerToLan,
    /// Sent by the gateway on behalf of its LAN.
    LanToPlayer,
}

/// Who is checking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Relay,
    /// The only place where frames for other players do not pass, so that
    /// "not a listed host" can be said of ARP requests too.
    Gateway,
    Player,
}

/// The MAC addresses of the room's players.
pub trait Members {
    fn contains_mac(&self, mac: MacAddr) -> bool;
}

impl Members for BTreeSet<MacAddr> {
    fn contains_mac(&self, mac: MacAddr) -> bool {
        self.contains(&mac)
    }
}

impl<V> Members for BTreeMap<MacAddr, V> {
    fn contains_mac(&self, mac: MacAddr) -> bool {
        self.contains_key(&mac)
    }
}

impl Members for [MacAddr] {
    fn contains_mac(&self, mac: MacAddr) -> bool {
        self.contains(&mac)
    }
}

impl<const N: usize> Members for [MacAddr; N] {
    fn contains_mac(&self, mac: MacAddr) -> bool {
        self.contains(&mac)
    }
}

/// What the checking place knows.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub place: Place,
    pub rules: &'a Rules,
    /// The registered MAC address of the player that sent the frame; `None`
    /// for frames from the gateway.
    pub sender: Option<MacAddr>,
    /// All players of the room, the checking player included.
    pub members: &'a dyn Members,
    /// Whose IP address is whose, where the place keeps such a table. Without
    /// one, only impossible source addresses are refused.
    pub bindings: Option<&'a IpBindings>,
    /// The gateway PC's own addresses and subnets; only the gateway has them.
    pub host: Option<&'a HostView>,
    pub now: Instant,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("place", &self.place)
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}

/// Which budget a frame is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    Unicast,
    Flood,
    /// A broadcast DHCP request.
    Dhcp,
    /// IGMP and MLD reports, outside the flood budget.
    Membership,
}

/// A frame that may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    pub class: Class,
    pub spread: Spread,
    /// The IP address that the frame speaks from, or asks whether it may take
    /// (ARP probe, duplicate address detection).
    pub speaks_for: Option<IpAddr>,
}

impl Passed {
    /// The edges strip the tag before they pass the frame on
    /// ([`link::strip_priority_tag`]).
    #[must_use]
    pub fn has_priority_tag(&self) -> bool {
        self.class.link.tag == Tag::Priority
    }
}

/// A drop, with the address that would have to be claimed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub reason: DropReason,
    /// Nobody has this address; [`IpBindings::claim`] may give it to the sender.
    pub claim: Option<IpAddr>,
}

impl From<DropReason> for Refused {
    fn from(reason: DropReason) -> Self {
        Self {
            reason,
            claim: None,
        }
    }
}

/// Decides about one whole frame in clear. Allocates nothing.
///
/// # Errors
/// The reason under which the frame is dropped and counted.
pub fn check(
    frame: &[u8],
    direction: Direction,
    context: &Context<'_>,
) -> Result<Passed, DropReason> {
    evaluate(frame, direction, context).map_err(|refused| refused.reason)
}

/// As [`check`]; a refusal also tells which address could be claimed. The
/// gateway and the player use it through [`IpBindings::police`].
///
/// # Errors
/// The reason, and the address that is nobody's.
pub fn evaluate(
    frame: &[u8],
    direction: Direction,
    context: &Context<'_>,
) -> Result<Passed, Refused> {
    let link = link::inspect(frame)?;
    check_source(link.header.source, direction, context)?;
    check_tag(&link, direction, context.rules)?;
    let class = Class {
        link,
        protocol: class::protocol(frame, link)?,
    };
    if let Protocol::Other(ether_type) = class.protocol
        && !context.rules.allows_ether_type(ether_type)
    {
        return Err(DropReason::EtherType.into());
    }
    let speaks_for = match direction {
        Direction::PlayerToLan => player_to_lan::check(frame, &class, context)?,
        Direction::LanToPlayer => lan_to_player::check(&class, context)?,
    };
    Ok(Passed {
        class,
        spread: spread(&class),
        speaks_for,
    })
}

/// Decides about a fragment or a sealed frame, of which the relay sees only
/// the Ethernet header: the rules that need nothing else. The receiving
/// members check the whole frame.
///
/// `frame_end` is where this piece ends in the whole Ethernet frame, in bytes
/// from the start of the header; without the tag of a sealed payload.
///
/// # Errors
/// The reason under which the piece is dropped and counted.
pub fn check_fragment_header(
    header: &EthernetHeader,
    frame_end: usize,
    direction: Direction,
    context: &Context<'_>,
) -> Result<Spread, DropReason> {
    let tagged = header.ether_type == EtherType::VLAN;
    if frame_end < HEADER_LEN {
        return Err(DropReason::Runt);
    }
    if frame_end > link::max_len(tagged) {
        return Err(DropReason::Oversize);
    }
    link::refuse_link_control(header.destination, header.ether_type)?;
    link::refuse_tag_type(header.ether_type)?;
    check_source(header.source, direction, context)?;
    let may_cross = match header.ether_type {
        // The tag is in the payload. Senders strip priority tags, so whatever
        // is tagged here is in a VLAN.
        EtherType::VLAN => {
            if direction == Direction::PlayerToLan || !context.rules.allows_any_vlan() {
                return Err(DropReason::VlanTagged);
            }
            true
        }
        EtherType::ARP | EtherType::IPV4 | EtherType::IPV6 | EtherType::IPX => true,
        EtherType::WAKE_ON_LAN => true,
        // IPX behind an 802.3 length, for all that the header shows.
        length if length.is_length() => true,
        other => context.rules.allows_ether_type(other),
    };
    if !may_cross {
        return Err(DropReason::EtherType);
    }
    Ok(if header.destination.is_multicast() {
        Spread::Flood
    } else {
        Spread::Unicast
    })
}

fn check_source(
    source: MacAddr,
    direction: Direction,
    context: &Context<'_>,
) -> Result<(), DropReason> {
    if source.is_multicast() || source.is_zero() {
        return Err(DropReason::SourceMac);
    }
    match direction {
        Direction::PlayerToLan if context.sender != Some(source) => Err(DropReason::SourceMac),
        Direction::LanToPlayer if context.members.contains_mac(source) => {
            Err(DropReason::MemberMacFromLan)
        }
        Direction::PlayerToLan | Direction::LanToPlayer => Ok(()),
    }
}

fn check_tag(link: &Link, direction: Direction, rules: &Rules) -> Result<(), DropReason> {
    match link.tag {
        Tag::None | Tag::Priority => Ok(()),
        Tag::Vlan(vid) if direction == Direction::LanToPlayer && rules.allows_vlan(vid) => Ok(()),
        Tag::Vlan(_) => Err(DropReason::VlanTagged),
    }
}

fn spread(class: &Class) -> Spread {
    if let Protocol::Ipv4(packet) = class.protocol
        && let ipv4::Transport::Igmp { .. } = packet.transport
    {
        return Spread::Membership;
    }
    if let Protocol::Ipv6(packet) = class.protocol
        && packet.transport == ipv6::Transport::Icmpv6(nd::Icmpv6::ListenerReport)
    {
        return Spread::Membership;
    }
    if !class.is_flooded() {
        return Spread::Unicast;
    }
    match class.protocol {
        Protocol::Ipv4(packet) if matches!(packet.transport, ipv4::Transport::Dhcp(_)) => {
            Spread::Dhcp
        }
        Protocol::Arp(_)
        | Protocol::Ipv4(_)
        | Protocol::Ipv6(_)
        | Protocol::Ipx(_)
        | Protocol::WakeOnLan
        | Protocol::LoopProbe
        | Protocol::Other(_) => Spread::Flood,
    }
}
