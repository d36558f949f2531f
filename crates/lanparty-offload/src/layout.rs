//! Where the headers of a TCP or UDP frame begin and end.

use lanparty_proto::ethernet::{self, EtherType};

use crate::bytes::{array_at, put, u8_at, u16_at};
use crate::checksum::Sum;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ip {
    V4,
    V6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

/// Offsets into a frame: `l3 < l4 <= payload <= end <= frame.len()`. IPv6
/// extension headers lie before `l4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) ip: Ip,
    pub(crate) transport: Transport,
    pub(crate) l3: usize,
    pub(crate) l4: usize,
    pub(crate) payload: usize,
    /// Where the IP packet ends; NIC padding may follow.
    pub(crate) end: usize,
}

/// Offsets of fields within their own header.
pub(crate) mod field {
    pub(crate) const IPV4_TOTAL_LEN: usize = 2;
    pub(crate) const IPV4_ID: usize = 4;
    pub(crate) const IPV4_FRAGMENT: usize = 6;
    pub(crate) const IPV4_CHECKSUM: usize = 10;
    pub(crate) const IPV6_PAYLOAD_LEN: usize = 4;
    pub(crate) const TCP_SEQ: usize = 4;
    pub(crate) const TCP_FLAGS: usize = 13;
    pub(crate) const TCP_CHECKSUM: usize = 16;
    pub(crate) const UDP_LEN: usize = 4;
    pub(crate) const UDP_CHECKSUM: usize = 6;
}

pub(crate) const IPV4_MIN_LEN: usize = 20;
pub(crate) const IPV6_LEN: usize = 40;
const TCP_MIN_LEN: usize = 20;
const UDP_LEN: usize = 8;
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
// Extension headers that stand in every segment of a superframe as they are
// (RFC 8200 sections 4.3, 4.4 and 4.6). A fragment is no whole packet, and
// IPsec's headers forbid cutting.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION_OPTIONS: u8 = 60;
/// Bytes of all extension headers together. Chosen: several times what any
/// stack sends before TCP, and so a bound on what a segment's headers cost.
pub(crate) const MAX_EXTENSIONS: usize = 256;
/// More-fragments and the fragment offset.
const IPV4_FRAGMENTED: u16 = 0x3FFF;
/// Tags that are looked through: a service tag and a customer tag.
const MAX_TAGS: usize = 2;

/// The EtherType behind any VLAN tags, and where its header begins.
pub(crate) fn network_layer(frame: &[u8]) -> Option<(EtherType, usize)> {
    let mut ether_type = EtherType(u16_at(frame, ethernet::ADDRESSES_LEN)?);
    let mut at = ethernet::HEADER_LEN;
    for _ in 0..MAX_TAGS {
        if ether_type != EtherType::VLAN && ether_type != EtherType::QINQ {
            break;
        }
        ether_type = EtherType(u16_at(frame, at.checked_add(2)?)?);
        at = at.checked_add(ethernet::VLAN_TAG_LEN)?;
    }
    Some((ether_type, at))
}

