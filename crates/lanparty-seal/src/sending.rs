//! The keys under which this member sends.

use std::time::{Duration, Instant};

use lanparty_proto::PeerId;
use lanparty_proto::ethernet;
use lanparty_proto::overlay::{FrameCount, SEALED_LEN, TAG_LEN};

use crate::chain::Chain;
use crate::epoch::Epoch;
use crate::frame::{Envelope, FrameKey, MAX_COUNTER, SealError, SealHeader};
use lanparty_ctrl::RoomId;

/// Frames and time that one frame key serves (design section 11). 2^27 frames
/// of 1,514 bytes are 2^34 blocks: GCM's bound on what they give away is 2^-60.
pub(crate) const EPOCH_FRAMES: u64 = 1 << 27;
pub(crate) const EPOCH_TIME: Duration = Duration::from_secs(600);
/// How long the letters of a new generation may take to their readers before
/// the first frame under it: a round trip across the world.
pub(crate) const SWITCH_AFTER: Duration = Duration::from_millis(500);

/// A generation is used by then even where others keep us busy with what else
/// they ask for: with the time for which departures are gathered, who left
/// reads nothing later than two seconds after that.
const HAND_OUT_AT_MOST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Sending {
    chain: Chain,
    key: FrameKey,
    counter: u64,
    since: Instant,
    /// Frames of the session before this epoch.
    before: u64,
    next: Option<Next>,
}

/// A generation that is being handed out.
#[derive(Debug)]
struct Next {
    chain: Chain,
    use_at: Instant,
}

impl Sending {
    pub(crate) fn new(secret: [u8; 32], now: Instant) -> Self {
        let chain = Chain::new(Epoch::of_generation(1), secret);
        Self {
            key: chain.frame_key(),
            chain,
            counter: 0,
            since: now,
            before: 0,
            next: None,
        }
    }

    /// The secrets that a reader needs now and soon, oldest first.
    pub(crate) fn chains(&self) -> impl Iterator<Item = &Chain> {
        let next = self.next.as_ref().map(|next| &next.chain);
        std::iter::once(&self.chain).chain(next)
    }

    pub(crate) fn newest_generation(&self) -> u64 {
        self.chains()
            .map(|chain| chain.epoch.generation())
            .max()
            .unwrap_or(0)
    }

    /// Moves on to an epoch that everyone with the present one can derive, and
    /// whose secret tells nothing of the present one. False at the end of the
    /// generation.
    pub(crate) fn step(&mut self, now: Instant) -> bool {
        let Some(chain) = self.chain.next() else {
            return false;
        };
        self.switch(chain, now);
        true
    }

    /// Begins a generation that nobody has yet. Frames use it at once, or once
    /// it is handed out.
    pub(crate) fn begin(&mut self, secret: [u8; 32], at_once: bool, now: Instant) {
        let generation = self.newest_generation() + 1;
        let chain = Chain::new(Epoch::of_generation(generation), secret);
        if at_once {
            self.next = None;
            self.switch(chain, now);
        } else {
            let use_at = now + HAND_OUT_AT_MOST;
            self.next = Some(Next { chain, use_at });
        }
    }

    pub(crate) const fn hands_out(&self) -> bool {
        self.next.is_some()
    }

    /// Everyone has been sent the next generation.
    pub(crate) fn handed_out(&mut self, now: Instant) {
        if let Some(next) = &mut self.next {
            next.use_at = next.use_at.min(now + SWITCH_AFTER);
        }
    }

    /// Does what is due; true where a new generation has to begin because the
    /// present one has no epochs left.
    pub(crate) fn tick(&mut self, now: Instant) -> bool {
        if let Some(next) = self.next.take_if(|next| next.use_at <= now) {
            self.switch(next.chain, now);
        }
        self.is_worn(now) && !self.step(now) && self.next.is_none()
    }

    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        // A worn key is replaced with what is being handed out.
        match &self.next {
            Some(next) => Some(next.use_at),
            None => Some(self.since + EPOCH_TIME),
        }
    }

    /// Frames of the session so far.
    pub(crate) const fn sealed(&self) -> u64 {
        self.before + self.counter
    }

    /// Whether nothing was sealed in this epoch before a member came, which
    /// was when `sealed` frames had been, so that it may have the secret.
    pub(crate) const fn is_open_to_who_came(&self, sealed: u64) -> bool {
        sealed <= self.before
    }

    /// Encrypts what follows the Ethernet header of `body` in place: a frame,
    /// or a bundle of so many. Returns what goes before it and behind it.
    pub(crate) fn seal(
        &mut self,
        room: RoomId,
        source: PeerId,
        frames: FrameCount,
        body: &mut [u8],
        now: Instant,
    ) -> Result<([u8; SEALED_LEN], [u8; TAG_LEN]), SealError> {
        if self.counter >= EPOCH_FRAMES {
            // Without a step left the tick begins a generation; until then the
            // counter has room for an hour of the fastest network there is.
            self.step(now);
        }
        if self.counter > MAX_COUNTER {
            return Err(SealError);
        }
        let header = SealHeader {
            epoch: self.chain.epoch.wire(),
            counter: self.counter,
        };
        self.counter += 1;
        let (ethernet, payload) = body
            .split_first_chunk_mut::<{ ethernet::HEADER_LEN }>()
            .ok_or(SealError)?;
        let envelope = Envelope {
            room,
            source,
            header,
            frames,
            ethernet,
        };
        let tag = self.key.seal(&envelope, payload)?;
        Ok((header.encode(), tag))
    }

    fn is_worn(&self, now: Instant) -> bool {
        self.since + EPOCH_TIME <= now || self.counter >= EPOCH_FRAMES
    }

    fn switch(&mut self, chain: Chain, now: Instant) {
        self.key = chain.frame_key();
        self.chain = chain;
        self.before += self.counter;
        self.counter = 0;
        self.since = now;
    }

    #[cfg(test)]
    pub(crate) const fn epoch(&self) -> Epoch {
        self.chain.epoch
    }

    #[cfg(test)]
    pub(crate) const fn wear_out(&mut self) {
        self.counter = EPOCH_FRAMES;
    }
}
