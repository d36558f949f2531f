//! Frames that came before their key.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lanparty_obs::DropReason;
use lanparty_obs::drops::DropCounts;
use lanparty_proto::PeerId;
use lanparty_proto::overlay::SEALED_LEN;

/// How long a frame waits for its key: two round trips on a slow path.
pub(crate) const HOLD_TIME: Duration = Duration::from_secs(1);
/// Frames of one sender, and of all, that may wait (about 400 KB).
const PER_SENDER: usize = 64;
const TOTAL: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Hold {
    frames: VecDeque<Held>,
}

#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) source: PeerId,
    pub(crate) header: [u8; SEALED_LEN],
    pub(crate) frame: Vec<u8>,
    since: Instant,
}

impl Hold {
    /// Keeps a frame; false where there is no room for it.
    pub(crate) fn push(
        &mut self,
        source: PeerId,
        header: [u8; SEALED_LEN],
        frame: &[u8],
        now: Instant,
    ) -> bool {
        let own = self.frames.iter().filter(|held| held.source == source);
        if self.frames.len() >= TOTAL || own.count() >= PER_SENDER {
            return false;
        }
        self.frames.push_back(Held {
            source,
            header,
            frame: frame.to_vec(),
            since: now,
        });
        true
    }

    /// The oldest frame of a sender that `has_key`.
    pub(crate) fn pop(&mut self, has_key: impl Fn(&Held) -> bool) -> Option<Held> {
        let at = self.frames.iter().position(has_key)?;
        self.frames.remove(at)
    }

    pub(crate) fn expire(&mut self, now: Instant, drops: &mut DropCounts) {
        while self
            .frames
            .pop_front_if(|held| held.since + HOLD_TIME <= now)
            .is_some()
        {
            drops.add(DropReason::NoKey);
        }
    }

    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        self.frames.front().map(|held| held.since + HOLD_TIME)
    }
}
