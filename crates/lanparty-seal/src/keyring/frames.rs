//! The way of frames: nothing here allocates for a frame whose key is there.

use std::time::Instant;

use lanparty_obs::DropReason;
use lanparty_proto::overlay::{FrameCount, SEALED_LEN, TAG_LEN};
use lanparty_proto::{PeerId, ethernet};

use super::Keyring;
use crate::frame::{Envelope, SealError, SealHeader};
use crate::hold::Sealed;
use crate::receiving::OpenError;

/// What became of a sealed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    Frame,
    /// Its key has not come yet: it waits for a moment.
    Held,
}

impl Keyring {
    /// Encrypts what follows the Ethernet header of `body` in place: a frame,
    /// or a bundle of so many. Returns what goes before it and behind it.
    ///
    /// # Errors
    /// For a frame that is none, or where all counters are used up.
    pub fn seal(
        &mut self,
        source: PeerId,
        frames: FrameCount,
        body: &mut [u8],
        now: Instant,
    ) -> Result<([u8; SEALED_LEN], [u8; TAG_LEN]), SealError> {
        self.sending.seal(self.room, source, frames, body, now)
    }

    /// Opens what `source` sealed: Ethernet header, ciphertext and tag. `out`
    /// becomes the frame, or the bundle of so many.
    ///
    /// # Errors
    /// Why it was dropped.
    pub fn open(
        &mut self,
        source: PeerId,
        frames: FrameCount,
        header: [u8; SEALED_LEN],
        sealed: &[u8],
        out: &mut Vec<u8>,
        now: Instant,
    ) -> Result<Opened, DropReason> {
        let sealed = Sealed {
            source,
            frames,
            header,
            body: sealed,
        };
        match self.try_open(sealed, out, now) {
            Ok(()) => Ok(Opened::Frame),
            Err(OpenError::NotYet)
                if self.may_get_key(source, now) && self.hold.push(sealed, now) =>
            {
                Ok(Opened::Held)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The next frame, or bundle of so many, whose key came after it, or why
    /// that one is dropped.
    pub fn release(
        &mut self,
        out: &mut Vec<u8>,
        now: Instant,
    ) -> Option<(PeerId, FrameCount, Result<(), DropReason>)> {
        if !self.may_release {
            return None;
        }
        let members = &self.members;
        let held = self.hold.pop(|held| {
            let [epoch, ..] = held.header;
            let member = members.get(&held.source);
            member.is_some_and(|member| member.receiving.knows(epoch))
        });
        let Some(held) = held else {
            self.may_release = false;
            return None;
        };
        let opened = self.try_open(held.sealed(), out, now);
        Some((held.source, held.frames, opened.map_err(DropReason::from)))
    }

    fn try_open(
        &mut self,
        sealed: Sealed<'_>,
        out: &mut Vec<u8>,
        now: Instant,
    ) -> Result<(), OpenError> {
        let (ethernet, payload) = sealed
            .body
            .split_first_chunk::<{ ethernet::HEADER_LEN }>()
            .ok_or(OpenError::Shape)?;
        let (ciphertext, tag) = payload
            .split_last_chunk::<TAG_LEN>()
            .ok_or(OpenError::Shape)?;
        let member = self.members.get_mut(&sealed.source);
        let member = member.ok_or(OpenError::NoKey)?;
        if member.removed {
            return Err(OpenError::NoKey);
        }
        // What is there already needs no zeros before it is written over.
        out.resize(ethernet::HEADER_LEN + ciphertext.len(), 0);
        let (to_ethernet, to_payload) = out
            .split_first_chunk_mut::<{ ethernet::HEADER_LEN }>()
            .ok_or(OpenError::Shape)?;
        *to_ethernet = *ethernet;
        let envelope = Envelope {
            room: self.room,
            source: sealed.source,
            header: SealHeader::decode(sealed.header),
            frames: sealed.frames,
            ethernet,
        };
        member
            .receiving
            .open(&envelope, ciphertext, tag, to_payload, now)
    }

    /// Whether the key of such a frame may be on its way.
    fn may_get_key(&mut self, source: PeerId, now: Instant) -> bool {
        let Some(member) = self.members.get_mut(&source) else {
            return false;
        };
        if member.verified.is_some() {
            member.miss(now);
            let ask = member.ask.map(|(at, _)| at);
            self.wakeup = [self.wakeup, ask].into_iter().flatten().min();
            true
        } else {
            !member.told_unverified && !member.removed
        }
    }
}

impl From<OpenError> for DropReason {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Shape => Self::Runt,
            OpenError::NoKey | OpenError::NotYet => Self::NoKey,
            OpenError::Forged => Self::SealForged,
            OpenError::Replayed => Self::SealReplayed,
        }
    }
}
