//! The 6-byte base header that opens every overlay datagram.
//!
//! ```text
//!  0               1               2               3
//!  +-------+-------+---------------+-------------------------------+
//!  |version| kind  |frames - 1 |hnt|        source peer id         |
//!  +-------+-------+-----------+---+-------------------------------+
//!  |           flow tag            |
//!  +-------------------------------+
//! ```
//!
//! All integers are big-endian. The room is the connection's and takes no bytes.
//! More than one frame in a datagram is a [bundle](crate::bundle).

use crate::peer::PeerId;

/// Version of the overlay layout that this crate reads and writes.
pub const VERSION: u8 = 1;
/// Bytes of the base header.
pub const HEADER_LEN: usize = 6;
/// Bytes of the key epoch and counter that follow the base header of a sealed kind.
pub const SEALED_LEN: usize = 6;
/// Bytes of the authentication tag at the end of a sealed payload.
pub const TAG_LEN: usize = 16;

/// What follows the base header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Whole Ethernet frames in clear, mostly one.
    Frame = 1,
    /// A fragment header and a piece of what would be a [`Kind::Frame`].
    Fragment = 2,
    /// Whole Ethernet frames, mostly one, with a sealed payload.
    SealedFrame = 3,
    /// A piece of what would be a [`Kind::SealedFrame`].
    SealedFragment = 4,
    /// A round-trip probe or its reply.
    Probe = 5,
}

/// How the sender classes the flow; the relay may use it to schedule but
/// never to favour one source over another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Hint {
    #[default]
    Normal = 0,
    /// Few, small, latency-sensitive packets: game state, ARP, DHCP.
    Sparse = 1,
    /// Full-size packets in a row: a file copy.
    Bulk = 2,
}

/// A decoded base header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: Kind,
    pub hint: Hint,
    pub source: PeerId,
    /// Groups the packets of one flow without telling which flow it is.
    pub flow_tag: u16,
    /// What it carries, or the datagram had that it is a fragment of.
    pub frames: FrameCount,
}

/// How many frames travel together, 1 to [`FrameCount::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameCount(u8);

impl FrameCount {
    pub const ONE: Self = Self(1);
    /// As many as the header's six bits can say.
    pub const MAX: Self = Self(64);

    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// One frame more, where so many may travel together.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let more = Self(self.0.saturating_add(1));
        (more <= Self::MAX).then_some(more)
    }

    const fn from_flags(flags: u8) -> Self {
        Self((flags >> HINT_BITS).saturating_add(1))
    }

    const fn to_flags(self) -> u8 {
        self.0.saturating_sub(1) << HINT_BITS
    }
}

/// Why bytes are not an overlay datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("datagram is shorter than the overlay header")]
    Truncated,
    #[error("unknown overlay version")]
    Version,
    #[error("unknown overlay kind")]
    Kind,
    #[error("unknown scheduling hint")]
    Hint,
    #[error("a probe is not a frame, and never travels with others")]
    Probes,
    #[error("reserved source peer id")]
    Source,
}

const HINT_BITS: u32 = 2;
const HINT_MASK: u8 = 0b0000_0011;

impl Header {
    /// Reads the base header and returns it with the bytes that follow.
    ///
    /// # Errors
    /// [`HeaderError`] names the first field that cannot be accepted.
    pub fn decode(datagram: &[u8]) -> Result<(Self, &[u8]), HeaderError> {
        let ([first, flags, s0, s1, t0, t1], rest) = datagram
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(HeaderError::Truncated)?;
        if first >> 4 != VERSION {
            return Err(HeaderError::Version);
        }
        let kind = Kind::from_bits(first & 0x0F).ok_or(HeaderError::Kind)?;
        let frames = FrameCount::from_flags(*flags);
        if kind == Kind::Probe && frames != FrameCount::ONE {
            return Err(HeaderError::Probes);
        }
        let header = Self {
            kind,
            hint: Hint::from_bits(flags & HINT_MASK).ok_or(HeaderError::Hint)?,
            source: PeerId::try_from(u16::from_be_bytes([*s0, *s1]))
                .map_err(|_| HeaderError::Source)?,
            flow_tag: u16::from_be_bytes([*t0, *t1]),
            frames,
        };
        Ok((header, rest))
    }

