//! The keys under which one other member sends.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::chain::Chain;
use crate::epoch::Epoch;
use crate::frame::{Envelope, FrameKey};
use crate::replay::Window;
use lanparty_proto::overlay::TAG_LEN;

/// How long frames of an epoch are still taken after one of a later epoch:
/// what the internet reorders, with a wide margin.
pub(crate) const LINGER: Duration = Duration::from_secs(2);
/// Epochs of one sender that are open at a time; each window takes 4 KB.
const MAX_OPEN: usize = 8;
/// Generations that may be known at a time: one in use, one to come, and one
/// that was replaced before it came into use.
const MAX_CHAINS: usize = 3;

/// Why a frame was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// Too short for an Ethernet header and a tag.
    Shape,
    /// Its epoch is over or unknown.
    NoKey,
    /// As above, and the epoch is one to come.
    NotYet,
    Forged,
    Replayed,
}

/// Keys and windows of one session of a sender. Epochs only rise: what was
/// left behind is never opened again, whatever letters are repeated.
#[derive(Debug)]
pub(crate) struct Receiving {
    /// Letters of this generation and those before it are refused.
    floor: u64,
    /// The last derived secret of each generation, oldest first.
    chains: VecDeque<Chain>,
    /// By epoch, oldest first.
    open: VecDeque<Open>,
}

#[derive(Debug)]
struct Open {
    epoch: Epoch,
    key: FrameKey,
    window: Option<Window>,
    /// Set by the first frame of a later epoch.
    until: Option<Instant>,
}

impl Receiving {
    /// `floor` is the greatest generation of this session's letters so far.
    pub(crate) const fn new(floor: u64) -> Self {
        Self {
            floor,
            chains: VecDeque::new(),
            open: VecDeque::new(),
        }
    }

    pub(crate) const fn floor(&self) -> u64 {
        self.floor
    }

    /// Whether frames with this byte can be opened, if they are genuine.
    pub(crate) fn knows(&self, wire: u8) -> bool {
        let wanted = Epoch::new(wire.into());
        let is_open = self.open.iter().any(|open| open.epoch.wire() == wire);
        let mut ahead = self
            .chains
            .iter()
            .map(|chain| Epoch::new(chain.epoch.wire().into()));
        is_open
            || ahead.any(|at| at.generation() == wanted.generation() && at.step() < wanted.step())
    }

    /// Whether a letter with this epoch would change anything.
    pub(crate) const fn wants(&self, epoch: Epoch) -> bool {
        epoch.generation() > self.floor
    }

    /// Takes the secret of a generation that is new here.
    pub(crate) fn accept(&mut self, epoch: Epoch, secret: [u8; 32]) {
        if !self.wants(epoch) {
            return;
        }
        self.floor = epoch.generation();
        let chain = Chain::new(epoch, secret);
        self.push(&chain);
        if self.chains.len() >= MAX_CHAINS {
            self.chains.pop_front();
        }
        self.chains.push_back(chain);
    }

    /// Decrypts a frame into `out`, which is as long as the ciphertext.
    pub(crate) fn open(
        &mut self,
        envelope: &Envelope<'_>,
        ciphertext: &[u8],
        tag: &[u8; TAG_LEN],
        out: &mut [u8],
        now: Instant,
    ) -> Result<(), OpenError> {
        let wire = envelope.header.epoch;
        let counter = envelope.header.counter;
        // The newest epoch is the likeliest.
        let known = self.open.iter().rposition(|open| open.epoch.wire() == wire);
        let Some(open) = known.and_then(|at| self.open.get_mut(at)) else {
            return self.open_ahead(envelope, ciphertext, tag, out, now);
        };
        if let Some(window) = &open.window
            && !window.is_fresh(counter)
        {
            return Err(OpenError::Replayed);
        }
        open.key
            .open(envelope, ciphertext, tag, out)
            .map_err(|_| OpenError::Forged)?;
        open.window.get_or_insert_default().accept(counter);
        let epoch = open.epoch;
        self.leave_behind(epoch, now);
        Ok(())
    }

