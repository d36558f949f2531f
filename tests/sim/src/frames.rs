//! Frames that carry their own birth certificate.

use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{EtherType, EthernetHeader, HEADER_LEN};

/// Bytes of IPv4 and UDP headers in front of the mark.
const IP_UDP_LEN: usize = 28;
/// The smallest frame that has room for a mark.
pub const MIN_LEN: usize = HEADER_LEN + IP_UDP_LEN + 8;

/// An IPv4 UDP frame of `len` bytes whose payload begins with `mark`.
#[must_use]
pub fn marked(source: MacAddr, destination: MacAddr, mark: u64, len: usize) -> Vec<u8> {
    let header = EthernetHeader {
        destination,
        source,
        ether_type: EtherType::IPV4,
    };
    let mut frame = header.encode().to_vec();
    frame.resize(len.max(MIN_LEN), 0xA5);
    let ip_len = u16::try_from(frame.len() - HEADER_LEN).unwrap_or(u16::MAX);
    let [.., a, b] = source.octets();
    let destination_address = if destination.is_multicast() {
        [10, 73, 255, 255]
    } else {
        [10, 73, 0, 1]
    };
    let ip = &mut frame[HEADER_LEN..HEADER_LEN + IP_UDP_LEN];
    ip[0] = 0x45;
    ip[1] = 0;
    ip[2..4].copy_from_slice(&ip_len.to_be_bytes());
    ip[4..8].fill(0);
    ip[8..10].copy_from_slice(&[64, 17]);
    ip[10..12].fill(0);
    ip[12..16].copy_from_slice(&[10, 73, a, b | 1]);
    ip[16..20].copy_from_slice(&destination_address);
    let sum = checksum(&ip[..20]);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    // Ports of no protocol that the policy knows; checksum 0 means none.
    ip[20..24].copy_from_slice(&[0x69, 0x78, 0x69, 0x78]);
    ip[24..26].copy_from_slice(&(ip_len - 20).to_be_bytes());
    ip[26..28].fill(0);
    frame[HEADER_LEN + IP_UDP_LEN..MIN_LEN].copy_from_slice(&mark.to_be_bytes());
    frame
}

/// The mark of a frame made by [`marked`].
#[must_use]
pub fn mark_of(frame: &[u8]) -> Option<u64> {
    let bytes = frame.get(HEADER_LEN + IP_UDP_LEN..MIN_LEN)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

fn checksum(header: &[u8]) -> u16 {
    let mut sum: u32 = header
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum > 0xFFFF {
        sum = (sum >> 16) + (sum & 0xFFFF);
    }
    !u16::try_from(sum).unwrap_or_default()
}
