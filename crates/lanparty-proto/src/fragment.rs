//! Fragments of a frame that does not fit one datagram.
//!
//! ```text
//!  0               1               2               3
//!  +-------------------------------+---------------------+-+-+-----+
//!  |           frame id            |       offset        |M|R|  0  |
//!  +-------------------------------+---------------------+-+-+-----+
//! ```
//!
//! The header follows the base header, or the epoch and counter of a sealed
//! kind. `offset` counts 8-byte units of the payload after the Ethernet header,
//! `M` says that more follows, `R` that the relay chose the frame id and not
//! the source. The Ethernet header comes next, the same in every fragment, and
//! then the piece of the payload.
//!
//! Because every fragment says where it belongs, whoever meets a smaller path
//! can split a fragment again without any state. Putting frames together is
//! the receiver's business and not this module's.

use crate::ethernet;
use crate::overlay::{self, Header, HeaderError, Kind};

/// Bytes of the fragment header.
pub const HEADER_LEN: usize = 4;
/// Bytes that one unit of the offset field stands for.
pub const OFFSET_UNIT: usize = 8;
/// The largest value of the 11-bit offset field.
pub const MAX_OFFSET: u16 = 0x07FF;

/// A decoded fragment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentHeader {
    /// Unique per source and id space for as long as a receiver may wait.
    pub frame_id: u16,
    /// Where the piece begins, in 8-byte units after the Ethernet header.
    pub offset: u16,
    /// False in the fragment that ends the frame.
    pub more: bool,
    /// True where the relay chose the frame id.
    pub relay_id_space: bool,
}

/// Why bytes are not a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    #[error("fragment is shorter than its headers")]
    Truncated,
    #[error("reserved fragment bits are set")]
    Reserved,
    #[error("fragment carries no payload")]
    Empty,
    #[error("a fragment that is not the last carries a multiple of 8 bytes")]
    Unaligned,
}

/// Why a datagram cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error(transparent)]
    Fragment(#[from] FragmentError),
    #[error("probes are never split")]
    Probe,
    #[error("the datagram is too short to hold a frame")]
    Runt,
    #[error("the length limit leaves no room for 8 bytes of payload")]
    Budget,
    #[error("the frame is longer than fragment offsets can express")]
    TooLong,
}

/// A fragment with its parts told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    pub header: FragmentHeader,
    pub ethernet: &'a [u8; ethernet::HEADER_LEN],
    /// Never empty; a multiple of 8 bytes where `header.more` is set.
    pub payload: &'a [u8],
}

/// Which frame a datagram of this kind is a piece of; `None` for a whole one,
/// and for a piece too short to say. Looks at nothing else.
#[must_use]
pub fn frame_id(kind: Kind, datagram: &[u8]) -> Option<u16> {
    let at = match kind {
        Kind::Frame | Kind::SealedFrame | Kind::Probe => return None,
        Kind::Fragment => overlay::HEADER_LEN,
        Kind::SealedFragment => overlay::HEADER_LEN.saturating_add(overlay::SEALED_LEN),
    };
    let (header, _) = FragmentHeader::decode(datagram.get(at..)?).ok()?;
    Some(header.frame_id)
}

