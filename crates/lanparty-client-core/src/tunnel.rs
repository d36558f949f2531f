//! From frames to overlay datagrams, and what both directions count.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use lanparty_ctrl::timers::REASSEMBLY_TIMEOUT;
use lanparty_obs::DropReason;
use lanparty_obs::drops::DropCounts;
use lanparty_obs::stats::TunnelCounters;
use lanparty_proto::PeerId;
use lanparty_proto::ethernet::EthernetHeader;
use lanparty_proto::fragment::{self, SplitError};
use lanparty_proto::overlay::{self, Header, Kind};
use lanparty_queue::FlowKey;
use lanparty_seal::Keyring;

use crate::flows::Flow;
use crate::reassembly::{self, Reassembler};

const _: () = assert!(REASSEMBLY_TIMEOUT.as_nanos() == reassembly::TIMEOUT.as_nanos());

/// What sealing adds to a frame.
pub(crate) const SEAL_LEN: usize = overlay::SEALED_LEN + overlay::TAG_LEN;

/// Datagrams are cut from buffers of this size, so that a frame costs one copy
/// and about one allocation in fifty.
const BUFFER_LEN: usize = 64 * 1_024;

/// One member's end of the overlay.
#[derive(Debug, Default)]
pub(crate) struct Tunnel {
    pub(crate) counters: TunnelCounters,
    pub(crate) drops: DropCounts,
    pub(crate) reassembler: Reassembler,
    next_frame_id: u16,
    buffer: BytesMut,
}

impl Tunnel {
    /// Sends one frame in one datagram of at most `max_datagram` bytes, or in
    /// as many as it takes.
    pub(crate) fn send(
        &mut self,
        frame: &[u8],
        source: PeerId,
        flow: Flow,
        keys: Option<&mut Keyring>,
        (max_datagram, now): (usize, Instant),
        sink: &mut impl FnMut(FlowKey, Bytes),
    ) -> Result<(), DropReason> {
        let header = Header {
            kind: match keys {
                Some(_) => Kind::SealedFrame,
                None => Kind::Frame,
            },
            hint: flow.hint,
            source,
            flow_tag: flow.tag,
        };
        let key = FlowKey {
            source: source.get(),
            tag: flow.tag,
            hint: flow.hint,
            part_of: None,
        };
        let room = overlay::HEADER_LEN + SEAL_LEN + frame.len();
        reserve(&mut self.buffer, room);
        self.buffer.extend_from_slice(&header.encode());
        match keys {
            Some(keys) => self.seal(frame, source, keys, now)?,
            None => self.buffer.extend_from_slice(frame),
        }
        let datagram = self.buffer.split().freeze();
        if datagram.len() <= max_datagram {
            self.counters.datagrams_out += 1;
            sink(key, datagram);
        } else {
            let frame_id = self.next_frame_id;
            self.next_frame_id = frame_id.wrapping_add(1) & OWN_FRAME_IDS;
            let key = FlowKey {
                part_of: Some(frame_id),
                ..key
            };
            let pieces = fragment::split(&datagram, max_datagram, frame_id, false)
                .map_err(reason_of_split)?;
            for piece in pieces {
                reserve(&mut self.buffer, piece.len());
                piece.write_parts(|part| self.buffer.extend_from_slice(part));
                self.counters.datagrams_out += 1;
                self.counters.fragments_out += 1;
                sink(key, self.buffer.split().freeze());
            }
        }
        count_out(&mut self.counters, frame);
        Ok(())
    }

    /// Appends the frame to the buffer and seals it where it lies.
    fn seal(
        &mut self,
        frame: &[u8],
        source: PeerId,
        keys: &mut Keyring,
        now: Instant,
    ) -> Result<(), DropReason> {
        self.buffer.extend_from_slice(&[0; overlay::SEALED_LEN]);
        self.buffer.extend_from_slice(frame);
        let sealed = self
            .buffer
            .get_mut(overlay::HEADER_LEN..)
            .and_then(<[u8]>::split_first_chunk_mut)
            .and_then(|(place, frame)| {
                let (header, tag) = keys.seal(source, frame, now).ok()?;
                *place = header;
                Some(tag)
            });
        let Some(tag) = sealed else {
            self.buffer.clear();
            return Err(DropReason::NoKey);
        };
        self.buffer.extend_from_slice(&tag);
        Ok(())
    }
}

fn reserve(buffer: &mut BytesMut, room: usize) {
    if buffer.capacity() < room {
        buffer.reserve(BUFFER_LEN.max(room));
    }
}

pub(crate) fn count_in(counters: &mut TunnelCounters, frame: &[u8]) {
    counters.frames_in += 1;
    counters.bytes_in += frame.len() as u64;
    match Cast::of(frame) {
        Cast::Broadcast => counters.broadcasts_in += 1,
        Cast::Multicast => counters.multicasts_in += 1,
        Cast::Unicast => {}
    }
}

fn count_out(counters: &mut TunnelCounters, frame: &[u8]) {
    counters.frames_out += 1;
    counters.bytes_out += frame.len() as u64;
    match Cast::of(frame) {
        Cast::Broadcast => counters.broadcasts_out += 1,
        Cast::Multicast => counters.multicasts_out += 1,
        Cast::Unicast => {}
    }
}

enum Cast {
    Unicast,
    Multicast,
    Broadcast,
}

impl Cast {
    fn of(frame: &[u8]) -> Self {
        match EthernetHeader::parse(frame) {
            Ok((header, _)) if header.destination.is_broadcast() => Self::Broadcast,
            Ok((header, _)) if header.destination.is_multicast() => Self::Multicast,
            _ => Self::Unicast,
        }
    }
}

/// Frame ids that [`Tunnel::send`] uses; [`Splitter`] has the others.
const OWN_FRAME_IDS: u16 = 0x7FFF;

/// Splits datagrams that were queued when the path still carried them whole.
///
/// For the transport, which calls it at the moment of sending; its frame ids
/// do not collide with those of the session.
#[derive(Clone, Debug, Default)]
pub struct Splitter {
    next_frame_id: u16,
}

impl Splitter {
    /// Appends pieces of at most `max_len` bytes, or nothing where that
    /// cannot be.
    pub fn split(&mut self, datagram: &[u8], max_len: usize, out: &mut Vec<Bytes>) {
        let frame_id = !OWN_FRAME_IDS | self.next_frame_id;
        self.next_frame_id = self.next_frame_id.wrapping_add(1) & OWN_FRAME_IDS;
        let Ok(pieces) = fragment::split(datagram, max_len, frame_id, false) else {
            return;
        };
        out.extend(pieces.map(|piece| {
            let mut bytes = Vec::with_capacity(piece.len());
            piece.write_to(&mut bytes);
            Bytes::from(bytes)
        }));
    }
}

const fn reason_of_split(error: SplitError) -> DropReason {
    match error {
        SplitError::Budget => DropReason::QuicTooLarge,
        SplitError::TooLong => DropReason::Oversize,
        SplitError::Runt => DropReason::Runt,
        SplitError::Header(_) | SplitError::Fragment(_) | SplitError::Probe => {
            DropReason::OverlayHeader
        }
    }
}
