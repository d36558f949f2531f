//! A strict reader of IPv4 packets: what the policy needs of the header and
//! of the transport behind it, or nothing.

use std::net::Ipv4Addr;

use crate::dhcp;
use crate::read;

pub const ICMP: u8 = 1;
pub const IGMP: u8 = 2;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

/// Which part of a packet this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    /// The first fragment: holds the transport header, always.
    First,
    /// A fragment without a transport header.
    Later,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub protocol: u8,
    pub part: Part,
    pub transport: Transport,
    /// Offset and length of the transport header and data in the IPv4 packet.
    pub body: Span,
}

/// A range inside a packet that has been checked against its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub at: usize,
    pub len: usize,
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
    /// A whole DHCPv4 or BOOTP message, in either direction.
    Dhcp(dhcp::Role),
    Icmp {
        kind: u8,
    },
    Igmp {
        kind: u8,
    },
    Other,
}

/// Loose and strict source route (RFC 791): they send the packet elsewhere
/// than its destination says. RFC 7126 advises to drop both.
const SOURCE_ROUTES: [u8; 2] = [131, 137];

impl Ipv4 {
    /// Reads a packet; bytes behind its total length are padding.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let first = read::u8_at(payload, 0)?;
        let header_len = usize::from(first & 0x0F).saturating_mul(4);
        let total_len = usize::from(read::u16_at(payload, 2)?);
        if first >> 4 != 4 || header_len < 20 || total_len < header_len {
            return None;
        }
        let packet = payload.get(..total_len)?;
        if !options_are_sane(packet.get(20..header_len)?) {
            return None;
        }
        let body = packet.get(header_len..)?;
        let protocol = read::u8_at(packet, 9)?;
        let fragment = read::u16_at(packet, 6)?;
        let part = part_of(fragment, body.len())?;
        Some(Self {
            source: read::ipv4_at(packet, 12)?,
            destination: read::ipv4_at(packet, 16)?,
            protocol,
            part,
            transport: transport(protocol, part, body)?,
            body: Span {
                at: header_len,
                len: body.len(),
            },
        })
    }
}

fn part_of(field: u16, body_len: usize) -> Option<Part> {
    let more = field & 0x2000 != 0;
    let offset = field & 0x1FFF;
    // All but the last piece are multiples of 8 and no packet ends above
    // 65,535 (RFC 791); an empty fragment serves nobody but an attacker.
    let end = usize::from(offset)
        .saturating_mul(8)
        .saturating_add(body_len);
    if (more && !body_len.is_multiple_of(8)) || end > usize::from(u16::MAX) {
        return None;
    }
    match (offset, more) {
        (0, false) => Some(Part::Whole),
        (_, _) if body_len == 0 => None,
        (0, true) => Some(Part::First),
        // RFC 1858, section 3.2.2, and RFC 3128, here for every protocol:
        // offset 1 would overwrite part of a transport header already checked.
        (1, _) => None,
        _ => Some(Part::Later),
    }
}

fn options_are_sane(mut options: &[u8]) -> bool {
    loop {
        match options {
            [] | [0, ..] => return true,
            [1, rest @ ..] => options = rest,
            [kind, len, ..] => {
                if SOURCE_ROUTES.contains(kind) || *len < 2 {
                    return false;
                }
                let Some(rest) = options.get(usize::from(*len)..) else {
                    return false;
                };
                options = rest;
            }
            [_] => return false,
        }
    }
}

/// RFC 1858, section 3.2.1: a first fragment must hold the whole transport
/// header, or filters behind us could be passed by.
fn transport(protocol: u8, part: Part, body: &[u8]) -> Option<Transport> {
    if part == Part::Later {
        return Some(Transport::Other);
    }
    Some(match protocol {
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
        UDP => udp(part, body)?,
        ICMP => {
            body.get(..8)?;
            Transport::Icmp {
                kind: read::u8_at(body, 0)?,
            }
        }
        IGMP => {
            body.get(..8)?;
            // IGMP is never fragmented; a fragment would hide group records.
            if part != Part::Whole {
                return None;
            }
            Transport::Igmp {
                kind: read::u8_at(body, 0)?,
            }
        }
        _ => Transport::Other,
    })
}

fn udp(part: Part, body: &[u8]) -> Option<Transport> {
    let source = read::u16_at(body, 0)?;
    let destination = read::u16_at(body, 2)?;
    let len = usize::from(read::u16_at(body, 4)?);
    body.get(..8)?;
    if len < 8 || (part == Part::Whole && len > body.len()) {
        return None;
    }
    match dhcp::Role::of_ports(source, destination) {
        None => Some(Transport::Udp {
            source,
            destination,
        }),
        // DHCP fits one packet on any LAN; fragments only hide it.
        Some(role) => (part == Part::Whole).then_some(Transport::Dhcp(role)),
    }
}
