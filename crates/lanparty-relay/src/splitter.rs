//! Frames that are too long for a target's path, cut when their turn comes.

use bytes::Bytes;
use lanparty_proto::fragment;
use lanparty_transport::Splitter;

/// Cuts in the relay's id space. One counter serves all senders: a receiver
/// tells frames apart by their source too, and at 65,536 frames within its
/// 500 ms a path that needs fragments is past its limits.
pub(crate) fn new() -> Splitter {
    let mut frame_id: u16 = 0;
    Box::new(move |datagram, max_len, pieces| {
        frame_id = frame_id.wrapping_add(1);
        if let Ok(split) = fragment::split(datagram, max_len, frame_id, true) {
            pieces.extend(split.map(|piece| {
                let mut bytes = Vec::with_capacity(piece.len());
                piece.write_to(&mut bytes);
                Bytes::from(bytes)
            }));
        }
    })
}

#[cfg(test)]
mod tests {
    use lanparty_proto::PeerId;
    use lanparty_proto::fragment::Fragment;
    use lanparty_proto::overlay::{FrameCount, Header, Hint, Kind};

    use super::*;

    #[test]
    fn pieces_fit_share_one_id_and_the_next_frame_has_another() {
        let header = Header {
            kind: Kind::Frame,
            hint: Hint::Bulk,
            source: PeerId::try_from(9).unwrap(),
            flow_tag: 1,
            frames: FrameCount::ONE,
        };
        let datagram = Bytes::from([&header.encode()[..], &[0x5A; 1_514]].concat());
        let mut splitter = new();
        let mut cut = || {
            let mut pieces = Vec::new();
            splitter(&datagram, 1_162, &mut pieces);
            assert!(pieces.len() == 2 && pieces.iter().all(|piece| piece.len() <= 1_162));
            let ids: Vec<(u16, bool)> = pieces
                .iter()
                .map(|piece| {
                    let (header, body) = Header::decode(piece).unwrap();
                    assert_eq!(header.kind, Kind::Fragment);
                    let fragment = Fragment::parse(body).unwrap().header;
                    (fragment.frame_id, fragment.relay_id_space)
                })
                .collect();
            assert_eq!(ids[0], ids[1]);
            assert!(ids[0].1);
            ids[0].0
        };
        assert_ne!(cut(), cut());
    }
}
