//! Looking at frames without the code under test.

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
