//! Keeps TCP inside single datagrams.
//!
//! Every member lowers the segment size in the handshakes that pass it, in
//! both directions, to what one datagram on its own path carries. What remains
//! is the smallest of the paths involved, so no TCP segment is fragmented.

use lanparty_l2::mss;
use lanparty_proto::{ethernet, overlay};

/// IPv4 and TCP headers without options.
const V4_HEADERS: usize = 20 + 20;
/// IPv6 and TCP headers without options.
const V6_HEADERS: usize = 40 + 20;
/// Below this a path is too small for clamping to help (RFC 879's 536 is what
/// every host must accept anyway).
const SMALLEST: usize = 536;

/// Lowers the segment size that a TCP handshake in `frame` asks for.
pub(crate) fn clamp(frame: &mut [u8], max_datagram: usize) {
    if !is_handshake(frame) {
        return;
    }
    let packet = max_datagram.saturating_sub(overlay::HEADER_LEN + ethernet::HEADER_LEN);
    let limit = |headers| {
        let segment = packet.saturating_sub(headers).max(SMALLEST);
        u16::try_from(segment).unwrap_or(u16::MAX)
    };
    mss::clamp(frame, limit(V4_HEADERS), limit(V6_HEADERS));
}

/// A quick look whether [`clamp`] may have something to do: an untagged IPv4
/// or IPv6 packet with a TCP SYN right behind its header.
pub(crate) fn is_handshake(frame: &[u8]) -> bool {
    const SYN: u8 = 0x02;
    let byte = |at: usize| frame.get(at).copied().unwrap_or(0);
    let tcp = match (byte(12), byte(13)) {
        (0x08, 0x00) if byte(23) == 6 => ethernet::HEADER_LEN + usize::from(byte(14) & 0x0F) * 4,
        (0x86, 0xDD) if byte(20) == 6 => ethernet::HEADER_LEN + 40,
        _ => return false,
    };
    byte(tcp + 13) & SYN != 0
}
