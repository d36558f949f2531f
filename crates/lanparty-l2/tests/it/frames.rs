//! Frames as hosts, and attackers, put them on the wire.

use std::net::{Ipv4Addr, Ipv6Addr};

use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{EtherType, EthernetHeader};

pub(crate) const PLAYER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x01]);
pub(crate) const OTHER_PLAYER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x02]);
pub(crate) const LAN_HOST: MacAddr = MacAddr([0x00, 0x1b, 0x21, 0, 0, 0x10]);
pub(crate) const ROUTER: MacAddr = MacAddr([0x00, 0x1b, 0x21, 0, 0, 0xfe]);
pub(crate) const GATEWAY: MacAddr = MacAddr([0x00, 0x1b, 0x21, 0, 0, 0x77]);

pub(crate) const PLAYER_IP: Ipv4Addr = Ipv4Addr::new(10, 73, 42, 101);
pub(crate) const OTHER_PLAYER_IP: Ipv4Addr = Ipv4Addr::new(10, 73, 42, 102);
pub(crate) const LAN_HOST_IP: Ipv4Addr = Ipv4Addr::new(10, 73, 42, 10);
pub(crate) const ROUTER_IP: Ipv4Addr = Ipv4Addr::new(10, 73, 42, 1);
pub(crate) const GATEWAY_IP: Ipv4Addr = Ipv4Addr::new(10, 73, 42, 7);

pub(crate) const PLAYER_LL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);
pub(crate) const ROUTER_LL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x21b, 0x21ff, 0xfe00, 0xfe);
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

pub(crate) const ND: u8 = 58;
pub(crate) const UDP: u8 = 17;
pub(crate) const TCP: u8 = 6;

pub(crate) fn ethernet(to: MacAddr, from: MacAddr, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let header = EthernetHeader {
        destination: to,
        source: from,
        ether_type: EtherType(ether_type),
    };
    let mut frame = header.encode().to_vec();
    frame.extend(payload);
    frame
}

/// With its 802.3 length instead of an EtherType.
pub(crate) fn ieee_802_3(to: MacAddr, from: MacAddr, data: &[u8]) -> Vec<u8> {
    ethernet(to, from, u16::try_from(data.len()).unwrap(), data)
}

/// Puts a tag in front of a frame's EtherType.
pub(crate) fn tagged(tag_type: u16, vid: u16, frame: &[u8]) -> Vec<u8> {
    let mut out = frame[..12].to_vec();
    out.extend(tag_type.to_be_bytes());
    out.extend((0x6000 | vid).to_be_bytes());
    out.extend(&frame[12..]);
    out
}

/// Behind LLC and SNAP: how VU#855201 hides an EtherType.
pub(crate) fn in_snap(frame: &[u8]) -> Vec<u8> {
    let mut data = vec![0xAA, 0xAA, 3, 0, 0, 0];
    data.extend(&frame[12..]);
    let mut out = frame[..12].to_vec();
    out.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    out.extend(data);
    out
}

pub(crate) fn arp(operation: u8, from: MacAddr, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, operation];
    packet.extend(from.octets());
    packet.extend(sender.octets());
    packet.extend([0; 6]);
    packet.extend(target.octets());
    packet.resize(46, 0);
    ethernet(MacAddr::BROADCAST, from, 0x0806, &packet)
}

pub(crate) fn sum(mut total: u32, bytes: &[u8]) -> u32 {
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        total += u32::from(u16::from_be_bytes([pair[0], low]));
    }
    total
}

pub(crate) fn finish(mut total: u32) -> u16 {
    while total > 0xFFFF {
        total = (total & 0xFFFF) + (total >> 16);
    }
    !u16::try_from(total).unwrap()
}

/// An IPv4 packet with a fragment field and options.
pub(crate) fn ipv4_with(
    from: Ipv4Addr,
    to: Ipv4Addr,
    protocol: u8,
    fragment: u16,
    options: &[u8],
    body: &[u8],
) -> Vec<u8> {
    assert_eq!(options.len() % 4, 0);
    let header_len = 20 + options.len();
    let mut packet = vec![0x40 | u8::try_from(header_len / 4).unwrap(), 0];
    packet.extend(
        u16::try_from(header_len + body.len())
            .unwrap()
            .to_be_bytes(),
    );
    packet.extend([0x12, 0x34]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(options);
    let checksum = finish(sum(0, &packet));
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(body);
    packet
}

pub(crate) fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, body: &[u8]) -> Vec<u8> {
    ipv4_with(from, to, protocol, 0, &[], body)
}

pub(crate) fn pseudo_v4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, body: &[u8]) -> u32 {
    let mut pseudo = from.octets().to_vec();
    pseudo.extend(to.octets());
    pseudo.extend([0, protocol]);
    pseudo.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    sum(0, &pseudo)
}

pub(crate) fn pseudo_v6(from: Ipv6Addr, to: Ipv6Addr, next: u8, body: &[u8]) -> u32 {
    let mut pseudo = from.octets().to_vec();
    pseudo.extend(to.octets());
    pseudo.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    pseudo.extend([0, 0, 0, next]);
    sum(0, &pseudo)
}

