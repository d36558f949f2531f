//! Timing datagrams, by which the two ends of one connection measure how long
//! packets wait on the way in each direction.
//!
//! ```text
//!  0               1               2               3
//!  +-------+-------+---------------+-------------------------------+
//!  |version|   6   |     flags     |          mark us ...          |
//!  +-------+-------+---------------+-------------------------------+
//!  |          ... mark us          |         echoed us ...         |
//!  +-------------------------------+-------------------------------+
//!  |         ... echoed us         |        arrived us ...         |
//!  +-------------------------------+-------------------------------+
//!  |        ... arrived us         |
//!  +-------------------------------+
//! ```
//!
//! They belong to the connection and are no frames of a room: there is no base
//! header, and they go no further. Mark and echo are there where their flag is
//! set.

use crate::overlay::VERSION;

/// The kind of the datagram, beside those of [`overlay::Kind`](crate::overlay::Kind).
pub const KIND: u8 = 6;
/// First byte of every timing datagram and of no other.
pub const FIRST_BYTE: u8 = (VERSION << 4) | KIND;
/// Bytes of one that carries a mark and an echo.
pub const MAX_LEN: usize = 14;

const HAS_MARK: u8 = 0b01;
const HAS_ECHO: u8 = 0b10;
const FLAGS_END: usize = 2;
const MARK_END: usize = 6;
const LONE_ECHO_END: usize = 10;

/// What one timing datagram says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// The sender's clock when it sent this, in microseconds modulo 2^32.
    Mark(u32),
    Echo(Echo),
    Both(u32, Echo),
}

/// The answer to a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// The mark as it was.
    pub mark: u32,
    /// The receiver's clock when the mark arrived, in microseconds modulo
    /// 2^32. It shares no beginning with the other side's clock.
    pub arrived: u32,
}

/// Why bytes that begin like a timing datagram are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    #[error("not a timing datagram")]
    Kind,
    #[error("reserved timing flags are set, or none")]
    Flags,
    #[error("a timing datagram of another length than its flags say")]
    Length,
}

/// True where the datagram is one of this module's, well-formed or not.
#[must_use]
pub fn is_timing(datagram: &[u8]) -> bool {
    datagram.first() == Some(&FIRST_BYTE)
}

impl Timing {
    /// # Errors
    /// [`TimingError`] names the first rule broken.
    pub fn decode(datagram: &[u8]) -> Result<Self, TimingError> {
        let Some((&[FIRST_BYTE], rest)) = datagram.split_first_chunk() else {
            return Err(TimingError::Kind);
        };
        let (&[flags], rest) = rest.split_first_chunk().ok_or(TimingError::Length)?;
        match flags {
            HAS_MARK => numbers(rest).map(|[mark]| Self::Mark(mark)),
            HAS_ECHO => numbers(rest).map(|[mark, arrived]| Self::Echo(Echo { mark, arrived })),
            _ if flags == HAS_MARK | HAS_ECHO => {
                numbers(rest).map(|[own, mark, arrived]| Self::Both(own, Echo { mark, arrived }))
            }
            _ => Err(TimingError::Flags),
        }
    }

    /// The datagram: this many of these bytes.
    #[must_use]
    pub fn encode(&self) -> ([u8; MAX_LEN], usize) {
        let (flags, numbers, len) = match *self {
            Self::Mark(mark) => (HAS_MARK, [mark, 0, 0], MARK_END),
            Self::Echo(echo) => (HAS_ECHO, [echo.mark, echo.arrived, 0], LONE_ECHO_END),
            Self::Both(mark, echo) => (
                HAS_MARK | HAS_ECHO,
                [mark, echo.mark, echo.arrived],
                MAX_LEN,
            ),
        };
        let mut bytes = [0; MAX_LEN];
        let (head, body) = bytes.split_at_mut(FLAGS_END);
        head.copy_from_slice(&[FIRST_BYTE, flags]);
        for (place, number) in body.chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        (bytes, len)
    }

