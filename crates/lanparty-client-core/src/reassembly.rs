//! Puts fragmented frames together again, in bounded memory.
//!
//! The first fragment to arrive fixes the frame's Ethernet header. A fragment
//! that overlaps another, or disagrees about the header or the length, kills
//! its frame; the rest of that frame is refused until its time is up, so that
//! late pieces cannot start a second frame of the same id. Ids that the relay
//! mints when it splits a frame are a space of their own.
//!
//! This module judges shapes only. What the frame may do is policy, and that
//! is applied to the whole frame.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use lanparty_obs::DropReason;
use lanparty_obs::drops::DropCounts;
use lanparty_proto::PeerId;
use lanparty_proto::ethernet::{HEADER_LEN, MAX_TAGGED_FRAME_LEN};
use lanparty_proto::fragment::{Fragment, FragmentHeader, OFFSET_UNIT as UNIT};
use lanparty_proto::overlay::{FrameCount, SEALED_LEN, TAG_LEN};

/// How long a frame may wait for its fragments (design section 5).
pub const TIMEOUT: Duration = Duration::from_millis(500);
/// The longest frame that is put together: tagged and sealed.
pub const MAX_LEN: usize = MAX_TAGGED_FRAME_LEN + SEALED_LEN + TAG_LEN;

/// Bits of the map of received units; covers [`MAX_LEN`].
const UNITS: usize = 256;
const _: () = assert!(MAX_LEN <= UNITS * UNIT);

/// Bounds of one [`Reassembler`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Frames of one sender that may be waiting. At 10,000 fragmented frames
    /// a second and 1 % loss, 50 are waiting for pieces that never come.
    pub frames_per_sender: usize,
    /// Frames of all senders together; each holds one buffer of [`MAX_LEN`]
    /// bytes, so this is the byte bound (about 1 MB).
    pub frames: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frames_per_sender: 64,
            frames: 680,
        }
    }
}

/// Reassembly for one receiver, across all senders of its room.
#[derive(Debug, Default)]
pub struct Reassembler {
    limits: Limits,
    /// A sender that has nothing waiting keeps its place for a while: its next
    /// frame needs it again.
    senders: BTreeMap<PeerId, VecDeque<Partial>>,
    waiting: usize,
    /// Buffers of finished frames, for the next ones.
    spare: Vec<Vec<u8>>,
    /// The frame that the last `push` completed.
    whole: Vec<u8>,
}

#[derive(Debug)]
struct Partial {
    frame_id: u16,
    relay_id_space: bool,
    /// All fragments of a frame agree on this, and on the next.
    frames: FrameCount,
    /// Key epoch and counter of a sealed frame.
    seal: Option<[u8; SEALED_LEN]>,
    since: Instant,
    /// Ethernet header, then the payload at its place.
    frame: Vec<u8>,
    /// Which units of the payload are there.
    received: [u64; UNITS / 64],
    received_units: usize,
    /// Payload length in bytes, known once the last fragment came.
    payload_len: Option<usize>,
    killed: bool,
}

impl Reassembler {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Frames that are waiting for fragments.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes one fragment and returns the frame, or the bundle of so many
    /// `frames`, when this was its last missing part. A sealed one has the
    /// `seal` header of its frame before it. Frames that had to make room or
    /// took too long are counted in `drops`.
    ///
    /// # Errors
    /// Why this fragment was refused; the caller counts it.
    pub fn push(
        &mut self,
        source: PeerId,
        frames: FrameCount,
        seal: Option<[u8; SEALED_LEN]>,
        fragment: Fragment<'_>,
        now: Instant,
        drops: &mut DropCounts,
    ) -> Result<Option<&mut [u8]>, DropReason> {
        let header = fragment.header;
        if HEADER_LEN + header.byte_offset() + fragment.payload.len() > MAX_LEN {
            self.kill(source, header);
            return Err(DropReason::Oversize);
        }

        self.expire_sender(source, now, drops);
        if self.find(source, header).is_none() {
            self.make_room(source, drops);
            let frame = self.spare.pop().unwrap_or_default();
            let partial = Partial::new(frames, seal, fragment, now, frame);
            self.senders.entry(source).or_default().push_back(partial);
            self.waiting += 1;
        }
        let Some(partial) = self.find(source, header) else {
            return Err(DropReason::FragmentLimit);
        };
        if !partial.add(frames, seal, fragment) {
            partial.killed = true;
            return Err(DropReason::FragmentConflict);
        }
        if !partial.is_complete() {
            return Ok(None);
        }
        let frame = self.remove(source, header);
        let previous = std::mem::replace(&mut self.whole, frame);
        self.recycle(previous);
        Ok(Some(&mut self.whole))
    }

