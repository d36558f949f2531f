//! Frames that no honest player sends, correct down to their checksums so
//! that nothing but policy stops them.

use std::net::{Ipv4Addr, Ipv6Addr};

use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{EtherType, EthernetHeader};

pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 1);
/// Extension headers of IPv6, by their number in the header before.
pub const HOP_BY_HOP: u8 = 0;
pub const FRAGMENT: u8 = 44;
pub const DESTINATION_OPTIONS: u8 = 60;
const ICMP: u8 = 1;
const UDP: u8 = 17;
const IGMP: u8 = 2;
const ICMPV6: u8 = 58;
const VRRP: u8 = 112;
const SHORTEST: usize = 60;

pub fn ethernet(destination: MacAddr, source: MacAddr, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let header = EthernetHeader {
        destination,
        source,
        ether_type: EtherType(ether_type),
    };
    let mut frame = [&header.encode(), payload].concat();
    frame.resize(frame.len().max(SHORTEST), 0);
    frame
}

/// An answer or announcement: `sender` is at `source`.
pub fn arp_reply(source: MacAddr, sender: Ipv4Addr) -> Vec<u8> {
    let packet = [
        &[0, 1, 8, 0, 6, 4, 0, 2][..],
        &source.octets(),
        &sender.octets(),
        &[0xFF; 6],
        &sender.octets(),
    ]
    .concat();
    ethernet(MacAddr::BROADCAST, source, 0x0806, &packet)
}

pub fn ipv4(
    source_mac: MacAddr,
    from: Ipv4Addr,
    to: Ipv4Addr,
    protocol: u8,
    body: &[u8],
) -> Vec<u8> {
    let length = u16::try_from(20 + body.len()).unwrap_or_default();
    let mut header = [
        &[0x45, 0][..],
        &length.to_be_bytes(),
        &[0, 1, 0, 0, 64, protocol, 0, 0],
        &from.octets(),
        &to.octets(),
    ]
    .concat();
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    ethernet(
        MacAddr::BROADCAST,
        source_mac,
        0x0800,
        &[&header[..], body].concat(),
    )
}

pub fn udp4(
    source_mac: MacAddr,
    from: (Ipv4Addr, u16),
    to: (Ipv4Addr, u16),
    data: &[u8],
) -> Vec<u8> {
    // An IPv4 sender may leave the checksum out.
    ipv4(source_mac, from.0, to.0, UDP, &udp(from.1, to.1, data))
}

fn udp(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap_or_default();
    [
        &from.to_be_bytes()[..],
        &to.to_be_bytes(),
        &length.to_be_bytes(),
        &[0, 0],
        data,
    ]
    .concat()
}

/// An acknowledgement that makes the sender the player's router and name server.
pub fn dhcp_acknowledgement(source: MacAddr, server: Ipv4Addr, client: MacAddr) -> Vec<u8> {
    let mut message = vec![2, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0x80, 0];
    message.extend([0; 4]);
    message.extend([10, 73, 42, 150]);
    message.extend(server.octets());
    message.extend([0; 4]);
    message.extend(client.octets());
    message.resize(236, 0);
    message.extend([99, 130, 83, 99, 53, 1, 5, 51, 4, 0, 0, 14, 16]);
    for option in [54, 3, 6] {
        message.extend([option, 4]);
        message.extend(server.octets());
    }
    message.push(255);
    message.resize(300, 0);
    udp4(source, (server, 67), (Ipv4Addr::BROADCAST, 68), &message)
}

/// Sends `host`'s traffic for `target` through `router`.
pub fn icmp_redirect(
    source: MacAddr,
    router: Ipv4Addr,
    host: Ipv4Addr,
    target: Ipv4Addr,
) -> Vec<u8> {
    let mut original = vec![0x45, 0, 0, 28, 0, 1, 0, 0, 64, UDP, 0, 0];
    original.extend(host.octets());
    original.extend(target.octets());
    let sum = checksum(&original);
    original[10..12].copy_from_slice(&sum);
    original.extend([0, 7, 0, 7, 0, 8, 0, 0]);
    let mut message = [&[5, 1, 0, 0][..], &router.octets(), &original].concat();
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum);
    ipv4(source, router, host, ICMP, &message)
}

/// Asks every host for its groups: whoever asks from the lowest address is
/// the LAN's querier (RFC 3376, section 6.6.2), and here nobody listens to it.
pub fn igmp_query(source: MacAddr, from: Ipv4Addr) -> Vec<u8> {
    let mut message = [0x11, 1, 0, 0, 0, 0, 0, 0];
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum);
    ipv4(source, from, Ipv4Addr::new(224, 0, 0, 1), IGMP, &message)
}