    /// The header as it goes on the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let [s0, s1] = self.source.get().to_be_bytes();
        let [t0, t1] = self.flow_tag.to_be_bytes();
        [
            (VERSION << 4) | self.kind.bits(),
            self.frames.to_flags() | self.hint.bits(),
            s0,
            s1,
            t0,
            t1,
        ]
    }
}

impl Kind {
    const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            1 => Some(Self::Frame),
            2 => Some(Self::Fragment),
            3 => Some(Self::SealedFrame),
            4 => Some(Self::SealedFragment),
            5 => Some(Self::Probe),
            _ => None,
        }
    }

    #[expect(clippy::as_conversions, reason = "reads the declared discriminant")]
    const fn bits(self) -> u8 {
        self as u8
    }
}

impl Hint {
    const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::Normal),
            1 => Some(Self::Sparse),
            2 => Some(Self::Bulk),
            _ => None,
        }
    }

    #[expect(clippy::as_conversions, reason = "reads the declared discriminant")]
    const fn bits(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KINDS: [Kind; 5] = [
        Kind::Frame,
        Kind::Fragment,
        Kind::SealedFrame,
        Kind::SealedFragment,
        Kind::Probe,
    ];
    const HINTS: [Hint; 3] = [Hint::Normal, Hint::Sparse, Hint::Bulk];

    #[test]
    fn the_layout_is_pinned() {
        let header = Header {
            kind: Kind::SealedFrame,
            hint: Hint::Bulk,
            source: PeerId::try_from(0x0102).unwrap(),
            flow_tag: 0x0304,
            frames: FrameCount::ONE,
        };
        assert_eq!(header.encode(), [0x13, 0x02, 1, 2, 3, 4]);
        let frames = FrameCount::ONE.next().unwrap();
        let bundle = Header { frames, ..header };
        assert_eq!(bundle.encode(), [0x13, 0x06, 1, 2, 3, 4]);
    }

    #[test]
    fn each_field_that_cannot_be_accepted_is_named() {
        let decode = |bytes: &[u8]| Header::decode(bytes).map(|(header, _)| header.kind);
        assert_eq!(decode(&[0x11, 0, 0, 1, 0, 0]), Ok(Kind::Frame));
        assert_eq!(decode(&[0x11, 0, 0, 1, 0]), Err(HeaderError::Truncated));
        assert_eq!(decode(&[0x21, 0, 0, 1, 0, 0]), Err(HeaderError::Version));
        assert_eq!(decode(&[0x10, 0, 0, 1, 0, 0]), Err(HeaderError::Kind));
        assert_eq!(decode(&[0x16, 0, 0, 1, 0, 0]), Err(HeaderError::Kind));
        assert_eq!(decode(&[0x11, 3, 0, 1, 0, 0]), Err(HeaderError::Hint));
        assert_eq!(decode(&[0x15, 4, 0, 1, 0, 0]), Err(HeaderError::Probes));
        assert_eq!(decode(&[0x11, 0, 0, 0, 0, 0]), Err(HeaderError::Source));
        assert_eq!(
            decode(&[0x11, 0, 0xFF, 0xFF, 0, 0]),
            Err(HeaderError::Source)
        );
    }

    proptest! {
        #[test]
        fn every_header_decodes_to_what_was_encoded(
            kind in prop::sample::select(&KINDS), hint in prop::sample::select(&HINTS),
            source in 1..u16::MAX, flow_tag: u16, frames in 1..=FrameCount::MAX.0, rest: [u8; 5],
        ) {
            let source = PeerId::try_from(source).unwrap();
            let frames = if kind == Kind::Probe { FrameCount::ONE } else { FrameCount(frames) };
            let header = Header { kind, hint, source, flow_tag, frames };
            let datagram = [&header.encode()[..], &rest].concat();
            prop_assert_eq!(Header::decode(&datagram), Ok((header, &rest[..])));
        }

        #[test]
        fn what_is_decoded_encodes_to_the_same_bytes(
            first in 0x10_u8..0x17, flags: u8, ids: [u8; 4],
        ) {
            let [s0, s1, t0, t1] = ids;
            let bytes = [first, flags, s0, s1, t0, t1];
            if let Ok((header, _)) = Header::decode(&bytes) {
                prop_assert_eq!(header.encode(), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            if let Ok((header, rest)) = Header::decode(&bytes) {
                prop_assert_eq!(&header.encode()[..], &bytes[..HEADER_LEN]);
                prop_assert_eq!(rest, &bytes[HEADER_LEN..]);
            }
        }
    }
}