/// A UDP datagram without a checksum.
pub(crate) fn udp(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let mut datagram = from.to_be_bytes().to_vec();
    datagram.extend(to.to_be_bytes());
    datagram.extend(u16::try_from(8 + data.len()).unwrap().to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(data);
    datagram
}

pub(crate) fn udp_v4_checked(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), data: &[u8]) -> Vec<u8> {
    let mut datagram = udp(from.1, to.1, data);
    let checksum = match finish(sum(pseudo_v4(from.0, to.0, UDP, &datagram), &datagram)) {
        0 => 0xFFFF,
        checksum => checksum,
    };
    datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
    ipv4(from.0, to.0, UDP, &datagram)
}

/// A TCP segment with options and a checksum still to be set at 16.
pub(crate) fn tcp(flags: u8, options: &[u8], data: &[u8]) -> Vec<u8> {
    assert_eq!(options.len() % 4, 0);
    let mut segment = vec![0x9c, 0x40, 0x69, 0x87, 0, 0, 0, 1, 0, 0, 0, 0];
    segment.push(u8::try_from((20 + options.len()) / 4).unwrap() << 4);
    segment.push(flags);
    segment.extend([0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(options);
    segment.extend(data);
    segment
}

/// An IPv6 packet whose extension headers are given as (type, bytes); the
/// first byte of each is overwritten with the type of what follows.
pub(crate) fn ipv6(
    from: Ipv6Addr,
    to: Ipv6Addr,
    extensions: &[(u8, Vec<u8>)],
    next: u8,
    body: &[u8],
) -> Vec<u8> {
    let types: Vec<u8> = extensions.iter().map(|it| it.0).chain([next]).collect();
    let mut chain = Vec::new();
    for (at, (_, bytes)) in extensions.iter().enumerate() {
        let mut bytes = bytes.clone();
        bytes[0] = types[at + 1];
        chain.extend(bytes);
    }
    chain.extend(body);
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(u16::try_from(chain.len()).unwrap().to_be_bytes());
    packet.extend([types[0], 255]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(chain);
    packet
}

/// An extension header of options, padded.
pub(crate) fn options_header(units: u8) -> Vec<u8> {
    let mut bytes = vec![0, units, 1, 4, 0, 0, 0, 0];
    bytes.resize(8 * (usize::from(units) + 1), 0);
    bytes
}

pub(crate) fn fragment_header(offset_units: u16, more: bool) -> Vec<u8> {
    let field = (offset_units << 3) | u16::from(more);
    let mut bytes = vec![0, 0];
    bytes.extend(field.to_be_bytes());
    bytes.extend([0, 0, 0x12, 0x34]);
    bytes
}

pub(crate) fn icmpv6(from: Ipv6Addr, to: Ipv6Addr, kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut body = vec![kind, 0, 0, 0];
    body.extend(rest);
    let checksum = finish(sum(pseudo_v6(from, to, ND, &body), &body));
    body[2..4].copy_from_slice(&checksum.to_be_bytes());
    body
}

pub(crate) fn router_advertisement(options: &[u8]) -> Vec<u8> {
    let mut rest = vec![64, 0xC8, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
    rest.extend(options);
    icmpv6(ROUTER_LL, ALL_NODES, 134, &rest)
}

pub(crate) fn neighbour(
    kind: u8,
    from: Ipv6Addr,
    target: Ipv6Addr,
    option: Option<MacAddr>,
) -> Vec<u8> {
    let mut rest = vec![0; 4];
    rest.extend(target.octets());
    if let Some(mac) = option {
        rest.extend([if kind == 136 { 2 } else { 1 }, 1]);
        rest.extend(mac.octets());
    }
    icmpv6(from, ALL_NODES, kind, &rest)
}

pub(crate) fn v4_frame(to: MacAddr, from: MacAddr, packet: &[u8]) -> Vec<u8> {
    ethernet(to, from, 0x0800, packet)
}

pub(crate) fn v6_frame(to: MacAddr, from: MacAddr, packet: &[u8]) -> Vec<u8> {
    ethernet(to, from, 0x86DD, packet)
}

/// A DHCP message; `options` without End.
pub(crate) fn dhcp(operation: u8, chaddr: MacAddr, your: Ipv4Addr, options: &[u8]) -> Vec<u8> {
    let mut message = vec![operation, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef];
    message.extend([0; 8]);
    message.extend(your.octets());
    message.extend([0; 8]);
    message.extend(chaddr.octets());
    message.resize(236, 0);
    message.extend([99, 130, 83, 99]);
    message.extend(options);
    message.push(255);
    message.resize(message.len().max(300), 0);
    message
}

pub(crate) fn dhcp_request(chaddr: MacAddr, options: &[u8]) -> Vec<u8> {
    let message = dhcp(1, chaddr, Ipv4Addr::UNSPECIFIED, options);
    let to = Ipv4Addr::BROADCAST;
    let packet = udp_v4_checked((Ipv4Addr::UNSPECIFIED, 68), (to, 67), &message);
    v4_frame(MacAddr::BROADCAST, PLAYER, &packet)
}

pub(crate) fn dhcp_answer(to: MacAddr, chaddr: MacAddr, your: Ipv4Addr, options: &[u8]) -> Vec<u8> {
    let message = dhcp(2, chaddr, your, options);
    let packet = udp_v4_checked((ROUTER_IP, 67), (your, 68), &message);
    v4_frame(to, ROUTER, &packet)
}