/// Takes a virtual router's address over: version 2, the highest priority.
pub fn vrrp(source: MacAddr, from: Ipv4Addr, router: Ipv4Addr) -> Vec<u8> {
    let mut message = [
        &[0x21, 1, 255, 1, 0, 1, 0, 0][..],
        &router.octets(),
        &[0; 8],
    ]
    .concat();
    let sum = checksum(&message);
    message[6..8].copy_from_slice(&sum);
    ipv4(source, from, Ipv4Addr::new(224, 0, 0, 18), VRRP, &message)
}

/// An IPv6 packet to the group's own MAC address, behind one extension header
/// where there is one.
pub fn ipv6(
    source_mac: MacAddr,
    from: Ipv6Addr,
    to: Ipv6Addr,
    behind: Option<u8>,
    next: u8,
    body: &[u8],
) -> Vec<u8> {
    let extension = match behind {
        None => Vec::new(),
        // Offset 0 and no more to come: an atomic fragment (RFC 6946).
        Some(FRAGMENT) => vec![next, 0, 0, 0, 1, 2, 3, 4],
        Some(_) => vec![next, 0, 1, 4, 0, 0, 0, 0],
    };
    let length = u16::try_from(extension.len() + body.len()).unwrap_or_default();
    let packet = [
        &[0x60, 0, 0, 0][..],
        &length.to_be_bytes(),
        &[behind.unwrap_or(next), 255],
        &from.octets(),
        &to.octets(),
        &extension,
        body,
    ]
    .concat();
    let octets = to.octets();
    let group = MacAddr([0x33, 0x33, octets[12], octets[13], octets[14], octets[15]]);
    ethernet(group, source_mac, 0x86DD, &packet)
}

pub fn icmpv6(
    source_mac: MacAddr,
    from: Ipv6Addr,
    to: Ipv6Addr,
    behind: Option<u8>,
    message: &[u8],
) -> Vec<u8> {
    let mut message = message.to_vec();
    let sum = checksum_v6(from, to, ICMPV6, &message);
    message[2..4].copy_from_slice(&sum);
    ipv6(source_mac, from, to, behind, ICMPV6, &message)
}

/// Makes the sender everybody's router, with `padding` bytes of nonsense
/// options behind it.
pub fn router_advertisement(
    source: MacAddr,
    from: Ipv6Addr,
    behind: Option<u8>,
    padding: usize,
) -> Vec<u8> {
    let mut message = vec![134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
    message.extend([1, 1]);
    message.extend(source.octets());
    // Options of an experimental type (RFC 4727), 8 bytes each.
    message.extend([253, 1, 0, 0, 0, 0, 0, 0].repeat(padding / 8));
    icmpv6(source, from, ALL_NODES, behind, &message)
}

pub fn icmpv6_redirect(source: MacAddr, from: Ipv6Addr) -> Vec<u8> {
    let target = Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 7);
    let message = [
        &[137, 0, 0, 0, 0, 0, 0, 0][..],
        &from.octets(),
        &target.octets(),
    ]
    .concat();
    icmpv6(source, from, ALL_NODES, None, &message)
}

/// Says that `claimed` is at `source`.
pub fn neighbour_advertisement(source: MacAddr, claimed: Ipv6Addr) -> Vec<u8> {
    let message = [
        &[136, 0, 0, 0, 0x20, 0, 0, 0][..],
        &claimed.octets(),
        &[2, 1],
        &source.octets(),
    ]
    .concat();
    icmpv6(source, claimed, ALL_NODES, None, &message)
}

/// A DHCPv6 reply that names the sender as name server.
pub fn dhcpv6_reply(source: MacAddr, from: Ipv6Addr) -> Vec<u8> {
    let data = [&[7, 1, 2, 3, 0, 23, 0, 16][..], &from.octets()].concat();
    let mut datagram = udp(547, 546, &data);
    let sum = checksum_v6(from, ALL_NODES, UDP, &datagram);
    datagram[6..8].copy_from_slice(&sum);
    ipv6(source, from, ALL_NODES, None, UDP, &datagram)
}

/// The link-local address that belongs to a MAC address (RFC 4291, appendix A).
pub fn link_local(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.octets();
    let mut octets = [0; 16];
    octets[..2].copy_from_slice(&[0xFE, 0x80]);
    octets[8..].copy_from_slice(&[a ^ 2, b, c, 0xFF, 0xFE, d, e, f]);
    octets.into()
}

/// The checksum of an upper layer over IPv6 (RFC 8200, section 8.1).
#[must_use]
pub fn checksum_v6(from: Ipv6Addr, to: Ipv6Addr, protocol: u8, body: &[u8]) -> [u8; 2] {
    let length = u32::try_from(body.len()).unwrap_or_default();
    checksum(
        &[
            &from.octets()[..],
            &to.octets(),
            &length.to_be_bytes(),
            &[0, 0, 0, protocol],
            body,
        ]
        .concat(),
    )
}

/// The internet checksum (RFC 1071).
#[must_use]
pub fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |byte| u32::from(*byte)))
        .sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    (!u16::try_from(sum).unwrap_or_default()).to_be_bytes()
}