/// Cuts one overlay datagram into pieces of at most `max_len` bytes each.
///
/// `datagram` is a whole frame or a fragment, clear or sealed. A datagram that
/// fits comes out as it is. A whole frame gets `frame_id`, in the relay's id
/// space if `relay`; a fragment keeps its own id and id space.
///
/// # Errors
/// [`SplitError`]; nothing is yielded then.
pub fn split(
    datagram: &[u8],
    max_len: usize,
    frame_id: u16,
    relay: bool,
) -> Result<Split<'_>, SplitError> {
    let (base, after_base) = Header::decode(datagram)?;
    let (fragment_kind, sealed, is_fragment) = match base.kind {
        Kind::Frame => (Kind::Fragment, false, false),
        Kind::Fragment => (Kind::Fragment, false, true),
        Kind::SealedFrame => (Kind::SealedFragment, true, false),
        Kind::SealedFragment => (Kind::SealedFragment, true, true),
        Kind::Probe => return Err(SplitError::Probe),
    };
    let sealed_len = if sealed { overlay::SEALED_LEN } else { 0 };
    let (sealed_header, body) = after_base
        .split_at_checked(sealed_len)
        .ok_or(SplitError::Runt)?;
    let (header, ethernet, payload) = if is_fragment {
        let fragment = Fragment::parse(body)?;
        (fragment.header, fragment.ethernet, fragment.payload)
    } else {
        let header = FragmentHeader {
            frame_id,
            offset: 0,
            more: false,
            relay_id_space: relay,
        };
        let (ethernet, payload) = body.split_first_chunk().ok_or(SplitError::Runt)?;
        (header, ethernet, payload)
    };

    if datagram.len() <= max_len {
        return Ok(Split(Cut::Whole(Some(datagram))));
    }
    let headers = overlay::HEADER_LEN
        .saturating_add(sealed_len)
        .saturating_add(HEADER_LEN)
        .saturating_add(ethernet::HEADER_LEN);
    let units = max_len.saturating_sub(headers) / OFFSET_UNIT;
    let step_units = match u16::try_from(units) {
        Ok(0) => return Err(SplitError::Budget),
        Ok(units) => units.min(MAX_OFFSET),
        Err(_) => MAX_OFFSET,
    };
    let last_unit = payload.len().saturating_sub(1) / OFFSET_UNIT;
    if usize::from(header.offset).saturating_add(last_unit) > usize::from(MAX_OFFSET) {
        return Err(SplitError::TooLong);
    }
    Ok(Split(Cut::Pieces(Pieces {
        base: Header {
            kind: fragment_kind,
            ..base
        },
        sealed_header,
        header,
        ethernet,
        payload,
        step_units,
    })))
}

/// The pieces of a datagram in order; see [`split`].
#[derive(Clone, Debug)]
pub struct Split<'a>(Cut<'a>);

#[derive(Clone, Debug)]
enum Cut<'a> {
    Whole(Option<&'a [u8]>),
    Pieces(Pieces<'a>),
}

#[derive(Clone, Debug)]
struct Pieces<'a> {
    base: Header,
    sealed_header: &'a [u8],
    /// Describes the rest: `payload` as it stands.
    header: FragmentHeader,
    ethernet: &'a [u8; ethernet::HEADER_LEN],
    payload: &'a [u8],
    step_units: u16,
}

/// One datagram that [`split`] made, not yet written anywhere.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a>(Source<'a>);

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Whole(&'a [u8]),
    Fragment {
        base: Header,
        sealed_header: &'a [u8],
        fragment: Fragment<'a>,
    },
}

impl<'a> Iterator for Split<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Cut::Whole(datagram) => datagram.take().map(|whole| Piece(Source::Whole(whole))),
            Cut::Pieces(pieces) => pieces.next(),
        }
    }
}

impl<'a> Pieces<'a> {
    fn next(&mut self) -> Option<Piece<'a>> {
        if self.payload.is_empty() {
            return None;
        }
        let step = usize::from(self.step_units).saturating_mul(OFFSET_UNIT);
        let (piece, rest) = self
            .payload
            .split_at_checked(step)
            .unwrap_or((self.payload, &[]));
        let header = FragmentHeader {
            more: self.header.more || !rest.is_empty(),
            ..self.header
        };
        self.payload = rest;
        self.header.offset = self.header.offset.saturating_add(self.step_units);
        Some(Piece(Source::Fragment {
            base: self.base,
            sealed_header: self.sealed_header,
            fragment: Fragment {
                header,
                ethernet: self.ethernet,
                payload: piece,
            },
        }))
    }
}

impl Piece<'_> {
    /// Bytes that [`Self::write_to`] appends.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a piece is never empty")]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Source::Whole(datagram) => datagram.len(),
            Source::Fragment {
                sealed_header,
                fragment,
                ..
            } => overlay::HEADER_LEN
                .saturating_add(sealed_header.len())
                .saturating_add(HEADER_LEN)
                .saturating_add(ethernet::HEADER_LEN)
                .saturating_add(fragment.payload.len()),
        }
    }

    /// Appends the datagram.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.len());
        self.write_parts(|part| out.extend_from_slice(part));
    }

    /// Hands over the datagram in parts, for a buffer that is no `Vec`.
    pub fn write_parts(&self, mut write: impl FnMut(&[u8])) {
        match &self.0 {
            Source::Whole(datagram) => write(datagram),
            Source::Fragment {
                base,
                sealed_header,
                fragment,
            } => {
                write(&base.encode());
                write(sealed_header);
                write(&fragment.header.encode());
                write(fragment.ethernet);
                write(fragment.payload);
            }
        }
    }
}

