//! One other member of the room and what was proven of it.

use std::time::{Duration, Instant};

use lanparty_ctrl::{KeyCard, PeerInfo};
use lanparty_obs::diagnostics::Standing;

use crate::receiving::Receiving;

/// A member that has not shown a valid card by then is called unverified; a
/// proof that comes later counts all the same.
pub(crate) const PROVE_WITHIN: Duration = Duration::from_secs(5);
/// What did not come by itself is asked for after this time, and after twice
/// the time each further time, at most [`ASK_AT_MOST`].
const ASK_AFTER: Duration = Duration::from_secs(2);
const ASK_AT_MOST: Duration = Duration::from_secs(30);

/// An identity in one of its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MemberId {
    pub(crate) identity: [u8; 32],
    pub(crate) session: [u8; 16],
}

impl MemberId {
    pub(crate) const fn of(card: &KeyCard) -> Self {
        Self {
            identity: card.identity,
            session: card.session,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) info: PeerInfo,
    pub(crate) listed: Instant,
    /// Frames that we had sealed before it came.
    pub(crate) came_after: u64,
    pub(crate) told_unverified: bool,
    pub(crate) removed: bool,
    pub(crate) verified: Option<Verified>,
    pub(crate) receiving: Receiving,
    /// When to ask it for its announcement or its key, and how patiently.
    pub(crate) ask: Option<(Instant, Duration)>,
}

/// What belongs to a member with a valid card.
#[derive(Debug)]
pub(crate) struct Verified {
    /// Its present X25519 key and the number of that.
    pub(crate) number: u32,
    pub(crate) x25519: [u8; 32],
    /// Whether it may have our present key. A newcomer waits for the next.
    pub(crate) entitled: bool,
    /// The newest of our generations that it was sent.
    pub(crate) given: u64,
    pub(crate) announce_due: bool,
    /// The version of our roster that it was sent.
    pub(crate) roster_given: u64,
    pub(crate) rotation_given: bool,
    /// When it last asked for a key, and for our announcement.
    pub(crate) answered: Option<Instant>,
    pub(crate) announced: Option<Instant>,
    pub(crate) heartbeat: u64,
    pub(crate) disagreements: u8,
    /// Its last heartbeat that agreed with us, or its proof.
    pub(crate) agreed: Instant,
    pub(crate) told_split: bool,
}

impl Verified {
    pub(crate) const fn new(number: u32, x25519: [u8; 32], now: Instant) -> Self {
        Self {
            number,
            x25519,
            entitled: false,
            given: 0,
            announce_due: false,
            roster_given: 0,
            rotation_given: false,
            answered: None,
            announced: None,
            heartbeat: 0,
            disagreements: 0,
            agreed: now,
            told_split: false,
        }
    }
}

impl Member {
    pub(crate) fn new(info: PeerInfo, floor: u64, came_after: u64, now: Instant) -> Self {
        Self {
            info,
            listed: now,
            came_after,
            told_unverified: false,
            removed: false,
            verified: None,
            receiving: Receiving::new(floor),
            ask: Some((now + ASK_AFTER, ASK_AFTER)),
        }
    }

    /// Something of it is missing.
    pub(crate) fn miss(&mut self, now: Instant) {
        self.ask.get_or_insert((now + ASK_AFTER, ASK_AFTER));
    }

    /// Whether to ask for what is missing now.
    pub(crate) fn asks(&mut self, now: Instant) -> bool {
        let Some((at, patience)) = &mut self.ask else {
            return false;
        };
        let due = *at <= now;
        if due {
            *patience = patience.saturating_mul(2).min(ASK_AT_MOST);
            *at = now + *patience;
        }
        due
    }

    pub(crate) const fn id(&self) -> MemberId {
        MemberId::of(&self.info.key_card)
    }

    pub(crate) const fn standing(&self) -> Standing {
        if self.removed {
            Standing::Removed
        } else if self.verified.is_some() {
            Standing::Verified
        } else if self.told_unverified {
            Standing::Unverified
        } else {
            Standing::Checking
        }
    }

    /// With a valid card, and not removed by the host.
    pub(crate) fn trusted(&self) -> Option<&Verified> {
        self.verified.as_ref().filter(|_| !self.removed)
    }

    pub(crate) fn trusted_mut(&mut self) -> Option<&mut Verified> {
        self.verified.as_mut().filter(|_| !self.removed)
    }
}
