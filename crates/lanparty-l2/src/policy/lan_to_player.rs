//! What the LAN may send to players.

use std::net::IpAddr;

use lanparty_obs::DropReason;

use crate::class::{Class, Protocol};
use crate::context::Context;
use crate::ipv4;
use crate::ipv6;
use crate::nd::Icmpv6;
use crate::rules::Ipv6Mode;
use crate::verdict::Refused;

/// Returns the IP address that the frame speaks for.
pub(super) fn check(class: &Class, context: &Context<'_>) -> Result<Option<IpAddr>, Refused> {
    match &class.protocol {
        Protocol::Arp(arp) => {
            let unspecified = arp.sender.is_unspecified();
            Ok((!unspecified).then_some(arp.sender.into()))
        }
        Protocol::Ipv4(packet) => match packet.transport {
            ipv4::Transport::Icmp { kind: 5 } => Err(DropReason::Redirect.into()),
            ipv4::Transport::Icmp { kind: 9 } => Err(DropReason::RouterAdvertisement.into()),
            ipv4::Transport::Tcp { .. }
            | ipv4::Transport::Udp { .. }
            | ipv4::Transport::Dhcp(_)
            | ipv4::Transport::Icmp { .. }
            | ipv4::Transport::Igmp { .. }
            | ipv4::Transport::Other => Ok(Some(packet.source.into())),
        },
        Protocol::Ipv6(packet) => match packet.transport {
            // Even where the host lets prefixes cross: the answer carries name
            // servers, and the player's DNS stays its own (I6).
            ipv6::Transport::Dhcpv6Server => Err(DropReason::Dhcpv6.into()),
            ipv6::Transport::Icmpv6(Icmpv6::Redirect) => Err(DropReason::Redirect.into()),
            // Only the plain form is ever sent by a router, and only that one
            // can be sanitised.
            ipv6::Transport::Icmpv6(Icmpv6::RouterAdvertisement)
                if context.rules.ipv6 == Ipv6Mode::Off || !packet.plain =>
            {
                Err(DropReason::RouterAdvertisement.into())
            }
            ipv6::Transport::Tcp { .. }
            | ipv6::Transport::Udp { .. }
            | ipv6::Transport::Dhcpv6Client
            | ipv6::Transport::Icmpv6(_)
            | ipv6::Transport::Other => Ok(Some(packet.source.into())),
        },
        Protocol::Ipx(_) | Protocol::WakeOnLan | Protocol::LoopProbe | Protocol::Other(_) => {
            Ok(None)
        }
    }
}
