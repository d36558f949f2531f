//! Receive buffers whose datagrams are handed on without a copy.
//!
//! The kernel writes up to 64 KB of datagrams into a slot; the bytes are split
//! off and live as long as somebody holds a slice of them. A slot's slab is
//! used again once nobody does. A lone datagram is copied: nobody may keep a
//! slab alive by a few bytes that QUIC has to hold back, and under load, where
//! a copy would cost, datagrams do not come alone.

use std::collections::VecDeque;
use std::io::IoSliceMut;

use bytes::BytesMut;

/// Messages taken by one receive call. With GRO each may hold 64 datagrams.
pub(crate) const SLOTS: usize = 16;
/// The largest UDP payload, hence the largest GRO batch.
const SLOT_LEN: usize = 65_535;
/// A slab serves two full batches, or many small ones, before it is replaced.
/// A longer one would be out of the cache when its turn comes again.
const SLAB_LEN: usize = 2 * 65_536;
/// The longest ordinary datagram, and no more than a cache holds anyway.
const COPY_BELOW: usize = 2_048;
/// Used-up slabs that wait for their readers to finish.
const RETIRED: usize = 2 * SLOTS;
/// Of those, looked at for each slab that is needed: more than one turn uses
/// up, whose readers cannot be done yet.
const LOOKS: usize = 4;

pub(crate) struct Chunks {
    slots: [BytesMut; SLOTS],
    retired: VecDeque<BytesMut>,
}

/// Datagrams of equal length from one sender.
pub(crate) struct Chunk {
    rest: BytesMut,
    stride: usize,
}

impl Chunks {
    pub(crate) fn new() -> Self {
        Self {
            slots: std::array::from_fn(|_| BytesMut::zeroed(SLAB_LEN)),
            retired: VecDeque::with_capacity(RETIRED),
        }
    }

    pub(crate) fn slots(&mut self) -> [IoSliceMut<'_>; SLOTS] {
        let mut slots = self.slots.iter_mut();
        std::array::from_fn(|_| {
            let slot = slots
                .next()
                .map_or(&mut [][..], |slot| &mut slot[..SLOT_LEN]);
            IoSliceMut::new(slot)
        })
    }

    /// The `len` bytes that a receive wrote into slot `at`.
    pub(crate) fn take(&mut self, at: usize, len: usize, stride: usize) -> Chunk {
        let rest = match self.slots.get_mut(at) {
            Some(slot) if len < COPY_BELOW => BytesMut::from(&slot[..len]),
            Some(slot) => {
                let taken = slot.split_to(len.min(slot.len()));
                if slot.len() < SLOT_LEN {
                    let used = std::mem::replace(slot, fresh(&mut self.retired));
                    if self.retired.len() < RETIRED {
                        self.retired.push_back(used);
                    }
                }
                taken
            }
            None => BytesMut::new(),
        };
        Chunk { rest, stride }
    }
}

/// A whole slab: the retired one whose readers were done last, because the
/// cache still has it.
fn fresh(retired: &mut VecDeque<BytesMut>) -> BytesMut {
    for _ in 0..LOOKS {
        let Some(mut slab) = retired.pop_back() else {
            break;
        };
        slab.clear();
        if slab.try_reclaim(SLAB_LEN) {
            slab.resize(SLAB_LEN, 0);
            return slab;
        }
        // Its readers are slow: the others first from now on.
        retired.push_front(slab);
    }
    if retired.len() == RETIRED {
        retired.pop_front();
    }
    BytesMut::zeroed(SLAB_LEN)
}

impl Iterator for Chunk {
    type Item = BytesMut;

    fn next(&mut self) -> Option<BytesMut> {
        if self.rest.is_empty() {
            return None;
        }
        let len = self.stride.clamp(1, self.rest.len());
        Some(self.rest.split_to(len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(
        chunks: &mut Chunks,
        at: usize,
        fill: u8,
        len: usize,
        stride: usize,
    ) -> Vec<BytesMut> {
        chunks.slots()[at][..len].fill(fill);
        chunks.take(at, len, stride).collect()
    }

    #[test]
    fn a_batch_splits_at_its_stride_with_a_short_last_datagram() {
        let mut chunks = Chunks::new();
        let lens: Vec<usize> = receive(&mut chunks, 3, 7, 2_500, 1_000)
            .iter()
            .map(BytesMut::len)
            .collect();
        assert_eq!(lens, [1_000, 1_000, 500]);
    }

    #[test]
    fn datagrams_keep_their_bytes_while_slots_are_used_again() {
        let mut chunks = Chunks::new();
        let mut kept = Vec::new();
        for round in 0..200_u8 {
            let datagrams = receive(&mut chunks, 0, round, 60_000, 1_200);
            kept.push((round, datagrams[usize::from(round) % 50].clone()));
        }
        for (round, datagram) in kept {
            assert!(datagram.iter().all(|&byte| byte == round));
        }
    }

    #[test]
    fn a_lone_datagram_keeps_nothing_but_itself() {
        let mut chunks = Chunks::new();
        let slab = chunks.slots[0].as_ptr();
        let datagram = receive(&mut chunks, 0, 9, 1_472, 1_472);
        assert!(datagram[0].iter().all(|&byte| byte == 9));
        assert_eq!(datagram[0].capacity(), 1_472);
        assert_eq!(chunks.slots[0].as_ptr(), slab);
    }

    #[test]
    fn every_slot_always_has_room_for_the_largest_batch() {
        let mut chunks = Chunks::new();
        for _ in 0..50 {
            receive(&mut chunks, 1, 1, SLOT_LEN, 1_472);
            receive(&mut chunks, 2, 1, 1, 1);
            assert!(chunks.slots().iter().all(|slot| slot.len() == SLOT_LEN));
        }
    }
}
