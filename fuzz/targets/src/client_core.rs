//! Fragments from other members.

use std::time::Duration;

use lanparty_client_core::reassembly::{Limits, MAX_LEN, Reassembler};
use lanparty_obs::drops::DropCounts;
use lanparty_proto::PeerId;
use lanparty_proto::ethernet::HEADER_LEN;
use lanparty_proto::fragment::{Fragment, split};
use lanparty_proto::overlay::{self, FrameCount, Header, Hint, Kind};

use crate::{epoch, take_bytes, take_u16};

/// Foreign datagrams with a length before each after a first frame: whatever
/// else arrives under other ids, the pieces of the frame, in any rotation, come
/// out as that frame, and no more is kept than the limits allow.
pub fn reassembly(mut data: &[u8]) {
    let max_len = usize::from(take_u16(&mut data) % 1_600);
    let rotation = usize::from(take_u16(&mut data));
    let frame = take_bytes(&mut data);
    let limits = Limits {
        frames_per_sender: 4,
        frames: 8,
    };
    let mut reassembler = Reassembler::new(limits);
    let mut drops = DropCounts::default();
    let mut now = epoch();

    let mut pieces = pieces_of(frame, max_len);
    let middle = rotation.checked_rem(pieces.len()).unwrap_or(0);
    pieces.rotate_left(middle);
    let last = pieces.pop();
    for piece in &pieces {
        let (source, fragment) = parse(piece).expect("our own piece");
        let done = reassembler.push(source, FrameCount::ONE, None, fragment, now, &mut drops);
        assert!(matches!(done, Ok(None)));
    }

    while !data.is_empty() {
        let Some((source, fragment)) = parse(take_bytes(&mut data)) else {
            continue;
        };
        if source == sender() {
            continue;
        }
        // Far below the timeout of the frame that waits, for all that fits here.
        now += Duration::from_micros(1);
        if let Ok(Some(whole)) =
            reassembler.push(source, FrameCount::ONE, None, fragment, now, &mut drops)
        {
            assert!(whole.len() > HEADER_LEN && whole.len() <= MAX_LEN);
        }
        assert!(reassembler.waiting() <= limits.frames);
        if reassembler.waiting() == limits.frames {
            // The frame that waits may have had to make room.
            return;
        }
    }

    if let Some(last) = last {
        let (source, fragment) = parse(&last).expect("our own piece");
        let done = reassembler.push(source, FrameCount::ONE, None, fragment, now, &mut drops);
        assert_eq!(done.ok().flatten().as_deref(), Some(frame));
    }
}

fn sender() -> PeerId {
    PeerId::try_from(1).expect("1 is a valid peer id")
}

/// The fragments of a frame, if it needs more than one.
fn pieces_of(frame: &[u8], max_len: usize) -> Vec<Vec<u8>> {
    if frame.len() <= HEADER_LEN || frame.len() > MAX_LEN {
        return Vec::new();
    }
    let header = Header {
        kind: Kind::Frame,
        hint: Hint::Normal,
        source: sender(),
        flow_tag: 0,
        frames: FrameCount::ONE,
    };
    let datagram = [&header.encode()[..], frame].concat();
    if datagram.len() <= max_len {
        return Vec::new();
    }
    let pieces = split(&datagram, max_len, 1, false).into_iter().flatten();
    pieces
        .map(|piece| {
            let mut out = Vec::new();
            piece.write_to(&mut out);
            out
        })
        .collect()
}

fn parse(datagram: &[u8]) -> Option<(PeerId, Fragment<'_>)> {
    let (header, body) = Header::decode(datagram).ok()?;
    let body = match header.kind {
        Kind::Fragment => body,
        Kind::SealedFragment => body.get(overlay::SEALED_LEN..)?,
        Kind::Frame | Kind::SealedFrame | Kind::Probe => return None,
    };
    Some((header.source, Fragment::parse(body).ok()?))
}
