//! What a player may send.

use std::net::{IpAddr, Ipv4Addr};

use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;

use super::address::{self, Use};
use crate::arp::Arp;
use crate::class::{Class, Protocol};
use crate::context::{Context, Place};
use crate::dhcp::{Message, MessageType, Role};
use crate::ipv4::{self, Ipv4, Part};
use crate::ipv6::{self, Ipv6};
use crate::nd::Icmpv6;
use crate::read;
use crate::verdict::Refused;

/// Returns the IP address that the frame speaks for.
pub(super) fn check(
    frame: &[u8],
    class: &Class,
    context: &Context<'_>,
) -> Result<Option<IpAddr>, Refused> {
    match &class.protocol {
        Protocol::Arp(arp) => check_arp(arp, class, context),
        Protocol::Ipv4(packet) => check_ipv4(frame, packet, class, context),
        Protocol::Ipv6(packet) => check_ipv6(packet, class, context),
        Protocol::Ipx(_) | Protocol::WakeOnLan | Protocol::Other(_) => Ok(None),
        // Ours to send, not a player's.
        Protocol::LoopProbe => Err(DropReason::EtherType.into()),
    }
}

fn check_arp(arp: &Arp, class: &Class, context: &Context<'_>) -> Result<Option<IpAddr>, Refused> {
    let source = class.link.header.source;
    if arp.sender_mac != source {
        return Err(DropReason::ArpSpoof.into());
    }
    if arp.is_probe() {
        // A probe for an address in use would count as a conflict with a host
        // that is just probing for it itself (RFC 5227, section 2.1.1).
        return address::check(arp.target.into(), Use::Probe, source, context)
            .map_err(|refused| refused.because(DropReason::ArpSpoof));
    }
    if !is_sane_v4_source(arp.sender) {
        return Err(DropReason::ArpSpoof.into());
    }
    if context.place == Place::Gateway && arp.target != arp.sender {
        confine(arp.target.into(), class, context)?;
    }
    address::check(arp.sender.into(), Use::Speak, source, context)
        .map_err(|refused| refused.because(DropReason::ArpSpoof))
}

fn check_ipv4(
    frame: &[u8],
    packet: &Ipv4,
    class: &Class,
    context: &Context<'_>,
) -> Result<Option<IpAddr>, Refused> {
    let source_mac = class.link.header.source;
    let mut may_be_unspecified = false;
    let mut is_dhcp = false;
    match packet.transport {
        ipv4::Transport::Dhcp(Role::Server) => return Err(DropReason::DhcpServer.into()),
        ipv4::Transport::Dhcp(Role::Client) => {
            check_dhcp_client(frame, packet, class, context)?;
            may_be_unspecified = true;
            is_dhcp = true;
        }
        // Type 5 redirects, type 9 router advertisement (RFC 1256).
        ipv4::Transport::Icmp { kind: 5 } => return Err(DropReason::Redirect.into()),
        ipv4::Transport::Icmp { kind: 9 } => return Err(DropReason::RouterAdvertisement.into()),
        ipv4::Transport::Igmp { kind } => {
            if !matches!(kind, 0x12 | 0x16 | 0x17 | 0x22) {
                return Err(DropReason::MulticastQuerier.into());
            }
            // A host without an address reports from 0.0.0.0 (RFC 3376, 4.2.13).
            may_be_unspecified = true;
        }
        _ if speaks_routing_v4(packet) => return Err(DropReason::RoutingProtocol.into()),
        ipv4::Transport::Tcp { .. }
        | ipv4::Transport::Udp { .. }
        | ipv4::Transport::Icmp { .. }
        | ipv4::Transport::Other => {}
    }
    if !is_dhcp {
        confine(packet.destination.into(), class, context)?;
    }
    if packet.source.is_unspecified() {
        return if may_be_unspecified && packet.part == Part::Whole {
            Ok(None)
        } else {
            Err(DropReason::SourceIp.into())
        };
    }
    if !is_sane_v4_source(packet.source) {
        return Err(DropReason::SourceIp.into());
    }
    address::check(packet.source.into(), Use::Speak, source_mac, context)
        .map_err(|refused| refused.because(DropReason::SourceIp))
}

fn check_dhcp_client(
    frame: &[u8],
    packet: &Ipv4,
    class: &Class,
    context: &Context<'_>,
) -> Result<(), Refused> {
    let source = class.link.header.source;
    let at = class
        .link
        .payload_at
        .saturating_add(packet.body.at)
        .saturating_add(8);
    let message = read::slice_at(frame, at, packet.body.len.saturating_sub(8))
        .and_then(Message::parse)
        .ok_or(DropReason::DhcpClient)?;
    // A relay agent's message would have the answer sent elsewhere.
    let is_own = message.operation == 1
        && message.client_mac == source
        && message.relay_agent.is_unspecified()
        && identifies(message.option(61), source);
    if !is_own {
        return Err(DropReason::DhcpClient.into());
    }
    let Some(bindings) = context.bindings else {
        return Ok(());
    };
    // Releasing or renewing somebody else's lease.
    let held = message.client_address;
    if !held.is_unspecified() && bindings.is_anothers(held.into(), source, context.now) {
        return Err(DropReason::DhcpClient.into());
    }
    let wanted = message.address_option(50);
    let asks_for_another = matches!(
        message.message_type(),
        Some(MessageType::Discover | MessageType::Request)
    ) && held.is_unspecified()
        && wanted.is_none_or(|wanted| !bindings.is_owned(wanted.into(), source, context.now));
    if asks_for_another && bindings.has_leases_enough(source, context.now) {
        return Err(DropReason::DhcpClient.into());
    }
    Ok(())
}