    /// Gives up on frames older than [`TIMEOUT`].
    pub fn expire(&mut self, now: Instant, drops: &mut DropCounts) {
        let senders: Vec<PeerId> = self.senders.keys().copied().collect();
        for source in senders {
            self.expire_sender(source, now, drops);
        }
        self.senders.retain(|_, partials| !partials.is_empty());
    }

    /// When [`Self::expire`] has something to do.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        let oldest = self.senders.values().filter_map(VecDeque::front);
        oldest.map(|partial| partial.since + TIMEOUT).min()
    }

    /// Forgets a sender that left the room.
    pub fn forget(&mut self, source: PeerId) {
        while self.discard_oldest(source).is_some() {}
        self.senders.remove(&source);
    }

    fn find(&mut self, source: PeerId, header: FragmentHeader) -> Option<&mut Partial> {
        // The newest is the likeliest: fragments of a frame travel together.
        let partials = self.senders.get_mut(&source)?;
        partials.iter_mut().rev().find(|p| p.is(header))
    }

    fn kill(&mut self, source: PeerId, header: FragmentHeader) {
        if let Some(partial) = self.find(source, header) {
            partial.killed = true;
        }
    }

    fn remove(&mut self, source: PeerId, header: FragmentHeader) -> Vec<u8> {
        let Some(partials) = self.senders.get_mut(&source) else {
            return Vec::new();
        };
        let at = partials.iter().rposition(|p| p.is(header));
        let removed = at.and_then(|at| partials.remove(at));
        removed.map_or_else(Vec::new, |partial| {
            self.waiting -= 1;
            partial.frame
        })
    }

    fn expire_sender(&mut self, source: PeerId, now: Instant, drops: &mut DropCounts) {
        let is_late = |p: &Partial| now.saturating_duration_since(p.since) >= TIMEOUT;
        while let Some(partials) = self.senders.get(&source)
            && partials.front().is_some_and(is_late)
        {
            self.discard_oldest_counted(source, DropReason::FragmentTimeout, drops);
        }
    }

    /// Room for one more frame of `source`: its own oldest goes first, then
    /// the oldest of whoever holds the most, so that nobody can starve others.
    fn make_room(&mut self, source: PeerId, drops: &mut DropCounts) {
        let own = self.senders.get(&source).map_or(0, VecDeque::len);
        if own >= self.limits.frames_per_sender {
            self.discard_oldest_counted(source, DropReason::FragmentLimit, drops);
        } else if self.waiting >= self.limits.frames {
            let greediest = self.senders.iter().max_by_key(|(_, p)| p.len());
            if let Some(victim) = greediest.map(|(id, _)| *id) {
                self.discard_oldest_counted(victim, DropReason::FragmentLimit, drops);
            }
        }
    }

    fn discard_oldest_counted(
        &mut self,
        source: PeerId,
        reason: DropReason,
        drops: &mut DropCounts,
    ) {
        // A killed frame was counted when it was killed.
        if self.discard_oldest(source) == Some(Counted(false)) {
            drops.add(reason);
        }
    }

    fn discard_oldest(&mut self, source: PeerId) -> Option<Counted> {
        let partials = self.senders.get_mut(&source)?;
        let partial = partials.pop_front()?;
        self.waiting -= 1;
        self.recycle(partial.frame);
        Some(Counted(partial.killed))
    }

    fn recycle(&mut self, mut frame: Vec<u8>) {
        // A handful is enough for the frames that are on their way at a time.
        if self.spare.len() < 16 {
            frame.clear();
            self.spare.push(frame);
        }
    }
}

