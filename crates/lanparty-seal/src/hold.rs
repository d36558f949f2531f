//! Frames that came before their key.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lanparty_obs::DropReason;
use lanparty_obs::drops::DropCounts;
use lanparty_proto::PeerId;
use lanparty_proto::overlay::{FrameCount, SEALED_LEN};

/// How long a frame waits for its key: two round trips on a slow path.
pub(crate) const HOLD_TIME: Duration = Duration::from_secs(1);
/// Frames or bundles of one sender, and of all, that may wait (about 400 KB).
const PER_SENDER: usize = 64;
const TOTAL: usize = 256;

/// What a datagram of a sealed kind carries, a frame or a bundle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed<'a> {
    pub(crate) source: PeerId,
    pub(crate) frames: FrameCount,
    pub(crate) header: [u8; SEALED_LEN],
    /// Ethernet header, ciphertext and tag.
    pub(crate) body: &'a [u8],
}

#[derive(Debug, Default)]
pub(crate) struct Hold {
    held: VecDeque<Held>,
}

#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) source: PeerId,
    pub(crate) frames: FrameCount,
    pub(crate) header: [u8; SEALED_LEN],
    body: Vec<u8>,
    since: Instant,
}

impl Held {
    pub(crate) fn sealed(&self) -> Sealed<'_> {
        Sealed {
            source: self.source,
            frames: self.frames,
            header: self.header,
            body: &self.body,
        }
    }
}

impl Hold {
    /// Keeps a frame; false where there is no room for it.
    pub(crate) fn push(&mut self, sealed: Sealed<'_>, now: Instant) -> bool {
        let Sealed {
            source,
            frames,
            header,
            body,
        } = sealed;
        let own = self.held.iter().filter(|held| held.source == source);
        if self.held.len() >= TOTAL || own.count() >= PER_SENDER {
            return false;
        }
        self.held.push_back(Held {
            source,
            frames,
            header,
            body: body.to_vec(),
            since: now,
        });
        true
    }

    /// The oldest frame of a sender that `has_key`.
    pub(crate) fn pop(&mut self, has_key: impl Fn(&Held) -> bool) -> Option<Held> {
        let at = self.held.iter().position(has_key)?;
        self.held.remove(at)
    }

    pub(crate) fn expire(&mut self, now: Instant, drops: &mut DropCounts) {
        let is_late = |held: &mut Held| held.since + HOLD_TIME <= now;
        while self.held.pop_front_if(is_late).is_some() {
            drops.add(DropReason::NoKey);
        }
    }

    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        self.held.front().map(|held| held.since + HOLD_TIME)
    }
}