impl<'a> Fragment<'a> {
    /// Reads what follows the base header of a fragment in clear, or the epoch
    /// and counter of a sealed one.
    ///
    /// # Errors
    /// [`FragmentError`] names the first rule broken.
    pub fn parse(body: &'a [u8]) -> Result<Self, FragmentError> {
        let (header, rest) = FragmentHeader::decode(body)?;
        let (ethernet, payload) = rest.split_first_chunk().ok_or(FragmentError::Truncated)?;
        if payload.is_empty() {
            return Err(FragmentError::Empty);
        }
        if header.more && !payload.len().is_multiple_of(OFFSET_UNIT) {
            return Err(FragmentError::Unaligned);
        }
        Ok(Self {
            header,
            ethernet,
            payload,
        })
    }
}

impl FragmentHeader {
    /// Reads the header and returns it with the bytes that follow.
    ///
    /// # Errors
    /// [`FragmentError::Truncated`] or [`FragmentError::Reserved`].
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), FragmentError> {
        let ([i0, i1, w0, w1], rest) = bytes
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(FragmentError::Truncated)?;
        let word = u16::from_be_bytes([*w0, *w1]);
        if word & RESERVED != 0 {
            return Err(FragmentError::Reserved);
        }
        let header = Self {
            frame_id: u16::from_be_bytes([*i0, *i1]),
            offset: word >> OFFSET_SHIFT,
            more: word & MORE != 0,
            relay_id_space: word & RELAY_ID_SPACE != 0,
        };
        Ok((header, rest))
    }

    /// The header as it goes on the wire. Of `offset` only 11 bits are sent.
    #[must_use]
    pub const fn encode(&self) -> [u8; HEADER_LEN] {
        let mut word = (self.offset & MAX_OFFSET) << OFFSET_SHIFT;
        if self.more {
            word |= MORE;
        }
        if self.relay_id_space {
            word |= RELAY_ID_SPACE;
        }
        let [i0, i1] = self.frame_id.to_be_bytes();
        let [w0, w1] = word.to_be_bytes();
        [i0, i1, w0, w1]
    }

    /// Where the piece begins, in bytes after the Ethernet header.
    #[must_use]
    pub fn byte_offset(&self) -> usize {
        usize::from(self.offset).saturating_mul(OFFSET_UNIT)
    }
}