/// Whether a discarded frame had been counted before.
#[derive(PartialEq)]
struct Counted(bool);

impl Partial {
    fn new(
        frames: FrameCount,
        seal: Option<[u8; SEALED_LEN]>,
        first: Fragment<'_>,
        now: Instant,
        mut frame: Vec<u8>,
    ) -> Self {
        frame.reserve_exact(MAX_LEN);
        frame.extend_from_slice(first.ethernet);
        Self {
            frame_id: first.header.frame_id,
            relay_id_space: first.header.relay_id_space,
            frames,
            seal,
            since: now,
            frame,
            received: [0; UNITS / 64],
            received_units: 0,
            payload_len: None,
            killed: false,
        }
    }

    const fn is(&self, header: FragmentHeader) -> bool {
        self.frame_id == header.frame_id && self.relay_id_space == header.relay_id_space
    }

    /// Puts a piece in its place; false where it contradicts what is there.
    fn add(
        &mut self,
        frames: FrameCount,
        seal: Option<[u8; SEALED_LEN]>,
        fragment: Fragment<'_>,
    ) -> bool {
        let agrees = (self.frames, self.seal) == (frames, seal);
        if self.killed || !agrees || !self.frame.starts_with(fragment.ethernet) {
            return false;
        }
        let start = fragment.header.byte_offset();
        let end = start + fragment.payload.len();
        let furthest = self.frame.len() - HEADER_LEN;
        let fits = match (self.payload_len, fragment.header.more) {
            (Some(_), false) => false,
            (Some(len), true) => end <= len,
            (None, false) => furthest <= end,
            (None, true) => true,
        };
        if !fits || !self.mark(start / UNIT, end.div_ceil(UNIT)) {
            return false;
        }
        if !fragment.header.more {
            self.payload_len = Some(end);
        }
        if furthest < end {
            self.frame.resize(HEADER_LEN + end, 0);
        }
        match self.frame.get_mut(HEADER_LEN + start..HEADER_LEN + end) {
            Some(place) => place.copy_from_slice(fragment.payload),
            None => return false,
        }
        true
    }

    /// Marks units `first..end` as received; false where one already was.
    fn mark(&mut self, first: usize, end: usize) -> bool {
        for unit in first..end {
            let Some(word) = self.received.get_mut(unit / 64) else {
                return false;
            };
            let bit = 1 << (unit % 64);
            if *word & bit != 0 {
                return false;
            }
            *word |= bit;
            self.received_units += 1;
        }
        true
    }

    fn is_complete(&self) -> bool {
        // Units are never marked twice nor past the end, so counting is enough.
        self.payload_len
            .is_some_and(|len| self.received_units == len.div_ceil(UNIT))
    }
}

#[cfg(test)]
mod tests {
    use lanparty_proto::fragment::split;
    use lanparty_proto::overlay::{Header, Hint, Kind};

    use super::*;

    fn peer(id: u16) -> PeerId {
        PeerId::try_from(id).unwrap()
    }

    fn frame(len: usize, fill: u8) -> Vec<u8> {
        (0..len).map(|at| (at as u8).wrapping_add(fill)).collect()
    }

    /// The bodies (after the base header) of the frame's fragments.
    fn pieces(frame: &[u8], max_len: usize, frame_id: u16, relay: bool) -> Vec<Vec<u8>> {
        let header = Header {
            kind: Kind::Frame,
            hint: Hint::Normal,
            source: peer(1),
            flow_tag: 0,
            frames: FrameCount::ONE,
        };
        let datagram = [&header.encode()[..], frame].concat();
        split(&datagram, max_len, frame_id, relay)
            .unwrap()
            .map(|piece| {
                let mut out = Vec::new();
                piece.write_to(&mut out);
                out.split_off(6)
            })
            .collect()
    }

