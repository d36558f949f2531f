//! Bytes of a stream that came before those in front of them.
//!
//! quinn would keep each piece as a slice of the buffer that the kernel wrote
//! into, which a few bytes keep alive as a whole. Here they are copied, and
//! bounded in number and in bytes: whoever leaves more gaps than a lossy line
//! does loses its connection.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

/// Pieces with gaps between them. A line that loses every other packet of a
/// whole window leaves fewer than 30.
const MAX_PIECES: usize = 128;

#[derive(Debug)]
pub(crate) struct Scattered {
    /// Where the bytes that were handed on end.
    next: u64,
    pieces: BTreeMap<u64, BytesMut>,
    bytes: usize,
    limit: usize,
}

/// More pieces or bytes than may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooScattered;

impl Scattered {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            next: 0,
            pieces: BTreeMap::new(),
            bytes: 0,
            limit,
        }
    }

    /// Takes bytes that were not there before, and hands on what is in order.
    pub(crate) fn insert(
        &mut self,
        offset: u64,
        bytes: Bytes,
        mut each: impl FnMut(Bytes),
    ) -> Result<(), TooScattered> {
        if offset != self.next {
            return self.keep(offset, &bytes);
        }
        self.next += bytes.len() as u64;
        each(bytes);
        while let Some(piece) = self.pieces.remove(&self.next) {
            self.bytes -= piece.len();
            self.next += piece.len() as u64;
            each(piece.freeze());
        }
        Ok(())
    }

    fn keep(&mut self, offset: u64, bytes: &Bytes) -> Result<(), TooScattered> {
        self.bytes += bytes.len();
        match self.pieces.range_mut(..offset).next_back() {
            Some((&begin, piece)) if begin + piece.len() as u64 == offset => {
                piece.extend_from_slice(bytes);
            }
            Some(_) | None => {
                self.pieces.insert(offset, BytesMut::from(&bytes[..]));
            }
        }
        if self.pieces.len() > MAX_PIECES || self.bytes > self.limit {
            return Err(TooScattered);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_in_any_order_come_out_as_they_were_written(
            lens in prop::collection::vec(1_usize..50, 1..60),
            order in any::<prop::sample::Index>(),
            seed in any::<u64>(),
        ) {
            let mut pieces = Vec::new();
            let mut whole = Vec::new();
            for len in lens {
                let piece: Vec<u8> = (0..len).map(|at| (whole.len() + at) as u8).collect();
                pieces.push((whole.len() as u64, Bytes::from(piece.clone())));
                whole.extend(piece);
            }
            let mut state = seed | 1;
            for at in (1..pieces.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                pieces.swap(at, (state >> 33) as usize % (at + 1));
            }
            let mut scattered = Scattered::new(10_000);
            let mut out = Vec::new();
            let cut = order.index(pieces.len());
            for (number, (offset, bytes)) in pieces.into_iter().enumerate() {
                scattered.insert(offset, bytes, |bytes| out.extend_from_slice(&bytes)).unwrap();
                if number == cut {
                    prop_assert!(whole.starts_with(&out));
                }
            }
            prop_assert_eq!(out, whole);
            prop_assert_eq!((scattered.bytes, scattered.pieces.len()), (0, 0));
        }
    }

    #[test]
    fn what_waits_is_a_copy_and_bounded_in_bytes_and_pieces() {
        let nothing = |_| panic!("nothing is in order");
        let mut scattered = Scattered::new(1_000);
        let buffer = Bytes::from(vec![0; 100_000]);
        scattered.insert(5, buffer.slice(..1), nothing).unwrap();
        assert!(buffer.is_unique());
        scattered.insert(6, buffer.slice(..999), nothing).unwrap();
        assert_eq!(scattered.pieces.len(), 1);
        let more = scattered.insert(2_000, buffer.slice(..1), nothing);
        assert_eq!(more, Err(TooScattered));

        let mut scattered = Scattered::new(1_000);
        let gaps = (1..).find(|&n| {
            let piece = scattered.insert(2 * n, buffer.slice(..1), nothing);
            piece.is_err()
        });
        assert_eq!(gaps, Some(MAX_PIECES as u64 + 1));
    }
}
