//! A strict reader of IPv6 packets: walks the whole extension header chain
//! and refuses what it cannot see through (RFC 7112, RFC 7113, RFC 6980).

use std::net::Ipv6Addr;

use crate::ipv4::{Part, Span, TCP, UDP};
use crate::nd::{self, Icmpv6};
use crate::read;

/// More extension headers than any real packet has; bounds the walk.
const MAX_EXTENSION_HEADERS: usize = 8;
const HEADER_LEN: usize = 40;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const ESP: u8 = 50;
const AUTHENTICATION: u8 = 51;
pub const ICMPV6: u8 = 58;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;
const SCTP: u8 = 132;
const MOBILITY: u8 = 135;
const UDP_LITE: u8 = 136;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    /// The protocol at the chain's end; for later fragments whatever the
    /// fragment header says.
    pub protocol: u8,
    pub part: Part,
    pub transport: Transport,
    /// Offset and length of the transport header and data in the IPv6 packet.
    pub body: Span,
    /// No header stands between the IPv6 header and the transport.
    pub plain: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp {
        source: u16,
        destination: u16,
    },
    Udp {
        source: u16,
        destination: u16,
    },
    /// From a DHCPv6 client towards a server or relay.
    Dhcpv6Client,
    /// From a DHCPv6 server or relay.
    Dhcpv6Server,
    Icmpv6(Icmpv6),
    Other,
}

impl Ipv6 {
    /// Reads a packet; bytes behind its payload length are padding.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        if read::u8_at(payload, 0)? >> 4 != 6 {
            return None;
        }
        let len = HEADER_LEN.saturating_add(usize::from(read::u16_at(payload, 4)?));
        let packet = payload.get(..len)?;
        let chain = Chain::walk(packet)?;
        let body = packet.get(chain.at..)?;
        let transport = match chain.part {
            Part::Later => Transport::Other,
            Part::Whole | Part::First => transport(&chain, body)?,
        };
        Some(Self {
            source: read::ipv6_at(packet, 8)?,
            destination: read::ipv6_at(packet, 24)?,
            protocol: chain.protocol,
            part: chain.part,
            transport,
            body: Span {
                at: chain.at,
                len: body.len(),
            },
            plain: chain.at == HEADER_LEN,
        })
    }
}

/// Where the extension headers end and what follows them.
struct Chain {
    at: usize,
    protocol: u8,
    part: Part,
    /// A fragment header was seen, even one that fragments nothing.
    fragmented: bool,
}

impl Chain {
    fn walk(packet: &[u8]) -> Option<Self> {
        let mut chain = Self {
            at: HEADER_LEN,
            protocol: read::u8_at(packet, 6)?,
            part: Part::Whole,
            fragmented: false,
        };
        for _ in 0..=MAX_EXTENSION_HEADERS {
            let len = match chain.protocol {
                TCP | UDP | ICMPV6 | ESP | SCTP | UDP_LITE | NO_NEXT_HEADER => return Some(chain),
                // RFC 8200, section 4.1: first or not at all. In the
                // fragmentable part no extension header is needed by anyone,
                // and overlapping fragments could rewrite it after the check.
                _ if chain.fragmented => return None,
                HOP_BY_HOP if chain.at != HEADER_LEN => return None,
                HOP_BY_HOP | DESTINATION_OPTIONS | MOBILITY | HIP | SHIM6 => {
                    extension_len(packet, chain.at)?
                }
                ROUTING => {
                    // Segments left: the packet's real destination is another.
                    // Type 0 is dead (RFC 5095).
                    let kind = read::u8_at(packet, chain.at.saturating_add(2))?;
                    let left = read::u8_at(packet, chain.at.saturating_add(3))?;
                    if kind == 0 || left != 0 {
                        return None;
                    }
                    extension_len(packet, chain.at)?
                }
                AUTHENTICATION => {
                    let words = read::u8_at(packet, chain.at.saturating_add(1))?;
                    usize::from(words).saturating_add(2).saturating_mul(4)
                }
                FRAGMENT => {
                    chain.fragment(packet)?;
                    if chain.part == Part::Later {
                        chain.protocol = read::u8_at(packet, chain.at)?;
                        chain.at = chain.at.saturating_add(8);
                        return Some(chain);
                    }
                    8
                }
                // RFC 7045 lists the known ones; behind an unknown one
                // anything may hide (RFC 7113, section 3).
                _ => return None,
            };
            let next = read::u8_at(packet, chain.at)?;
            chain.at = chain.at.saturating_add(len);
            chain.protocol = next;
            packet.get(chain.at..)?;
        }
        None
    }

    fn fragment(&mut self, packet: &[u8]) -> Option<()> {
        let body_at = self.at.saturating_add(8);
        let body_len = packet.len().checked_sub(body_at)?;
        let field = read::u16_at(packet, self.at.saturating_add(2))?;
        let offset = field >> 3;
        let more = field & 1 != 0;
        let end = usize::from(offset)
            .saturating_mul(8)
            .saturating_add(body_len);
        if (more && !body_len.is_multiple_of(8)) || end > usize::from(u16::MAX) || body_len == 0 {
            return None;
        }
        self.fragmented = true;
        self.part = match (offset, more) {
            (0, false) => Part::Whole,
            (0, true) => Part::First,
            // As in IPv4: it would overwrite part of a checked header.
            (1, _) => return None,
            _ => Part::Later,
        };
        Some(())
    }
}

fn extension_len(packet: &[u8], at: usize) -> Option<usize> {
    let units = read::u8_at(packet, at.saturating_add(1))?;
    Some(usize::from(units).saturating_add(1).saturating_mul(8))
}

fn transport(chain: &Chain, body: &[u8]) -> Option<Transport> {
    // RFC 7112: the first fragment holds the whole chain, transport included.
    Some(match chain.protocol {
        TCP => {
            let header_len = usize::from(read::u8_at(body, 12)? >> 4).saturating_mul(4);
            if header_len < 20 || header_len > body.len() {
                return None;
            }
            Transport::Tcp {
                source: read::u16_at(body, 0)?,
                destination: read::u16_at(body, 2)?,
            }
        }
        UDP => {
            let source = read::u16_at(body, 0)?;
            let destination = read::u16_at(body, 2)?;
            let len = usize::from(read::u16_at(body, 4)?);
            body.get(..8)?;
            if len < 8 || (chain.part == Part::Whole && len > body.len()) {
                return None;
            }
            match (source, destination) {
                // Ports of RFC 8415, section 7.2. A server's answer to a
                // client and to a relay; a relay speaks from 547 as well.
                (547, _) | (_, 546) => (!chain.fragmented).then_some(Transport::Dhcpv6Server)?,
                (_, 547) => (!chain.fragmented).then_some(Transport::Dhcpv6Client)?,
                _ => Transport::Udp {
                    source,
                    destination,
                },
            }
        }
        ICMPV6 => {
            body.get(..8)?;
            let message = nd::parse(body)?;
            // RFC 6980: Neighbour Discovery is never fragmented, not even
            // into one piece. MLD fits one packet as well.
            if chain.fragmented && !matches!(message, Icmpv6::Other { .. }) {
                return None;
            }
            Transport::Icmpv6(message)
        }
        _ => Transport::Other,
    })
}
