//! ICMPv6 as far as the policy needs it: Neighbour Discovery (RFC 4861) with
//! its link-layer address options, and Multicast Listener Discovery.

use std::net::Ipv6Addr;

use lanparty_proto::MacAddr;

use crate::read;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icmpv6 {
    RouterSolicitation {
        link_layer: Option<MacAddr>,
    },
    RouterAdvertisement,
    NeighbourSolicitation {
        target: Ipv6Addr,
        link_layer: Option<MacAddr>,
    },
    NeighbourAdvertisement {
        target: Ipv6Addr,
        link_layer: Option<MacAddr>,
    },
    Redirect,
    /// MLD query, version 1 or 2.
    ListenerQuery,
    /// MLD report or done.
    ListenerReport,
    Other {
        kind: u8,
    },
}

/// Reads an ICMPv6 message of at least its fixed header.
pub(crate) fn parse(body: &[u8]) -> Option<Icmpv6> {
    Some(match read::u8_at(body, 0)? {
        130 => Icmpv6::ListenerQuery,
        131 | 132 | 143 => Icmpv6::ListenerReport,
        133 => Icmpv6::RouterSolicitation {
            link_layer: link_layer(body.get(8..)?)?,
        },
        134 => Icmpv6::RouterAdvertisement,
        135 => Icmpv6::NeighbourSolicitation {
            target: read::ipv6_at(body, 8)?,
            link_layer: link_layer(body.get(24..)?)?,
        },
        136 => Icmpv6::NeighbourAdvertisement {
            target: read::ipv6_at(body, 8)?,
            link_layer: link_layer(body.get(24..)?)?,
        },
        137 => Icmpv6::Redirect,
        kind => Icmpv6::Other { kind },
    })
}

/// The one address that all source and target link-layer address options
/// name. Nothing where an option is malformed or two of them disagree, since
/// receivers differ in which one they take.
#[expect(clippy::option_option, reason = "malformed is not the same as absent")]
fn link_layer(mut options: &[u8]) -> Option<Option<MacAddr>> {
    let mut found = None;
    while !options.is_empty() {
        let kind = read::u8_at(options, 0)?;
        let len = usize::from(read::u8_at(options, 1)?).saturating_mul(8);
        let option = options.get(..len).filter(|option| !option.is_empty())?;
        if matches!(kind, 1 | 2) {
            let mac = read::mac_at(option, 2)?;
            if len != 8 || found.is_some_and(|other| other != mac) {
                return None;
            }
            found = Some(mac);
        }
        options = options.get(len..)?;
    }
    Some(found)
}
