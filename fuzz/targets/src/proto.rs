//! Overlay and Ethernet headers.

use lanparty_proto::bundle::Frames;
use lanparty_proto::ethernet::{EthernetHeader, HEADER_LEN, Tagged, insert_tag, strip_tag};
use lanparty_proto::fragment::{Fragment, split};
use lanparty_proto::overlay::{self, FrameCount, Header, Kind};
use lanparty_proto::probe::Probe;
use lanparty_proto::timing::{Timing, is_timing};

use crate::take_u16;

/// A datagram: what decodes encodes to the same bytes.
pub fn overlay(data: &[u8]) {
    let Ok((header, body)) = Header::decode(data) else {
        return;
    };
    assert_eq!(header.encode(), data[..overlay::HEADER_LEN]);
    if header.kind == Kind::Probe
        && let Ok(probe) = Probe::decode(body)
    {
        assert_eq!(probe.encode(), *body);
        assert_eq!(probe.reply_to(header.source, 1).encode().len(), body.len());
    }
}

/// How many frames, and a bundle: what comes out makes the same bundle again.
pub fn bundle(data: &[u8]) {
    let Some((&more, bytes)) = data.split_first() else {
        return;
    };
    let counts = std::iter::successors(Some(FrameCount::ONE), |count| count.next());
    let count = counts.take(usize::from(more) + 1).last();
    let count = count.expect("at least one");
    let mut copy = bytes.to_vec();
    let Ok(mut frames) = Frames::parse(&mut copy, count) else {
        return;
    };
    let mut again = bytes[..HEADER_LEN].to_vec();
    while let Some(frame) = frames.next() {
        let (ethernet, payload) = frame.split_at(HEADER_LEN);
        assert_eq!(*ethernet, bytes[..HEADER_LEN]);
        again.extend((payload.len() as u16).to_be_bytes());
        again.extend_from_slice(payload);
    }
    assert_eq!(again, bytes);
}

/// A timing datagram: what decodes encodes to the same bytes, and is nothing
/// of the overlay.
pub fn timing(data: &[u8]) {
    let Ok(timing) = Timing::decode(data) else {
        return;
    };
    let (bytes, len) = timing.encode();
    assert_eq!(bytes[..len], *data);
    assert!(is_timing(data) && Header::decode(data).is_err());
    assert!(timing.mark().is_some() || timing.echo().is_some());
}

/// A length limit and a datagram: the pieces fit the limit, and splitting them
/// once more loses nothing.
pub fn fragment(mut data: &[u8]) {
    let max_len = usize::from(take_u16(&mut data));
    let Ok(pieces) = split(data, max_len, 7, true) else {
        return;
    };
    let (_, payload) = parts(data);
    let mut joined = Vec::new();
    for piece in pieces {
        let mut datagram = Vec::new();
        piece.write_to(&mut datagram);
        assert_eq!(datagram.len(), piece.len());
        assert!(datagram.len() <= max_len);
        let (offset, expected) = parts(&datagram);
        let mut again = Vec::new();
        for smaller in split(&datagram, max_len / 2, 8, true).into_iter().flatten() {
            let mut datagram = Vec::new();
            smaller.write_to(&mut datagram);
            let (smaller_offset, payload) = parts(&datagram);
            assert_eq!(smaller_offset, offset + again.len());
            again.extend_from_slice(payload);
        }
        assert!(again.is_empty() || again == expected);
        joined.extend_from_slice(expected);
    }
    assert_eq!(joined, payload);
}

/// Where the payload of a valid frame or fragment belongs, and the payload.
fn parts(datagram: &[u8]) -> (usize, &[u8]) {
    let (header, body) = Header::decode(datagram).expect("split accepted the header");
    let body = match header.kind {
        Kind::SealedFrame | Kind::SealedFragment => &body[overlay::SEALED_LEN..],
        Kind::Frame | Kind::Fragment | Kind::Probe => body,
    };
    match header.kind {
        Kind::Fragment | Kind::SealedFragment => {
            let fragment = Fragment::parse(body).expect("split accepted the fragment");
            (fragment.header.byte_offset(), fragment.payload)
        }
        Kind::Frame | Kind::SealedFrame | Kind::Probe => (0, &body[HEADER_LEN..]),
    }
}

/// A frame: putting back the tag that was stripped restores it.
pub fn ethernet(data: &[u8]) {
    if let Ok((header, payload)) = EthernetHeader::parse(data) {
        assert_eq!(header.encode(), data[..HEADER_LEN]);
        assert_eq!(payload, &data[HEADER_LEN..]);
    }
    let mut frame = data.to_vec();
    let stripped = strip_tag(&mut frame).map(|(tag, rest)| (tag, rest.len()));
    assert_eq!(stripped.is_some(), Tagged::parse(data).is_some());
    if let Some((tag, len)) = stripped {
        assert_eq!(len + 4, data.len());
        insert_tag(&mut frame, tag).expect("the frame had a whole header");
    }
    assert_eq!(frame, data);
}
