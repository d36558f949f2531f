//! Frames that every policy lets pass.

use anyhow::{Result, ensure};
use lanparty_proto::MacAddr;
use lanparty_proto::bundle::LENGTH_LEN;
use lanparty_proto::mtu::DEFAULT_TAP_MTU;
use lanparty_proto::overlay::FrameCount;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
/// A Source engine server's.
const PORT: u16 = 27_015;

/// The MAC address of member `number`.
#[must_use]
pub fn mac(number: u16) -> MacAddr {
    let [high, low] = number.to_be_bytes();
    MacAddr([2, 0, 0x5E, 0x40, high, low])
}

/// A UDP datagram of a game in a frame of `len` bytes, Ethernet header and all.
///
/// # Errors
/// Where the headers do not fit.
pub fn udp(source: MacAddr, destination: MacAddr, len: usize) -> Result<Vec<u8>> {
    ensure!(
        (ETHERNET + IPV4 + UDP..=1_514).contains(&len),
        "a frame has 42 to 1514 bytes, not {len}"
    );
    let ip_len = u16::try_from(len - ETHERNET)?;
    let mut frame = Vec::with_capacity(len);
    frame.extend(destination.0);
    frame.extend(source.0);
    frame.extend([0x08, 0x00]);
    let mut ip = [0_u8; IPV4];
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&ip_len.to_be_bytes());
    ip[8] = 64;
    ip[9] = 17;
    ip[12..16].copy_from_slice(&[10, 73, 42, source.0[5]]);
    let to = if destination.is_multicast() {
        [255; 4]
    } else {
        [10, 73, 42, destination.0[5]]
    };
    ip[16..20].copy_from_slice(&to);
    let sum: u32 = ip
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xFFFF) + (folded >> 16))?;
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    frame.extend(ip);
    frame.extend(PORT.to_be_bytes());
    frame.extend(PORT.to_be_bytes());
    frame.extend((ip_len - u16::try_from(IPV4)?).to_be_bytes());
    // No checksum, which IPv4 allows (RFC 768).
    frame.extend([0, 0]);
    frame.resize(len, 0x5A);
    Ok(frame)
}

/// As many copies of a frame as a member puts into one datagram.
///
/// # Errors
/// Where not even two fit.
pub fn bundle(frame: &[u8]) -> Result<(Vec<u8>, FrameCount)> {
    let (ethernet, payload) = frame.split_at(ETHERNET);
    let copy = [&u16::try_from(payload.len())?.to_be_bytes()[..], payload].concat();
    let most = usize::from(DEFAULT_TAP_MTU) / (LENGTH_LEN + payload.len());
    ensure!(most > 1, "frames of {} bytes travel alone", frame.len());
    let counts = std::iter::successors(Some(FrameCount::ONE), |count| count.next());
    let count = counts.take(most).last().unwrap_or(FrameCount::ONE);
    let copies = copy.repeat(count.get().into());
    Ok(([ethernet, &copies].concat(), count))
}

#[cfg(test)]
mod tests {
    use lanparty_proto::bundle::Frames;

    use super::*;

    #[test]
    fn a_frame_is_as_long_as_asked_and_its_header_sums_to_nothing() {
        for len in [42, 160, 1_300, 1_514] {
            let frame = udp(mac(1), mac(2), len).unwrap();
            assert_eq!(frame.len(), len);
            let sum: u32 = frame[14..34]
                .chunks_exact(2)
                .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
                .sum();
            assert_eq!((sum & 0xFFFF) + (sum >> 16), 0xFFFF);
        }
        assert!(udp(mac(1), mac(2), 41).is_err());
    }

    #[test]
    fn a_bundle_is_as_long_as_a_frame_of_the_adapter() {
        let frame = udp(mac(1), mac(2), 160).unwrap();
        let (mut bytes, count) = bundle(&frame).unwrap();
        assert_eq!((count.get(), bytes.len()), (9, 14 + 9 * 148));
        let mut frames = Frames::parse(&mut bytes, count).unwrap();
        while let Some(copy) = frames.next() {
            assert_eq!(copy, frame);
        }
        assert!(bundle(&udp(mac(1), mac(2), 700).unwrap()).is_err());
    }
}
