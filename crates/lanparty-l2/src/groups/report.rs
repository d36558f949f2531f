//! Group membership reports as whole Ethernet frames.

use std::net::{Ipv4Addr, Ipv6Addr};

use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{EtherType, EthernetHeader};

use crate::checksum::Sum;
use crate::ipv4::IGMP;
use crate::ipv6::ICMPV6;
use lanparty_proto::ethernet::MIN_FRAME_LEN;

/// Where IGMPv3 and MLDv2 reports go (RFC 3376, 4.2.14; RFC 3810, 5.2.14).
const ALL_IGMP3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
const ALL_MLD2_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
/// "I exclude no source", in both protocols.
const MODE_IS_EXCLUDE: u8 = 2;
/// IPv4 option 148 (RFC 2113).
const ROUTER_ALERT_V4: [u8; 4] = [148, 4, 0, 0];
/// Hop-by-hop header with router alert for MLD (RFC 2711) and PadN.
const ROUTER_ALERT_V6: [u8; 8] = [ICMPV6, 0, 5, 2, 0, 0, 1, 0];

pub(super) fn igmp2(player: MacAddr, source: Ipv4Addr, group: Ipv4Addr) -> Vec<u8> {
    let mut message = vec![0x16, 0, 0, 0];
    message.extend(group.octets());
    v4(player, source, group, message)
}

pub(super) fn igmp3(player: MacAddr, source: Ipv4Addr, groups: &[Ipv4Addr]) -> Vec<u8> {
    let mut message = header(0x22, groups.len());
    for group in groups {
        message.extend([MODE_IS_EXCLUDE, 0, 0, 0]);
        message.extend(group.octets());
    }
    v4(player, source, ALL_IGMP3_ROUTERS, message)
}

pub(super) fn mld2(player: MacAddr, source: Ipv6Addr, groups: &[Ipv6Addr]) -> Vec<u8> {
    let mut message = header(143, groups.len());
    for group in groups {
        message.extend([MODE_IS_EXCLUDE, 0, 0, 0]);
        message.extend(group.octets());
    }
    let to = ALL_MLD2_ROUTERS;
    let message_len = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let sum = Sum::default().pseudo_v6(source, to, ICMPV6, message_len);
    set_checksum(&mut message, sum);
    let payload_len = message_len.saturating_add(8);
    let mut frame = ethernet(player, to.octets(), EtherType::IPV6);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend(payload_len.to_be_bytes());
    // Next header hop-by-hop, hop limit 1.
    frame.extend([0, 1]);
    frame.extend(source.octets());
    frame.extend(to.octets());
    frame.extend(ROUTER_ALERT_V6);
    frame.extend(message);
    frame
}

/// Type, checksum to come, number of records.
fn header(kind: u8, records: usize) -> Vec<u8> {
    let [high, low] = u16::try_from(records).unwrap_or(u16::MAX).to_be_bytes();
    vec![kind, 0, 0, 0, 0, 0, high, low]
}

fn v4(player: MacAddr, source: Ipv4Addr, to: Ipv4Addr, mut message: Vec<u8>) -> Vec<u8> {
    set_checksum(&mut message, Sum::default());
    let total = u16::try_from(message.len())
        .unwrap_or(u16::MAX)
        .saturating_add(24);
    let [high, low] = total.to_be_bytes();
    // Six words, DSCP CS6 as hosts send it, TTL 1.
    let mut ip = vec![0x46, 0xC0, high, low, 0, 0, 0x40, 0, 1, IGMP, 0, 0];
    ip.extend(source.octets());
    ip.extend(to.octets());
    ip.extend(ROUTER_ALERT_V4);
    let [c0, c1] = Sum::default().bytes(&ip).finish().to_be_bytes();
    for (at, byte) in [(10, c0), (11, c1)] {
        if let Some(place) = ip.get_mut(at) {
            *place = byte;
        }
    }
    let [_, b, c, d] = to.octets();
    let mac = MacAddr([0x01, 0x00, 0x5e, b & 0x7F, c, d]);
    let header = EthernetHeader {
        destination: mac,
        source: player,
        ether_type: EtherType::IPV4,
    };
    let mut frame = header.encode().to_vec();
    frame.extend(ip);
    frame.extend(message);
    frame.resize(frame.len().max(MIN_FRAME_LEN), 0);
    frame
}

fn ethernet(player: MacAddr, to: [u8; 16], ether_type: EtherType) -> Vec<u8> {
    // RFC 2464, section 7.
    let [.., a, b, c, d] = to;
    let header = EthernetHeader {
        destination: MacAddr([0x33, 0x33, a, b, c, d]),
        source: player,
        ether_type,
    };
    header.encode().to_vec()
}

fn set_checksum(message: &mut [u8], pseudo: Sum) {
    let sum = pseudo.bytes(message).finish();
    if let Some(field) = message.get_mut(2..4) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}