    /// Steps the chain of the frame's generation to its epoch, and keeps the
    /// step only if the frame proves it.
    fn open_ahead(
        &mut self,
        envelope: &Envelope<'_>,
        ciphertext: &[u8],
        tag: &[u8; TAG_LEN],
        out: &mut [u8],
        now: Instant,
    ) -> Result<(), OpenError> {
        let wire = Epoch::new(envelope.header.epoch.into());
        let is_ahead = |chain: &&mut Chain| {
            Epoch::new(chain.epoch.wire().into()).generation() == wire.generation()
                && chain.epoch.step() < wire.step()
        };
        let Some(chain) = self.chains.iter_mut().rev().find(is_ahead) else {
            return Err(self.absent(envelope.header.epoch));
        };
        let mut steps = Vec::new();
        let mut last = chain.clone();
        while last.epoch.step() < wire.step()
            && let Some(next) = last.next()
        {
            steps.push(next.clone());
            last = next;
        }
        last.frame_key()
            .open(envelope, ciphertext, tag, out)
            .map_err(|_| OpenError::Forged)?;
        *chain = last.clone();
        for step in &steps {
            self.push(step);
        }
        if let Some(open) = self.open.iter_mut().find(|open| open.epoch == last.epoch) {
            let window = open.window.get_or_insert_default();
            window.accept(envelope.header.counter);
        }
        self.leave_behind(last.epoch, now);
        Ok(())
    }

    /// Closes epochs whose stragglers had their time.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.open
            .retain(|open| open.until.is_none_or(|until| now < until));
    }

    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        self.open.iter().filter_map(|open| open.until).min()
    }

    fn push(&mut self, chain: &Chain) {
        if self.open.len() >= MAX_OPEN {
            self.open.pop_front();
        }
        let open = Open {
            epoch: chain.epoch,
            key: chain.frame_key(),
            window: None,
            until: None,
        };
        let at = self.open.partition_point(|o| o.epoch < chain.epoch);
        self.open.insert(at, open);
    }

    /// A frame of this epoch was opened: its sender does not use earlier ones
    /// any more.
    fn leave_behind(&mut self, epoch: Epoch, now: Instant) {
        if self.open.front().is_none_or(|oldest| oldest.epoch >= epoch) {
            return;
        }
        for open in self.open.iter_mut().take_while(|o| o.epoch < epoch) {
            open.until.get_or_insert(now + LINGER);
        }
        self.chains
            .retain(|chain| chain.epoch.generation() >= epoch.generation());
    }

    fn absent(&self, wire: u8) -> OpenError {
        let newest = self.open.back().map(|open| open.epoch.wire());
        let ahead = newest.is_none_or(|newest| wire.wrapping_sub(newest) < 128);
        if ahead {
            OpenError::NotYet
        } else {
            OpenError::NoKey
        }
    }
}

#[cfg(test)]
mod tests {
    use lanparty_ctrl::RoomId;
    use lanparty_proto::PeerId;
    use lanparty_proto::overlay::FrameCount;

    use super::*;
    use crate::frame::SealHeader;
    use crate::sending::Sending;

    const ROOM: RoomId = RoomId([1; 16]);
    const CLEAR: &[u8; 30] = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0a secret payload";

    fn source() -> PeerId {
        PeerId::try_from(5).unwrap()
    }

    #[derive(Clone)]
    struct Wire {
        header: [u8; 6],
        frame: [u8; 30],
        tag: [u8; 16],
    }

    fn seal(sending: &mut Sending, now: Instant) -> Wire {
        let mut frame = *CLEAR;
        let sealed = sending.seal(ROOM, source(), FrameCount::ONE, &mut frame, now);
        let (header, tag) = sealed.unwrap();
        assert_ne!(&frame, CLEAR);
        Wire { header, frame, tag }
    }

    fn open(receiving: &mut Receiving, wire: &Wire, now: Instant) -> Result<(), OpenError> {
        let (ethernet, ciphertext) = wire.frame.split_first_chunk().unwrap();
        let envelope = Envelope {
            room: ROOM,
            source: source(),
            header: SealHeader::decode(wire.header),
            frames: FrameCount::ONE,
            ethernet,
        };
        let mut out = [0; 16];
        receiving.open(&envelope, ciphertext, &wire.tag, &mut out, now)?;
        assert_eq!(out, CLEAR[14..]);
        Ok(())
    }

    fn give(sending: &Sending, receiving: &mut Receiving) {
        for chain in sending.chains() {
            receiving.accept(chain.epoch, *chain.secret.as_bytes());
        }
    }

    fn pair() -> (Sending, Receiving, Instant) {
        let now = crate::test_start();
        let sending = Sending::new([7; 32], now);
        let mut receiving = Receiving::new(0);
        give(&sending, &mut receiving);
        (sending, receiving, now)
    }

    #[test]
    fn a6_each_frame_opens_once_in_whatever_order_it_comes() {
        let (mut sending, mut receiving, now) = pair();
        let frames: Vec<_> = (0..50).map(|_| seal(&mut sending, now)).collect();
        for frame in frames.iter().rev() {
            assert_eq!(open(&mut receiving, frame, now), Ok(()));
        }
        for frame in &frames {
            assert_eq!(open(&mut receiving, frame, now), Err(OpenError::Replayed));
        }
    }

