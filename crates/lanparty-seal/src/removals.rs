//! Whom the host has removed, signed by it so that no relay can hide it
//! without being seen.

use std::collections::{BTreeSet, VecDeque};

use lanparty_ctrl::RoomId;

use crate::body::{MAX_REMOVED, Roster};
use crate::member::MemberId;
use crate::primitives::{fixed, labelled, sha256, signature_holds};
use crate::signer::Signer;

/// Banned identities that a roster can name.
pub const MAX_BANNED: usize = 256;
/// Sessions that a roster can name; the oldest make room.
const MAX_KICKED: usize = MAX_REMOVED - MAX_BANNED;

/// What the host has decided.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    banned: BTreeSet<[u8; 32]>,
    kicked: VecDeque<MemberId>,
    version: u64,
}

impl Removals {
    pub(crate) fn ban(&mut self, identities: impl IntoIterator<Item = [u8; 32]>) {
        self.banned = identities.into_iter().take(MAX_BANNED).collect();
    }

    pub(crate) fn kick(&mut self, member: MemberId) {
        if self.kicked.len() >= MAX_KICKED {
            self.kicked.pop_front();
        }
        self.kicked.push_back(member);
    }

    /// The next roster of the host whose session this is.
    pub(crate) fn publish(&mut self, room: RoomId, host: MemberId, signer: &Signer) -> Roster {
        self.version = self.version.saturating_add(1);
        let banned = self.banned.iter().map(entry_of_identity);
        let kicked = self.kicked.iter().map(entry_of_session);
        let mut roster = Roster {
            version: self.version,
            removed: banned.chain(kicked).collect(),
            signature: [0; 64],
        };
        roster.signature = signer.sign(&signed_bytes(room, host, &roster));
        roster
    }
}

/// The host's latest word.
#[derive(Debug)]
pub(crate) struct KnownRoster {
    pub(crate) host: MemberId,
    pub(crate) version: u64,
    pub(crate) hash: [u8; 32],
    removed: BTreeSet<[u8; 12]>,
}

impl KnownRoster {
    pub(crate) fn new(room: RoomId, host: MemberId, roster: &Roster) -> Self {
        Self {
            host,
            version: roster.version,
            hash: sha256(&signed_bytes(room, host, roster)),
            removed: roster.removed.iter().copied().collect(),
        }
    }

    pub(crate) fn removes(&self, member: MemberId) -> bool {
        self.removed.contains(&entry_of_identity(&member.identity))
            || self.removed.contains(&entry_of_session(&member))
    }
}

pub(crate) fn holds(room: RoomId, host: MemberId, public_key: &[u8; 32], roster: &Roster) -> bool {
    let message = signed_bytes(room, host, roster);
    signature_holds(public_key, &message, &roster.signature)
}

fn signed_bytes(room: RoomId, host: MemberId, roster: &Roster) -> Vec<u8> {
    let count = u16::try_from(roster.removed.len()).unwrap_or(u16::MAX);
    labelled(
        "lanparty/1 removed members",
        &[
            &room.0,
            &host.identity,
            &host.session,
            &roster.version.to_be_bytes(),
            &count.to_be_bytes(),
            roster.removed.as_flattened(),
        ],
    )
}

fn entry_of_identity(identity: &[u8; 32]) -> [u8; 12] {
    fixed(&sha256(&labelled(
        "lanparty/1 banned identity",
        &[identity],
    )))
}

fn entry_of_session(member: &MemberId) -> [u8; 12] {
    let fields: [&[u8]; 2] = [&member.identity, &member.session];
    fixed(&sha256(&labelled("lanparty/1 kicked session", &fields)))
}