    type Pushed = Result<Option<Vec<u8>>, DropReason>;

    struct Harness {
        reassembler: Reassembler,
        drops: DropCounts,
        now: Instant,
    }

    impl Harness {
        fn new(limits: Limits) -> Self {
            Self {
                reassembler: Reassembler::new(limits),
                drops: DropCounts::new(),
                now: crate::test_start(),
            }
        }

        fn push(&mut self, source: u16, body: &[u8]) -> Pushed {
            let Ok(fragment) = Fragment::parse(body) else {
                return Err(DropReason::FragmentHeader);
            };
            self.reassembler
                .push(
                    peer(source),
                    FrameCount::ONE,
                    None,
                    fragment,
                    self.now,
                    &mut self.drops,
                )
                .map(|whole| whole.map(|frame| frame.to_vec()))
        }
    }

    #[test]
    fn fragments_in_any_order_make_the_frame() {
        let whole = frame(1_514, 0);
        let parts = pieces(&whole, 600, 9, false);
        assert!(parts.len() >= 3);
        let mut harness = Harness::new(Limits::default());
        for (at, body) in parts.iter().enumerate().rev() {
            let expected = (at == 0).then(|| whole.clone());
            assert_eq!(harness.push(1, body), Ok(expected));
        }
        assert_eq!(harness.reassembler.waiting(), 0);
        assert_eq!(harness.drops.total(), 0);
    }

    #[test]
    fn frames_of_two_senders_and_two_id_spaces_do_not_mix() {
        let mut harness = Harness::new(Limits::default());
        let cases = [(1, false), (1, true), (2, false), (2, true)];
        let frames: Vec<_> = (0..4).map(|fill| frame(1_200, fill)).collect();
        for (half, last) in [(0, false), (1, true)] {
            for (&(source, relay), whole) in cases.iter().zip(&frames) {
                let parts = pieces(whole, 1_000, 5, relay);
                let result = harness.push(source, &parts[half]);
                assert_eq!(result, Ok(last.then(|| whole.clone())));
            }
        }
    }

    #[test]
    fn an_overlap_kills_the_frame_for_good() {
        let parts = pieces(&frame(1_514, 0), 1_000, 1, false);
        let mut harness = Harness::new(Limits::default());
        assert_eq!(harness.push(1, &parts[0]), Ok(None));
        assert_eq!(
            harness.push(1, &parts[0]),
            Err(DropReason::FragmentConflict)
        );
        assert_eq!(
            harness.push(1, &parts[1]),
            Err(DropReason::FragmentConflict)
        );
        harness.now += TIMEOUT;
        harness.reassembler.expire(harness.now, &mut harness.drops);
        assert_eq!(harness.reassembler.waiting(), 0);
        assert_eq!(harness.drops.total(), 0, "counted by the caller already");
    }

    #[test]
    fn a_fragment_with_another_ethernet_header_kills_the_frame() {
        let mut parts = pieces(&frame(1_514, 0), 1_000, 1, false);
        parts[1][4] ^= 1;
        let mut harness = Harness::new(Limits::default());
        assert_eq!(harness.push(1, &parts[0]), Ok(None));
        assert_eq!(
            harness.push(1, &parts[1]),
            Err(DropReason::FragmentConflict)
        );
    }

    #[test]
    fn two_ends_of_one_frame_disagree() {
        let short = pieces(&frame(1_100, 0), 1_000, 1, false);
        let long = pieces(&frame(1_514, 0), 1_000, 1, false);
        let mut harness = Harness::new(Limits::default());
        assert_eq!(harness.push(1, &short[1]), Ok(None));
        assert_eq!(harness.push(1, &long[1]), Err(DropReason::FragmentConflict));
    }

