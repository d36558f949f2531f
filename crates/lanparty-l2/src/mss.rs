//! Lowers the MSS that a TCP SYN announces, so that the inner TCP sends
//! segments which fit one datagram of the member's path.

use crate::checksum;
use crate::class::{Protocol, classify};
use crate::read;
use crate::{ipv4, ipv6};

const SYN: u8 = 0x02;
const MSS: u8 = 2;

/// Lowers the MSS option of a SYN in place and corrects the checksum; true
/// where the frame changed. Frames that are not exactly a whole SYN stay.
///
/// The TCP checksum must be finished: the kernel's partial sum (virtio-net's
/// `NEEDS_CSUM`) does not cover options and must not be adjusted.
pub fn clamp(frame: &mut [u8], max_mss_v4: u16, max_mss_v6: u16) -> bool {
    let Ok(class) = classify(frame) else {
        return false;
    };
    let (body, max_mss) = if let Protocol::Ipv4(packet) = class.protocol
        && let ipv4::Transport::Tcp { .. } = packet.transport
        && packet.part == ipv4::Part::Whole
    {
        (packet.body, max_mss_v4)
    } else if let Protocol::Ipv6(packet) = class.protocol
        && let ipv6::Transport::Tcp { .. } = packet.transport
        && packet.part == ipv4::Part::Whole
    {
        (packet.body, max_mss_v6)
    } else {
        return false;
    };
    let at = class.link.payload_at.saturating_add(body.at);
    frame
        .get_mut(at..at.saturating_add(body.len))
        .and_then(|segment| clamp_segment(segment, max_mss))
        .is_some()
}

/// The largest MSS whose segments fit an IP MTU (RFC 9293, section 3.7.1).
#[must_use]
pub const fn for_mtu(mtu: u16) -> (u16, u16) {
    (mtu.saturating_sub(40), mtu.saturating_sub(60))
}

fn clamp_segment(segment: &mut [u8], max_mss: u16) -> Option<()> {
    if read::u8_at(segment, 13)? & SYN == 0 {
        return None;
    }
    let header_len = usize::from(read::u8_at(segment, 12)? >> 4).saturating_mul(4);
    let mut at = 20_usize;
    while at < header_len {
        let len = match read::u8_at(segment, at)? {
            0 => return None,
            1 => 1,
            MSS => {
                let end = at.saturating_add(4);
                let well_formed =
                    read::u8_at(segment, at.saturating_add(1))? == 4 && end <= header_len;
                well_formed.then_some(())?;
                return lower(segment, at.saturating_add(2), max_mss);
            }
            _ => match usize::from(read::u8_at(segment, at.saturating_add(1))?) {
                0 | 1 => return None,
                len => len,
            },
        };
        at = at.saturating_add(len);
    }
    None
}

fn lower(segment: &mut [u8], at: usize, max_mss: u16) -> Option<()> {
    let announced = read::u16_at(segment, at)?;
    (announced > max_mss).then_some(())?;
    let checksum = read::u16_at(segment, 16)?;
    let adjusted = checksum::adjust(checksum, announced, max_mss, at % 2 == 1);
    read::put(segment, at, &max_mss.to_be_bytes())?;
    read::put(segment, 16, &adjusted.to_be_bytes())
}
