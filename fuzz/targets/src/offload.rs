//! Superframes from the kernel, and frames from the overlay for the kernel.

use lanparty_offload::{Coalescer, Join, VnetHdr, segment, vnet};

use crate::take_bytes;

/// A virtio-net header and a frame: no segment is longer than the frame.
pub fn segment_superframe(data: &[u8]) {
    let Ok(header) = VnetHdr::decode(data) else {
        return;
    };
    assert_eq!(VnetHdr::decode(&header.encode_mergeable()), Ok(header));
    let mut frame = data[vnet::LEN..].to_vec();
    let len = frame.len();
    let Ok(mut frames) = segment(&header, &mut frame) else {
        return;
    };
    let mut count = 0;
    while let Some(frame) = frames.next_frame() {
        assert!(frame.len() <= len);
        count += 1;
    }
    assert!(count > 0);
    assert!(header.gso.is_some() || count == 1);
}

/// Frames with a length before each: cutting what was joined gives all of them
/// back. Checksums of TCP over plain IPv4 are put right first, because a
/// fuzzer would never guess them.
pub fn coalesce(mut data: &[u8]) {
    let mut coalescer = Coalescer::new(Join::TcpAndUdp);
    let mut frames = Vec::new();
    while !data.is_empty() {
        let mut frame = take_bytes(&mut data).to_vec();
        fix_checksums(&mut frame);
        if coalescer.push(&frame).is_err() {
            break;
        }
        frames.push(frame);
    }
    let mut again = Vec::new();
    for (header, frame) in coalescer.outputs() {
        let mut frame = frame.to_vec();
        let mut segments = segment(header, &mut frame).expect("our own superframe");
        while let Some(segment) = segments.next_frame() {
            again.push(segment.to_vec());
        }
    }
    for frame in again.iter_mut().chain(&mut frames) {
        forget_what_may_change(frame);
    }
    // Flows may change places with each other.
    again.sort();
    frames.sort();
    assert_eq!(again, frames);
}

fn is_plain_ipv4(frame: &[u8]) -> bool {
    frame.len() >= 34 && frame[12..15] == [0x08, 0x00, 0x45]
}

fn fix_checksums(frame: &mut [u8]) {
    if !is_plain_ipv4(frame) || frame.len() < 54 || frame[23] != 6 {
        return;
    }
    frame[24..26].fill(0);
    let sum = ones_complement(&frame[14..34]);
    frame[24..26].copy_from_slice(&(!sum).to_be_bytes());
    frame[50..52].fill(0);
    let len = u16::try_from(frame.len() - 34).unwrap_or(u16::MAX);
    let pseudo = [&frame[26..34], &[0, 6], &len.to_be_bytes(), &frame[34..]].concat();
    let sum = ones_complement(&pseudo);
    frame[50..52].copy_from_slice(&(!sum).to_be_bytes());
}

/// Ids of frames with DF (RFC 6864), and which of the two zeros a checksum is.
fn forget_what_may_change(frame: &mut [u8]) {
    if !is_plain_ipv4(frame) {
        return;
    }
    if frame[20] & 0x40 != 0 {
        frame[18..20].fill(0);
        frame[24..26].fill(0);
    }
    if frame.len() >= 54 && frame[50..52] == [0xFF, 0xFF] {
        frame[50..52].fill(0);
    }
}

/// RFC 1071 section 4.1.
fn ones_complement(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}