    #[test]
    fn a_step_needs_no_letter_and_loses_no_frame() {
        let (mut sending, mut receiving, now) = pair();
        let before: Vec<_> = (0..3).map(|_| seal(&mut sending, now)).collect();
        assert!(sending.step(now));
        let between = seal(&mut sending, now);
        assert!(sending.step(now) && sending.step(now));
        let after = seal(&mut sending, now);
        assert_eq!(open(&mut receiving, &before[0], now), Ok(()));
        assert_eq!(open(&mut receiving, &after, now), Ok(()));
        assert_eq!(open(&mut receiving, &between, now), Ok(()));
        assert_eq!(open(&mut receiving, &before[1], now), Ok(()));
        receiving.tick(now + LINGER);
        assert_eq!(
            open(&mut receiving, &before[2], now + LINGER),
            Err(OpenError::NoKey)
        );
    }

    #[test]
    fn a_newcomer_cannot_read_what_was_before_it() {
        let (mut sending, _, now) = pair();
        let before = seal(&mut sending, now);
        assert!(sending.step(now));
        let mut newcomer = Receiving::new(0);
        give(&sending, &mut newcomer);
        assert_eq!(open(&mut newcomer, &before, now), Err(OpenError::NoKey));
        let after = seal(&mut sending, now);
        assert_eq!(open(&mut newcomer, &after, now), Ok(()));
    }

    #[test]
    fn whoever_misses_a_generation_reads_nothing_of_it() {
        let (mut sending, mut removed, now) = pair();
        let mut stays = Receiving::new(0);
        give(&sending, &mut stays);
        sending.begin([8; 32], true, now);
        give(&sending, &mut stays);
        for _ in 0..20 {
            let frame = seal(&mut sending, now);
            assert_eq!(open(&mut removed, &frame, now), Err(OpenError::NotYet));
            assert_eq!(open(&mut stays, &frame, now), Ok(()));
            sending.step(now);
        }
    }

    #[test]
    fn a6_a_repeated_letter_does_not_reopen_a_window() {
        let (mut sending, mut receiving, now) = pair();
        let letter: Vec<_> = sending.chains().cloned().collect();
        let old = seal(&mut sending, now);
        assert_eq!(open(&mut receiving, &old, now), Ok(()));
        sending.begin([8; 32], true, now);
        give(&sending, &mut receiving);
        let new = seal(&mut sending, now);
        assert_eq!(open(&mut receiving, &new, now), Ok(()));
        let later = now + LINGER;
        receiving.tick(later);
        for chain in letter {
            receiving.accept(chain.epoch, *chain.secret.as_bytes());
        }
        give(&sending, &mut receiving);
        assert_eq!(open(&mut receiving, &old, later), Err(OpenError::NoKey));
        assert_eq!(open(&mut receiving, &new, later), Err(OpenError::Replayed));
    }

    #[test]
    fn a_forged_step_changes_nothing() {
        let (mut sending, mut receiving, now) = pair();
        let frame = seal(&mut sending, now);
        let mut forged = frame.clone();
        forged.header[0] += 3;
        assert_eq!(open(&mut receiving, &forged, now), Err(OpenError::Forged));
        receiving.tick(now + 2 * LINGER);
        assert_eq!(open(&mut receiving, &frame, now), Ok(()));
    }

    #[test]
    fn a_worn_key_is_replaced_by_the_frame_that_would_be_one_too_many() {
        let (mut sending, mut receiving, now) = pair();
        let epoch = sending.epoch();
        sending.wear_out();
        let frame = seal(&mut sending, now);
        assert_eq!(Some(sending.epoch()), epoch.next_step());
        assert_eq!(open(&mut receiving, &frame, now), Ok(()));
        let epoch = sending.epoch();
        assert!(!sending.tick(now + super::super::sending::EPOCH_TIME));
        assert_eq!(Some(sending.epoch()), epoch.next_step());
    }

    #[test]
    fn a_planned_generation_comes_into_use_after_its_letters() {
        use crate::sending::SWITCH_AFTER;
        let (mut sending, mut receiving, now) = pair();
        sending.begin([8; 32], false, now);
        sending.tick(now + SWITCH_AFTER);
        assert_eq!(sending.epoch().generation(), 1);
        give(&sending, &mut receiving);
        sending.handed_out(now);
        let last = seal(&mut sending, now);
        sending.tick(now + SWITCH_AFTER);
        assert_eq!(sending.epoch().generation(), 2);
        let first = seal(&mut sending, now);
        assert_eq!(open(&mut receiving, &first, now), Ok(()));
        assert_eq!(open(&mut receiving, &last, now), Ok(()));
    }
}
