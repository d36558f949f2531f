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

use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{EtherType, EthernetHeader, HEADER_LEN};

use crate::class::{self, Class, Protocol};
use crate::link::{self, Link, Tag};
use crate::rules::Rules;
use crate::{ipv4, ipv6, nd};

pub use crate::context::{Context, Direction, Place};
pub use crate::members::Members;
pub use crate::verdict::{Passed, Refused, Spread};

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

/// Which budget a frame of this class is charged to.
#[must_use]
pub fn spread(class: &Class) -> Spread {
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