/// A client identifier of hardware type Ethernet must be the sender's own:
/// servers trust it above the hardware address field. Identifiers of other
/// types name no machine.
fn identifies(identifier: Option<&[u8]>, source: MacAddr) -> bool {
    match identifier {
        Some([1, mac @ ..]) if mac.len() == 6 => mac == source.octets(),
        _ => true,
    }
}

fn check_ipv6(
    packet: &Ipv6,
    class: &Class,
    context: &Context<'_>,
) -> Result<Option<IpAddr>, Refused> {
    let source_mac = class.link.header.source;
    let own_link_layer = |link_layer: Option<MacAddr>| {
        if link_layer.is_none_or(|mac| mac == source_mac) {
            Ok(())
        } else {
            Err(Refused::from(DropReason::NeighbourSpoof))
        }
    };
    match packet.transport {
        ipv6::Transport::Dhcpv6Server => return Err(DropReason::DhcpServer.into()),
        ipv6::Transport::Icmpv6(message) => match message {
            Icmpv6::RouterAdvertisement => return Err(DropReason::RouterAdvertisement.into()),
            Icmpv6::Redirect => return Err(DropReason::Redirect.into()),
            Icmpv6::ListenerQuery => return Err(DropReason::MulticastQuerier.into()),
            // RFC 3590: reports before there is a valid link-local address.
            Icmpv6::ListenerReport if packet.source.is_unspecified() => return Ok(None),
            Icmpv6::RouterSolicitation { link_layer } => {
                own_link_layer(link_layer)?;
                if packet.source.is_unspecified() && link_layer.is_none() {
                    return Ok(None);
                }
            }
            Icmpv6::NeighbourSolicitation { target, link_layer } => {
                own_link_layer(link_layer)?;
                if packet.source.is_unspecified() {
                    // Duplicate address detection (RFC 4862, section 5.4.2).
                    if link_layer.is_some() {
                        return Err(DropReason::NeighbourSpoof.into());
                    }
                    return address::check(target.into(), Use::Probe, source_mac, context)
                        .map_err(|refused| refused.because(DropReason::NeighbourSpoof));
                }
            }
            Icmpv6::NeighbourAdvertisement { target, link_layer } => {
                own_link_layer(link_layer)?;
                address::check(target.into(), Use::Speak, source_mac, context)
                    .map_err(|refused| refused.because(DropReason::NeighbourSpoof))?;
            }
            Icmpv6::ListenerReport | Icmpv6::Other { .. } => {}
        },
        _ if speaks_routing_v6(packet) => return Err(DropReason::RoutingProtocol.into()),
        ipv6::Transport::Tcp { .. }
        | ipv6::Transport::Udp { .. }
        | ipv6::Transport::Dhcpv6Client
        | ipv6::Transport::Other => {}
    }
    confine(packet.destination.into(), class, context)?;
    let source = packet.source;
    if source.is_unspecified() || source.is_multicast() || source.is_loopback() {
        return Err(DropReason::SourceIp.into());
    }
    address::check(source.into(), Use::Speak, source_mac, context)
        .map_err(|refused| refused.because(DropReason::SourceIp))
}

fn is_sane_v4_source(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first != 0 && first < 224 && first != 127
}

/// Protocols by which routers agree among themselves; one frame of VRRP can
/// take the party's router off the LAN.
fn speaks_routing_v4(packet: &Ipv4) -> bool {
    // IGRP, EIGRP, OSPF, PIM, VRRP and CARP.
    if matches!(packet.protocol, 9 | 88 | 89 | 103 | 112) {
        return true;
    }
    let [a, b, c, _] = packet.destination.octets();
    let local_group = (a, b, c) == (224, 0, 0) || packet.destination.is_broadcast();
    // RIP, HSRP, HSRP version 2 and GLBP.
    local_group
        && matches!(
            packet.transport,
            ipv4::Transport::Udp {
                destination: 520 | 1985 | 2029 | 3222,
                ..
            }
        )
}

fn speaks_routing_v6(packet: &Ipv6) -> bool {
    // The chain walk refuses OSPF, EIGRP, PIM and VRRP as unknown. RIPng and
    // HSRP run over UDP.
    packet.destination.is_multicast()
        && matches!(
            packet.transport,
            ipv6::Transport::Udp {
                destination: 521 | 2029,
                ..
            }
        )
}

/// The host's choice of whom players may talk to, and the rule that the
/// gateway PC does not route for them.
fn confine(to: IpAddr, class: &Class, context: &Context<'_>) -> Result<(), Refused> {
    let refused = || Err(DropReason::HostNotAllowed.into());
    let mac = class.link.header.destination;
    if let Some(host) = context.host
        && mac == host.mac
        && !host.addresses.contains(&to)
    {
        return refused();
    }
    let is_group = match to {
        IpAddr::V4(to) => to.is_multicast() || to.is_broadcast(),
        IpAddr::V6(to) => to.is_multicast(),
    };
    // Discovery goes to everyone; a group address behind a unicast MAC is as
    // harmless as one behind its own.
    if is_group || context.members.contains_mac(mac) {
        return Ok(());
    }
    let rules = context.rules;
    if let Some(host) = context.host
        && host.is_subnet_broadcast(to)
    {
        return Ok(());
    }
    if !rules.allow_hosts.is_empty()
        && !rules.allow_hosts.contains(&to)
        // Without the host's subnets a subnet broadcast looks like a host.
        && (context.host.is_some() || !mac.is_multicast())
    {
        return refused();
    }
    if rules.party_subnet_only
        && let Some(host) = context.host
        && !host.is_on_link(to)
    {
        return refused();
    }
    Ok(())
}