    #[test]
    fn a_frame_beyond_the_longest_is_refused() {
        let parts = pieces(&frame(MAX_LEN + 1, 0), 1_000, 1, false);
        let mut harness = Harness::new(Limits::default());
        assert_eq!(harness.push(1, &parts[0]), Ok(None));
        assert_eq!(harness.push(1, &parts[1]), Err(DropReason::Oversize));
        assert_eq!(
            harness.push(1, &parts[0]),
            Err(DropReason::FragmentConflict)
        );
    }

    #[test]
    fn what_does_not_complete_in_time_is_counted_and_forgotten() {
        let parts = pieces(&frame(1_514, 0), 1_000, 1, false);
        let mut harness = Harness::new(Limits::default());
        assert_eq!(harness.push(1, &parts[0]), Ok(None));
        assert_eq!(
            harness.reassembler.next_expiry(),
            Some(harness.now + TIMEOUT)
        );
        harness.now += TIMEOUT;
        assert_eq!(
            harness.push(1, &parts[1]),
            Ok(None),
            "a frame of its own now"
        );
        assert_eq!(harness.drops.get(DropReason::FragmentTimeout), 1);
        assert_eq!(harness.reassembler.waiting(), 1);
    }

    #[test]
    fn a_greedy_sender_loses_its_own_frames_first() {
        let limits = Limits {
            frames_per_sender: 4,
            frames: 6,
        };
        let mut harness = Harness::new(limits);
        let whole = frame(1_514, 0);
        let patient = pieces(&whole, 1_000, 0, false);
        assert_eq!(harness.push(9, &patient[0]), Ok(None));
        for source in 1..=3 {
            for id in 0..100 {
                harness
                    .push(source, &pieces(&whole, 1_000, id, false)[0])
                    .unwrap();
                assert!(harness.reassembler.waiting() <= limits.frames);
            }
        }
        assert_eq!(harness.push(9, &patient[1]), Ok(Some(whole)));
        assert_eq!(
            harness.drops.get(DropReason::FragmentLimit) as usize + harness.reassembler.waiting(),
            300
        );
    }

    #[test]
    fn a_peer_that_left_leaves_nothing_behind() {
        let parts = pieces(&frame(1_514, 0), 1_000, 1, false);
        let mut harness = Harness::new(Limits::default());
        harness.push(1, &parts[0]).unwrap();
        harness.reassembler.forget(peer(1));
        assert_eq!(harness.reassembler.waiting(), 0);
        assert_eq!(harness.reassembler.next_expiry(), None);
    }

    mod proptests {
        use proptest::prelude::*;

        use super::*;

        /// A frame as the naive model keeps it: every byte with its origin.
        #[derive(Clone, Default)]
        struct Naive {
            ethernet: Option<Vec<u8>>,
            bytes: BTreeMap<usize, u8>,
            /// Units are what overlap is judged by, as on the wire.
            units: std::collections::BTreeSet<usize>,
            len: Option<usize>,
            dead: bool,
        }

        impl Naive {
            fn add(&mut self, fragment: &Fragment<'_>) -> Result<Option<Vec<u8>>, ()> {
                let start = usize::from(fragment.header.offset) * 8;
                let end = start + fragment.payload.len();
                let ethernet = self.ethernet.get_or_insert(fragment.ethernet.to_vec());
                let same_header = ethernet.as_slice() == fragment.ethernet;
                let overlap = (start..end).any(|at| self.units.contains(&(at / 8)));
                let beyond = self
                    .len
                    .is_some_and(|len| end > len || !fragment.header.more);
                let furthest = self.bytes.keys().next_back().map_or(0, |at| at + 1);
                let cut = !fragment.header.more && furthest > end;
                if self.dead || !same_header || overlap || beyond || cut || end + 14 > MAX_LEN {
                    self.dead = true;
                    return Err(());
                }
                for (at, byte) in (start..end).zip(fragment.payload) {
                    self.bytes.insert(at, *byte);
                    self.units.insert(at / 8);
                }
                if !fragment.header.more {
                    self.len = Some(end);
                }
                let complete = self.len == Some(self.bytes.len());
                Ok(complete.then(|| {
                    let mut whole = self.ethernet.clone().unwrap();
                    whole.extend(self.bytes.values());
                    whole
                }))
            }
        }