const OFFSET_SHIFT: u32 = 5;
const MORE: u16 = 0b1_0000;
const RELAY_ID_SPACE: u16 = 0b0_1000;
const RESERVED: u16 = 0b0_0111;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::{FrameCount, Hint};
    use crate::peer::PeerId;
    use proptest::prelude::*;

    fn base(kind: Kind) -> Header {
        Header {
            kind,
            hint: Hint::Bulk,
            source: PeerId::try_from(7).unwrap(),
            flow_tag: 0xBEEF,
            frames: FrameCount::ONE,
        }
    }

    /// A datagram whose frame has `payload_len` payload bytes.
    fn whole(kind: Kind, payload_len: usize) -> Vec<u8> {
        let mut datagram = base(kind).encode().to_vec();
        if kind == Kind::SealedFrame {
            datagram.extend([0xE0; overlay::SEALED_LEN]);
        }
        datagram.extend([0x22; ethernet::HEADER_LEN]);
        datagram.extend((0..payload_len).map(|at| (at * 31 % 251) as u8));
        datagram
    }

    fn pieces(datagram: &[u8], max_len: usize) -> Vec<Vec<u8>> {
        split(datagram, max_len, 0x1234, false)
            .unwrap()
            .map(|piece| {
                let mut out = Vec::new();
                piece.write_to(&mut out);
                assert_eq!(piece.len(), out.len(), "claimed length equals real length");
                out
            })
            .collect()
    }

    fn body(datagram: &[u8]) -> &[u8] {
        let (header, rest) = Header::decode(datagram).unwrap();
        match header.kind {
            Kind::SealedFrame | Kind::SealedFragment => &rest[overlay::SEALED_LEN..],
            Kind::Frame | Kind::Fragment | Kind::Probe => rest,
        }
    }

    /// Puts the payload together again and checks what every receiver relies on.
    fn join(pieces: &[Vec<u8>]) -> Vec<u8> {
        let mut payload = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let fragment = Fragment::parse(body(piece)).unwrap();
            assert_eq!(fragment.header.byte_offset(), payload.len());
            assert_eq!(fragment.header.more, at + 1 < pieces.len());
            assert_eq!(fragment.ethernet, &[0x22; ethernet::HEADER_LEN]);
            payload.extend_from_slice(fragment.payload);
        }
        payload
    }

    fn frame_kind() -> impl Strategy<Value = Kind> {
        prop_oneof![Just(Kind::Frame), Just(Kind::SealedFrame)]
    }

    #[test]
    fn the_layout_is_pinned() {
        let header = FragmentHeader {
            frame_id: 0xABCD,
            offset: 0x0555,
            more: true,
            relay_id_space: true,
        };
        assert_eq!(header.encode(), [0xAB, 0xCD, 0b1010_1010, 0b1011_1000]);
    }

    #[test]
    fn a_datagram_that_fits_is_left_as_it_is() {
        for kind in [Kind::Frame, Kind::SealedFrame] {
            let datagram = whole(kind, 100);
            assert_eq!(pieces(&datagram, datagram.len()), [datagram]);
        }
    }

    #[test]
    fn the_relay_marks_the_frames_that_it_splits_itself() {
        let datagram = whole(Kind::Frame, 300);
        let mut out = Vec::new();
        let mut split = split(&datagram, 200, 5, true).unwrap();
        split.next().unwrap().write_to(&mut out);
        let fragment = Fragment::parse(body(&out)).unwrap();
        assert!(fragment.header.relay_id_space);
        assert_eq!(fragment.header.frame_id, 5);
    }

    #[test]
    fn a_piece_tells_its_frame_and_a_whole_datagram_none() {
        for kind in [Kind::Frame, Kind::SealedFrame] {
            let datagram = whole(kind, 1_400);
            assert_eq!(frame_id(kind, &datagram), None);
            for piece in pieces(&datagram, 800) {
                let (header, _) = Header::decode(&piece).unwrap();
                assert_eq!(frame_id(header.kind, &piece), Some(0x1234));
                assert_eq!(frame_id(header.kind, &piece[..9]), None);
            }
        }
    }

    #[test]
    fn a_fragment_that_the_relay_splits_again_keeps_the_senders_id() {
        let first = pieces(&whole(Kind::Frame, 1_400), 800).remove(0);
        for piece in split(&first, 300, 0x9999, true).unwrap() {
            let mut out = Vec::new();
            piece.write_to(&mut out);
            let fragment = Fragment::parse(body(&out)).unwrap();
            assert_eq!(fragment.header.frame_id, 0x1234);
            assert!(!fragment.header.relay_id_space);
            assert!(fragment.header.more);
        }
    }

    #[test]
    fn what_cannot_be_split_is_refused_with_its_reason() {
        let probe = base(Kind::Probe).encode();
        let runt = &whole(Kind::Frame, 0)[..19];
        let frame = whole(Kind::Frame, 100);
        let too_long = whole(Kind::Frame, 16_385);
        assert_eq!(split(&probe, 100, 0, false).unwrap_err(), SplitError::Probe);
        assert_eq!(split(runt, 100, 0, false).unwrap_err(), SplitError::Runt);
        assert_eq!(split(&frame, 31, 0, false).unwrap_err(), SplitError::Budget);
        assert!(split(&frame, 32, 0, false).is_ok());
        assert_eq!(
            split(&too_long, 9_999, 0, false).unwrap_err(),
            SplitError::TooLong
        );
        assert!(split(&whole(Kind::Frame, 16_384), 9_999, 0, false).is_ok());
    }

    #[test]
    fn a_fragment_is_not_split_beyond_the_last_offset() {
        let fragment = |payload_len: usize| {
            let header = FragmentHeader {
                frame_id: 1,
                offset: MAX_OFFSET - 1,
                more: false,
                relay_id_space: false,
            };
            let mut datagram = base(Kind::Fragment).encode().to_vec();
            datagram.extend(header.encode());
            datagram.extend(vec![0x22; ethernet::HEADER_LEN + payload_len]);
            datagram
        };
        assert_eq!(pieces(&fragment(16), 32).len(), 2);
        assert_eq!(
            split(&fragment(17), 32, 0, false).unwrap_err(),
            SplitError::TooLong
        );
    }

    #[test]
    fn a_fragment_that_breaks_a_rule_is_refused() {
        let header = FragmentHeader {
            frame_id: 1,
            offset: 0,
            more: true,
            relay_id_space: false,
        };
        let with_payload = |len: usize| [&header.encode()[..], &vec![0; 14 + len]].concat();
        assert!(Fragment::parse(&with_payload(16)).is_ok());
        assert_eq!(
            Fragment::parse(&with_payload(15)),
            Err(FragmentError::Unaligned)
        );
        assert_eq!(Fragment::parse(&with_payload(0)), Err(FragmentError::Empty));
        assert_eq!(
            Fragment::parse(&with_payload(16)[..17]),
            Err(FragmentError::Truncated)
        );
        let mut reserved = with_payload(16);
        reserved[3] |= 1;
        assert_eq!(Fragment::parse(&reserved), Err(FragmentError::Reserved));
    }

    proptest! {
        #[test]
        fn every_header_decodes_to_what_was_encoded(
            frame_id: u16, offset in 0..=MAX_OFFSET, more: bool, relay_id_space: bool,
        ) {
            let header = FragmentHeader { frame_id, offset, more, relay_id_space };
            let bytes = header.encode();
            prop_assert_eq!(FragmentHeader::decode(&bytes), Ok((header, &[][..])));
        }

        #[test]
        fn pieces_fit_the_limit_and_join_to_the_original(
            kind in frame_kind(), payload_len in 1_usize..3_000, max_len in 38_usize..1_600,
        ) {
            let datagram = whole(kind, payload_len);
            prop_assume!(datagram.len() > max_len);
            let pieces = pieces(&datagram, max_len);
            for piece in &pieces {
                prop_assert!(piece.len() <= max_len);
            }
            prop_assert_eq!(join(&pieces), &body(&datagram)[ethernet::HEADER_LEN..]);
        }

        #[test]
        fn splitting_the_pieces_again_joins_to_the_original(
            kind in frame_kind(), payload_len in 1_usize..3_000,
            first in 38_usize..1_600, second in 38_usize..1_600,
        ) {
            let datagram = whole(kind, payload_len);
            prop_assume!(datagram.len() > first);
            let pieces: Vec<_> = pieces(&datagram, first)
                .iter()
                .flat_map(|piece| pieces(piece, second))
                .collect();
            for piece in &pieces {
                prop_assert!(piece.len() <= second);
            }
            prop_assert_eq!(join(&pieces), &body(&datagram)[ethernet::HEADER_LEN..]);
        }

        #[test]
        fn mutated_datagrams_split_into_valid_pieces_or_not_at_all(
            kind in frame_kind(), payload_len in 0_usize..200, max_len in 0_usize..120,
            cut in any::<prop::sample::Index>(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        ) {
            let mut datagram = whole(kind, payload_len);
            for (at, value) in changes {
                let at = at.index(datagram.len());
                datagram[at] = value;
            }
            datagram.truncate(cut.index(datagram.len() + 1));
            if let Ok(split) = split(&datagram, max_len, 1, true) {
                for piece in split {
                    prop_assert!(piece.len() <= max_len);
                    let mut out = Vec::new();
                    piece.write_to(&mut out);
                    prop_assert_eq!(piece.len(), out.len());
                    prop_assert!(Header::decode(&out).is_ok());
                }
            }
        }
    }
}