impl Layout {
    /// `None` for anything but whole TCP or UDP headers: fragments among others.
    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        let (ether_type, l3) = network_layer(frame)?;
        let packet = frame.get(l3..)?;
        let (ip, header_len, protocol, packet_len) = match ether_type {
            EtherType::IPV4 => {
                let first = u8_at(packet, 0)?;
                let header_len = usize::from(first & 0x0F).checked_mul(4)?;
                let fragment = u16_at(packet, field::IPV4_FRAGMENT)?;
                if first >> 4 != 4 || header_len < IPV4_MIN_LEN || fragment & IPV4_FRAGMENTED != 0 {
                    return None;
                }
                let packet_len = usize::from(u16_at(packet, field::IPV4_TOTAL_LEN)?);
                (Ip::V4, header_len, u8_at(packet, 9)?, packet_len)
            }
            EtherType::IPV6 => {
                if u8_at(packet, 0)? >> 4 != 6 {
                    return None;
                }
                let payload_len = usize::from(u16_at(packet, field::IPV6_PAYLOAD_LEN)?);
                let packet_len = payload_len.checked_add(IPV6_LEN)?;
                let (protocol, header_len) = behind_extensions(packet)?;
                (Ip::V6, header_len, protocol, packet_len)
            }
            _ => return None,
        };
        let end = l3.checked_add(packet_len)?;
        let l4 = l3.checked_add(header_len)?;
        let segment = frame.get(l4..end)?;
        let (transport, header_len) = match protocol {
            PROTOCOL_TCP => {
                let header_len = usize::from(u8_at(segment, 12)? >> 4).checked_mul(4)?;
                if header_len < TCP_MIN_LEN {
                    return None;
                }
                (Transport::Tcp, header_len)
            }
            PROTOCOL_UDP => (Transport::Udp, UDP_LEN),
            _ => return None,
        };
        if segment.len() < header_len {
            return None;
        }
        Some(Self {
            ip,
            transport,
            l3,
            l4,
            payload: l4.checked_add(header_len)?,
            end,
        })
    }

    pub(crate) fn payload_len(&self) -> usize {
        self.end.saturating_sub(self.payload)
    }

    /// Bytes of the transport header and payload.
    pub(crate) fn segment_len(&self) -> usize {
        self.end.saturating_sub(self.l4)
    }

    /// The offset of the transport checksum within the transport header.
    pub(crate) fn checksum_offset(&self) -> usize {
        match self.transport {
            Transport::Tcp => field::TCP_CHECKSUM,
            Transport::Udp => field::UDP_CHECKSUM,
        }
    }

    /// The sum of the pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1).
    pub(crate) fn pseudo_header(&self, frame: &[u8]) -> Sum {
        // The length of an IPv6 pseudo-header has 32 bits, of which ours use 16.
        self.addresses_and_protocol(frame)
            .number(wire_len(self.segment_len()))
    }

    /// The pseudo-header without its length, which all segments have in common.
    pub(crate) fn addresses_and_protocol(&self, frame: &[u8]) -> Sum {
        let protocol = match self.transport {
            Transport::Tcp => PROTOCOL_TCP,
            Transport::Udp => PROTOCOL_UDP,
        };
        Sum::default()
            .bytes(addresses(self.ip, self.l3, frame))
            .number(u16::from(protocol))
    }

    /// The same out of a field that the kernel left unfinished. Behind a
    /// routing header only that knows the address of the last hop, which is
    /// the one that counts (RFC 8200 section 8.1).
    pub(crate) fn unfinished_addresses_and_protocol(&self, field: [u8; 2]) -> Sum {
        Sum::default()
            .number(u16::from_be_bytes(field))
            .number(!wire_len(self.segment_len()))
    }

    /// Writes the lengths that follow from `self.end`, and the IPv4 header's
    /// checksum. The transport checksum is left alone.
    pub(crate) fn write_lengths(&self, frame: &mut [u8]) {
        let packet_len = self.end.saturating_sub(self.l3);
        let wire = |len: usize| wire_len(len).to_be_bytes();
        let at = |header: usize, field: usize| header.saturating_add(field);
        match self.ip {
            Ip::V4 => {
                put(frame, at(self.l3, field::IPV4_TOTAL_LEN), wire(packet_len));
                let checksum = at(self.l3, field::IPV4_CHECKSUM);
                put(frame, checksum, [0, 0]);
                let sum = Sum::default().bytes(frame.get(self.l3..self.l4).unwrap_or_default());
                put(frame, checksum, sum.finish());
            }
            Ip::V6 => put(
                frame,
                at(self.l3, field::IPV6_PAYLOAD_LEN),
                wire(packet_len.saturating_sub(IPV6_LEN)),
            ),
        }
        if self.transport == Transport::Udp {
            put(frame, at(self.l4, field::UDP_LEN), wire(self.segment_len()));
        }
    }

    /// Writes the sum of the pseudo-header only, for the kernel to finish.
    pub(crate) fn write_partial_checksum(&self, frame: &mut [u8]) {
        let at = self.l4.saturating_add(self.checksum_offset());
        put(frame, at, self.pseudo_header(frame).partial());
    }

    /// True where the IPv4 header's checksum and the transport's are right.
    pub(crate) fn checksums_are_valid(&self, frame: &[u8]) -> bool {
        let header_is_valid = match self.ip {
            Ip::V4 => frame
                .get(self.l3..self.l4)
                .is_some_and(|header| Sum::default().bytes(header).is_valid()),
            Ip::V6 => true,
        };
        header_is_valid
            && frame
                .get(self.l4..self.end)
                .is_some_and(|segment| self.pseudo_header(frame).bytes(segment).is_valid())
    }

    /// The transport checksum as it stands in the frame.
    pub(crate) fn checksum_field(&self, frame: &[u8]) -> Option<[u8; 2]> {
        array_at(frame, self.l4.checked_add(self.checksum_offset())?)
    }
}

/// A length as headers have it. Nothing here is longer than an IP packet.
pub(crate) fn wire_len(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

/// What follows the IPv6 header and its extension headers, and where.
fn behind_extensions(packet: &[u8]) -> Option<(u8, usize)> {
    let mut protocol = u8_at(packet, 6)?;
    let mut at = IPV6_LEN;
    while matches!(protocol, HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS) {
        let units = usize::from(u8_at(packet, at.checked_add(1)?)?);
        protocol = u8_at(packet, at)?;
        at = at.checked_add(units.checked_add(1)?.checked_mul(8)?)?;
        if at > IPV6_LEN + MAX_EXTENSIONS {
            return None;
        }
    }
    Some((protocol, at))
}

/// Source and destination address of an IP header at `l3`.
pub(crate) fn addresses(ip: Ip, l3: usize, frame: &[u8]) -> &[u8] {
    let (from, to) = match ip {
        Ip::V4 => (12, 20),
        Ip::V6 => (8, 40),
    };
    frame
        .get(l3.saturating_add(from)..l3.saturating_add(to))
        .unwrap_or_default()
}