        fn fragments() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
            let one = (
                1..4_u16,
                0..3_u16,
                any::<bool>(),
                0..200_u16,
                1..40_usize,
                any::<bool>(),
                0..20_u8,
            );
            prop::collection::vec(one, 1..120).prop_map(|parts| {
                parts
                    .into_iter()
                    .map(|(source, frame_id, relay, offset, units, more, odd)| {
                        let header = FragmentHeader {
                            frame_id,
                            offset,
                            more,
                            relay_id_space: relay,
                        };
                        let mut body = header.encode().to_vec();
                        body.extend([u8::from(odd == 0); 14]);
                        let tail = if more { 0 } else { usize::from(odd % 8) };
                        body.extend((0..units * 8 - tail).map(|at| at as u8 ^ odd));
                        (source, body)
                    })
                    .collect()
            })
        }

        /// Real frames cut twice at different sizes, as a sender and a relay do.
        fn cut_frames() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
            let one = (
                15..=MAX_LEN,
                64..1_500_usize,
                64..1_500_usize,
                any::<bool>(),
            );
            prop::collection::vec(one, 1..8)
                .prop_map(|frames| {
                    let mut all = Vec::new();
                    for (id, (len, first, second, relay)) in frames.into_iter().enumerate() {
                        for body in pieces(&frame(len, id as u8), first, id as u16, relay) {
                            all.extend(resplit(&body, second).into_iter().map(|b| (1, b)));
                        }
                    }
                    all
                })
                .prop_shuffle()
        }

        fn resplit(body: &[u8], max_len: usize) -> Vec<Vec<u8>> {
            let Ok(_) = Fragment::parse(body) else {
                return Vec::new();
            };
            let header = Header {
                kind: Kind::Fragment,
                hint: Hint::Normal,
                source: peer(1),
                flow_tag: 0,
                frames: FrameCount::ONE,
            };
            let datagram = [&header.encode()[..], body].concat();
            split(&datagram, max_len, 0, true)
                .unwrap()
                .map(|piece| {
                    let mut out = Vec::new();
                    piece.write_to(&mut out);
                    out.split_off(6)
                })
                .collect()
        }

        proptest! {
            #[test]
            fn behaves_as_the_naive_model(parts in prop_oneof![fragments(), cut_frames()]) {
                let mut harness = Harness::new(Limits::default());
                let mut model: BTreeMap<(u16, u16, bool), Naive> = BTreeMap::new();
                for (source, body) in parts {
                    let fragment = Fragment::parse(&body).unwrap();
                    let header = fragment.header;
                    let key = (source, header.frame_id, header.relay_id_space);
                    let naive = model.entry(key).or_default();
                    // A frame that never began has nothing to kill.
                    let is_new = naive.ethernet.is_none();
                    let expected = naive.add(&fragment);
                    if expected.as_ref().is_ok_and(Option::is_some) || (is_new && expected.is_err()) {
                        model.remove(&key);
                    }
                    let result = harness.push(source, &body);
                    prop_assert_eq!(result.clone().map_err(|_| ()), expected);
                    prop_assert_eq!(harness.reassembler.waiting(), model.len());
                }
                prop_assert_eq!(harness.drops.total(), 0);
            }

            #[test]
            fn memory_stays_bounded(parts in fragments(), frames in 1..6_usize, own in 1..4_usize) {
                let limits = Limits { frames_per_sender: own, frames };
                let mut harness = Harness::new(limits);
                for (source, body) in parts {
                    let _ = harness.push(source, &body);
                    prop_assert!(harness.reassembler.waiting() <= frames);
                    let held: usize = harness.reassembler.senders.values().flatten()
                        .map(|p| p.frame.capacity()).sum();
                    prop_assert!(held <= frames * MAX_LEN);
                    prop_assert!(harness.reassembler.senders.values().all(|s| s.len() <= own));
                }
            }
        }
    }
}
