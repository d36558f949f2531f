//! Frames of one flow that came together, written into one datagram.
//!
//! A frame that stays alone travels as it is; what a bundle has and it has not
//! is the length before its payload. So the first frame is written behind a
//! gap of that length, which its Ethernet header moves over when a second one
//! comes.

use bytes::{Buf as _, Bytes, BytesMut};
use lanparty_l2::Spread;
use lanparty_proto::MacAddr;
use lanparty_proto::bundle::LENGTH_LEN;
use lanparty_proto::ethernet::HEADER_LEN as ETHERNET_LEN;
use lanparty_proto::fragment::Piece;
use lanparty_proto::overlay::{self, FrameCount, Header, Kind, SEALED_LEN, TAG_LEN};

/// Datagrams are cut from buffers of this size, so that a frame costs one copy
/// and about one allocation in fifty.
const BUFFER_LEN: usize = 64 * 1_024;

/// What waits, and the buffer in which it and everything else is written.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    waiting: Option<Gathered>,
    buffer: BytesMut,
}

/// What one datagram was made of.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) header: Header,
    spread: Spread,
    pub(crate) destination: MacAddr,
    /// Of its frames, as they were.
    pub(crate) bytes: u64,
}

impl Gathering {
    /// Adds a frame to those that wait. False where it is not of their flow or
    /// budget, or the datagram would become longer than `max_len`.
    pub(crate) fn add(
        &mut self,
        header: Header,
        spread: Spread,
        ethernet: &[u8; ETHERNET_LEN],
        payload: &[u8],
        max_len: usize,
    ) -> bool {
        if !self.has_room(payload.len(), max_len) {
            return false;
        }
        let Some(waiting) = &mut self.waiting else {
            return false;
        };
        let flow = Header {
            frames: FrameCount::ONE,
            ..waiting.header
        };
        if (flow, waiting.spread) != (header, spread) {
            return false;
        }
        let Some(frames) = waiting.header.frames.next() else {
            return false;
        };
        let is_second = waiting.header.frames == FrameCount::ONE;
        let start = head_len(header.kind);
        let end = start + ETHERNET_LEN + if is_second { LENGTH_LEN } else { 0 };
        let first_payload = self.buffer.len().saturating_sub(end);
        let Some(head) = self.buffer.get_mut(start..end) else {
            return false;
        };
        if !head.ends_with(ethernet) {
            return false;
        }
        if is_second {
            let (place, after) = head.split_at_mut(ETHERNET_LEN);
            place.copy_from_slice(ethernet);
            after.copy_from_slice(&length(first_payload));
        }
        waiting.header.frames = frames;
        waiting.bytes += frame_len(payload);
        self.reserve(LENGTH_LEN + payload.len() + TAG_LEN);
        self.buffer.extend_from_slice(&length(payload.len()));
        self.buffer.extend_from_slice(payload);
        true
    }

    /// Writes the first frame of a datagram. Nothing may wait.
    pub(crate) fn begin(
        &mut self,
        header: Header,
        spread: Spread,
        ethernet: &[u8; ETHERNET_LEN],
        payload: &[u8],
    ) {
        let head = head_len(header.kind) + LENGTH_LEN;
        self.reserve(head + ETHERNET_LEN + payload.len() + TAG_LEN);
        self.buffer.resize(head, 0);
        self.buffer.extend_from_slice(ethernet);
        self.buffer.extend_from_slice(payload);
        let [destination @ .., _, _, _, _, _, _, _, _] = *ethernet;
        self.waiting = Some(Gathered {
            header,
            spread,
            destination: MacAddr(destination),
            bytes: frame_len(payload),
        });
    }

    /// Whether a frame with such a payload would fit beside those that wait.
    pub(crate) fn has_room(&self, payload_len: usize, max_len: usize) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| {
            let tag_len = if is_sealed(waiting.header.kind) {
                TAG_LEN
            } else {
                0
            };
            self.buffer.len() + LENGTH_LEN + payload_len + tag_len <= max_len
        })
    }

    /// Forgets what waits.
    pub(crate) fn clear(&mut self) {
        self.waiting = None;
        self.buffer.clear();
    }

    /// The datagram, with room for what a seal adds in a sealed kind.
    pub(crate) fn take(&mut self) -> Option<(Gathered, BytesMut)> {
        let gathered = self.waiting.take()?;
        if is_sealed(gathered.header.kind) {
            self.buffer.extend_from_slice(&[0; TAG_LEN]);
        }
        let mut datagram = self.buffer.split();
        if gathered.header.frames == FrameCount::ONE {
            datagram.advance(LENGTH_LEN);
        }
        if let Some(place) = datagram.first_chunk_mut() {
            *place = gathered.header.encode();
        }
        Some((gathered, datagram))
    }

    /// A piece of what was taken.
    pub(crate) fn write(&mut self, piece: &Piece<'_>) -> Bytes {
        self.reserve(piece.len());
        piece.write_parts(|part| self.buffer.extend_from_slice(part));
        self.buffer.split().freeze()
    }

    fn reserve(&mut self, more: usize) {
        if self.buffer.capacity() - self.buffer.len() < more {
            self.buffer.reserve(BUFFER_LEN.max(more));
        }
    }
}

/// Bytes before the Ethernet header.
const fn head_len(kind: Kind) -> usize {
    if is_sealed(kind) {
        overlay::HEADER_LEN + SEALED_LEN
    } else {
        overlay::HEADER_LEN
    }
}

const fn is_sealed(kind: Kind) -> bool {
    matches!(kind, Kind::SealedFrame | Kind::SealedFragment)
}

const fn frame_len(payload: &[u8]) -> u64 {
    (ETHERNET_LEN + payload.len()) as u64
}

/// Frames are far shorter than 64 KB.
fn length(payload: usize) -> [u8; LENGTH_LEN] {
    u16::try_from(payload).unwrap_or(u16::MAX).to_be_bytes()
}
