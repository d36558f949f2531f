//! Looking at frames without the code under test.

use lanparty_offload::{Checksum, Gso, GsoKind, VnetHdr};
use lanparty_proto::MacAddr;

pub(crate) fn destination(frame: &[u8]) -> MacAddr {
    MacAddr(frame[..6].try_into().unwrap())
}

pub(crate) fn source(frame: &[u8]) -> MacAddr {
    MacAddr(frame[6..12].try_into().unwrap())
}

/// A broadcast of the local experimental EtherType with a number in it.
pub(crate) fn numbered_broadcast(source: MacAddr, number: u8) -> Vec<u8> {
    frame(MacAddr::BROADCAST, source, number)
}

pub(crate) fn frame(destination: MacAddr, source: MacAddr, number: u8) -> Vec<u8> {
    let mut frame = [
        &destination.octets()[..],
        &source.octets(),
        &[0x88, 0xb5, number],
    ]
    .concat();
    frame.resize(60, 0);
    frame
}

/// TCP over IPv4 in VLAN 5, as a sender with offloads hands it over.
pub(crate) fn tagged_superframe(
    destination: MacAddr,
    source: MacAddr,
    segments: u64,
) -> (VnetHdr, Vec<u8>) {
    const SIZE: u16 = 1_001;
    const HEADERS: u16 = 18 + 20 + 20;
    let payload = usize::try_from(segments).unwrap() * usize::from(SIZE);
    let tcp_len = u16::try_from(20 + payload).unwrap();
    let mut ip = vec![0x45, 0];
    ip.extend((20 + tcp_len).to_be_bytes());
    ip.extend([0, 1, 0x40, 0, 64, 6, 0, 0, 10, 5, 0, 10, 10, 5, 0, 50]);
    let checksum = !sum(&[&ip]);
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    let pseudo = sum(&[&ip[12..20], &[0, 6], &tcp_len.to_be_bytes()]);
    // PSH and ACK.
    let mut tcp = vec![1, 2, 3, 4, 0, 0, 0, 9, 0, 0, 0, 7, 0x50, 0x18, 1, 0];
    tcp.extend(pseudo.to_be_bytes());
    tcp.extend([0, 0]);
    let mut frame = [
        &destination.octets()[..],
        &source.octets(),
        &[0x81, 0x00, 0x00, 0x05, 0x08, 0x00],
        &ip,
        &tcp,
    ]
    .concat();
    assert_eq!(frame.len(), usize::from(HEADERS));
    frame.extend((0..payload).map(|at| (at / 3) as u8));
    let header = VnetHdr {
        checksum: Checksum::Partial {
            start: 18 + 20,
            offset: 16,
        },
        gso: Some(Gso {
            kind: GsoKind::TcpV4,
            ecn: false,
            size: SIZE,
        }),
        hdr_len: HEADERS,
    };
    (header, frame)
}

/// Panics unless the frame is one that a cable could have carried.
pub(crate) fn assert_finished(frame: &[u8]) {
    assert!(frame.len() <= 1514, "{} bytes", frame.len());
    if frame[12..14] != [0x08, 0x00] {
        return;
    }
    let ip = &frame[14..];
    let header_len = usize::from(ip[0] & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    assert!(total_len <= ip.len(), "cut short");
    assert_eq!(sum(&[&ip[..header_len]]), 0xffff, "IPv4 header checksum");
    let payload = &ip[header_len..total_len];
    let is_fragment = u16::from_be_bytes([ip[6], ip[7]]) & 0x3fff != 0;
    let protocol = ip[9];
    if is_fragment || ![6, 17].contains(&protocol) {
        return;
    }
    if protocol == 17 && payload[6..8] == [0, 0] {
        return;
    }
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let pseudo = [&ip[12..20], &[0, protocol], &length].concat();
    assert_eq!(sum(&[&pseudo, payload]), 0xffff, "transport checksum");
}

/// RFC 1071; only the last part may be odd.
fn sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u32::from(u16::from_be_bytes([
            pair[0],
            pair.get(1).copied().unwrap_or(0),
        ]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}
