//! From frames to overlay datagrams, and what both directions count.

use std::time::Instant;

use bytes::Bytes;
use lanparty_ctrl::timers::REASSEMBLY_TIMEOUT;
use lanparty_l2::Spread;
use lanparty_obs::DropReason;
use lanparty_obs::drops::DropCounts;
use lanparty_obs::stats::TunnelCounters;
use lanparty_proto::MacAddr;
use lanparty_proto::fragment::{self, SplitError};
use lanparty_proto::overlay::{self, Header};
use lanparty_queue::FlowKey;
use lanparty_seal::Keyring;

use crate::gathering::{Gathered, Gathering};
use crate::reassembly::{self, Reassembler};

const _: () = assert!(REASSEMBLY_TIMEOUT.as_nanos() == reassembly::TIMEOUT.as_nanos());

/// What sealing adds to a frame.
pub(crate) const SEAL_LEN: usize = overlay::SEALED_LEN + overlay::TAG_LEN;

/// One member's end of the overlay.
#[derive(Debug, Default)]
pub(crate) struct Tunnel {
    pub(crate) counters: TunnelCounters,
    pub(crate) drops: DropCounts,
    pub(crate) reassembler: Reassembler,
    next_frame_id: u16,
    gathering: Gathering,
}

/// What the way to the relay carries now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    /// Bytes of the largest datagram.
    pub(crate) max_datagram: usize,
    /// Bytes of the largest datagram with more than one frame.
    pub(crate) max_bundle: usize,
    pub(crate) now: Instant,
}

impl Tunnel {
    /// Takes a frame to be sent. It waits for more of its flow and budget until
    /// [`Self::flush`], unless no other of its length would fit beside it.
    pub(crate) fn send(
        &mut self,
        frame: &[u8],
        header: Header,
        spread: Spread,
        mut keys: Option<&mut Keyring>,
        path: Path,
        sink: &mut impl FnMut(FlowKey, Bytes),
    ) -> Result<(), DropReason> {
        let (ethernet, payload) = frame.split_first_chunk().ok_or(DropReason::Runt)?;
        if !self
            .gathering
            .add(header, spread, ethernet, payload, path.max_bundle)
        {
            self.flush(keys.as_deref_mut(), path, sink);
            self.gathering.begin(header, spread, ethernet, payload);
        }
        if !self.gathering.has_room(payload.len(), path.max_bundle) {
            self.flush(keys, path, sink);
        }
        Ok(())
    }

    /// Forgets what waits, because the connection that it was for is gone.
    pub(crate) fn clear(&mut self) {
        self.gathering.clear();
    }

    /// Sends what waits: in one datagram, or in as many as it takes.
    pub(crate) fn flush(
        &mut self,
        keys: Option<&mut Keyring>,
        path: Path,
        sink: &mut impl FnMut(FlowKey, Bytes),
    ) {
        let Some((gathered, mut datagram)) = self.gathering.take() else {
            return;
        };
        let frames = u64::from(gathered.header.frames.get());
        let sent = match keys {
            Some(keys) => seal(&mut datagram, gathered.header, keys, path.now),
            None => Ok(()),
        };
        let (header, max_len) = (gathered.header, path.max_datagram);
        let sent = sent.and_then(|()| self.send_cut(datagram.freeze(), header, max_len, sink));
        match sent {
            Ok(()) => count_out(&mut self.counters, &gathered, frames),
            Err(reason) => self.drops.add_n(reason, frames),
        }
    }

    /// Hands over a datagram, in pieces where it is too long.
    fn send_cut(
        &mut self,
        datagram: Bytes,
        header: Header,
        max_datagram: usize,
        sink: &mut impl FnMut(FlowKey, Bytes),
    ) -> Result<(), DropReason> {
        let key = FlowKey {
            source: header.source.get(),
            tag: header.flow_tag,
            hint: header.hint,
            part_of: None,
        };
        if datagram.len() <= max_datagram {
            self.counters.datagrams_out += 1;
            sink(key, datagram);
            return Ok(());
        }
        let frame_id = self.next_frame_id;
        self.next_frame_id = frame_id.wrapping_add(1) & OWN_FRAME_IDS;
        let key = FlowKey {
            part_of: Some(frame_id),
            ..key
        };
        let pieces =
            fragment::split(&datagram, max_datagram, frame_id, false).map_err(reason_of_split)?;
        for piece in pieces {
            self.counters.datagrams_out += 1;
            self.counters.fragments_out += 1;
            sink(key, self.gathering.write(&piece));
        }
        Ok(())
    }
}

/// Seals the body of a datagram where it lies, between the places for what the
/// seal adds.
fn seal(
    datagram: &mut [u8],
    header: Header,
    keys: &mut Keyring,
    now: Instant,
) -> Result<(), DropReason> {
    let sealed = datagram
        .get_mut(overlay::HEADER_LEN..)
        .and_then(<[u8]>::split_first_chunk_mut)
        .and_then(|(place, rest)| {
            let (body, tag) = rest.split_last_chunk_mut()?;
            (*place, *tag) = keys.seal(header.source, header.frames, body, now).ok()?;
            Some(())
        });
    sealed.ok_or(DropReason::NoKey)
}

pub(crate) fn count_in(counters: &mut TunnelCounters, frame: &[u8]) {
    counters.frames_in += 1;
    counters.bytes_in += frame.len() as u64;
    let Some(destination) = frame.first_chunk() else {
        return;
    };
    match Cast::to(MacAddr(*destination)) {
        Cast::Broadcast => counters.broadcasts_in += 1,
        Cast::Multicast => counters.multicasts_in += 1,
        Cast::Unicast => {}
    }
}

fn count_out(counters: &mut TunnelCounters, gathered: &Gathered, frames: u64) {
    counters.frames_out += frames;
    counters.bytes_out += gathered.bytes;
    match Cast::to(gathered.destination) {
        Cast::Broadcast => counters.broadcasts_out += frames,
        Cast::Multicast => counters.multicasts_out += frames,
        Cast::Unicast => {}
    }
}

enum Cast {
    Unicast,
    Multicast,
    Broadcast,
}

impl Cast {
    fn to(destination: MacAddr) -> Self {
        if destination.is_broadcast() {
            Self::Broadcast
        } else if destination.is_multicast() {
            Self::Multicast
        } else {
            Self::Unicast
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