    #[must_use]
    pub const fn mark(&self) -> Option<u32> {
        match *self {
            Self::Mark(mark) | Self::Both(mark, _) => Some(mark),
            Self::Echo(_) => None,
        }
    }

    #[must_use]
    pub const fn echo(&self) -> Option<Echo> {
        match *self {
            Self::Echo(echo) | Self::Both(_, echo) => Some(echo),
            Self::Mark(_) => None,
        }
    }
}

/// As many numbers as the bytes hold, and no byte more.
fn numbers<const N: usize>(bytes: &[u8]) -> Result<[u32; N], TimingError> {
    let (chunks, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(TimingError::Length);
    }
    <&[[u8; 4]; N]>::try_from(chunks)
        .map(|chunks| chunks.map(u32::from_be_bytes))
        .map_err(|_| TimingError::Length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn timing() -> impl Strategy<Value = Timing> {
        let echo =
            || (any::<u32>(), any::<u32>()).prop_map(|(mark, arrived)| Echo { mark, arrived });
        prop_oneof![
            any::<u32>().prop_map(Timing::Mark),
            echo().prop_map(Timing::Echo),
            (any::<u32>(), echo()).prop_map(|(mark, echo)| Timing::Both(mark, echo)),
        ]
    }

    fn encoded(timing: Timing) -> Vec<u8> {
        let (bytes, len) = timing.encode();
        bytes[..len].to_vec()
    }

    #[test]
    fn the_layout_is_pinned() {
        let echo = Echo {
            mark: 0x0506_0708,
            arrived: 0x090A_0B0C,
        };
        assert_eq!(encoded(Timing::Mark(0x0102_0304)), [0x16, 1, 1, 2, 3, 4]);
        assert_eq!(
            encoded(Timing::Echo(echo)),
            [0x16, 2, 5, 6, 7, 8, 9, 10, 11, 12]
        );
        assert_eq!(
            encoded(Timing::Both(0x0102_0304, echo)),
            [0x16, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
        );
    }

    #[test]
    fn no_kind_of_the_overlay_begins_like_it() {
        let datagram = encoded(Timing::Mark(0));
        assert!(is_timing(&datagram));
        assert_eq!(
            crate::overlay::Header::decode(&datagram),
            Err(crate::overlay::HeaderError::Kind)
        );
        assert!(!is_timing(&[]));
        assert!(!is_timing(&[0x15]));
    }

    #[test]
    fn each_rule_that_is_broken_is_named() {
        let valid = encoded(Timing::Mark(7));
        assert_eq!(Timing::decode(&valid[..5]), Err(TimingError::Length));
        assert_eq!(Timing::decode(&valid[..1]), Err(TimingError::Length));
        assert_eq!(Timing::decode(&[]), Err(TimingError::Kind));
        assert_eq!(
            Timing::decode(&[0x15, 1, 0, 0, 0, 0]),
            Err(TimingError::Kind)
        );
        for flags in [0, 4, 5, 0xFF] {
            let datagram = [0x16, flags, 0, 0, 0, 0];
            assert_eq!(Timing::decode(&datagram), Err(TimingError::Flags));
        }
        let longer = [&valid[..], &[0]].concat();
        assert_eq!(Timing::decode(&longer), Err(TimingError::Length));
        let longer = [&valid[..], &[0; 4]].concat();
        assert_eq!(Timing::decode(&longer), Err(TimingError::Length));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(timing in timing()) {
            prop_assert_eq!(Timing::decode(&encoded(timing)), Ok(timing));
        }

        #[test]
        fn what_is_decoded_encodes_to_the_same_bytes(
            flags in 0_u8..5, rest in prop::collection::vec(any::<u8>(), 0..14),
        ) {
            let bytes = [&[FIRST_BYTE, flags][..], &rest].concat();
            if let Ok(timing) = Timing::decode(&bytes) {
                prop_assert_eq!(encoded(timing), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = Timing::decode(&bytes);
        }
    }
}
