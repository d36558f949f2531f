//! Messages to the others, in the order of their urgency.

use std::time::Instant;

use lanparty_ctrl::KeyCard;
use lanparty_proto::PeerId;
use rand::CryptoRng;

use super::{KEY_LETTER, Keyring, ROTATION_LETTER, announce_bytes, heartbeat_bytes, letter_info};
use crate::body::{Announce, Body, Heartbeat, Key, Request, Rotation, Sealed};
use crate::epoch::Epoch;
use crate::letter;
use crate::member::{Member, MemberId};
use crate::primitives::mac;
use crate::secret::Secret;

impl Keyring {
    pub(super) fn write_next(
        &mut self,
        now: Instant,
        rng: &mut impl CryptoRng,
    ) -> Option<(Option<PeerId>, Vec<u8>)> {
        if let Some(ask) = self.announce_all.take() {
            return Some((None, self.announce(ask).encode()));
        }
        // From behind the one who was served last, so that nobody who asks and
        // asks keeps us from the others.
        let (before, behind): (Vec<_>, Vec<_>) = self
            .members
            .keys()
            .copied()
            .partition(|peer| Some(*peer) <= self.served);
        for peer in behind.into_iter().chain(before) {
            if let Some(body) = self.write_to(peer, now, rng) {
                self.served = Some(peer);
                return Some((Some(peer), body.encode()));
            }
        }
        if self.heartbeat_at.is_some_and(|at| at <= now) {
            self.heartbeat_at = Some(now + self.heartbeat_interval());
            return Some((None, self.beat().encode()));
        }
        None
    }

    /// Whether this member waits for a letter with one of our keys.
    pub(super) fn owes_key(&self, member: &Member) -> bool {
        let newest = self.sending.newest_generation();
        member
            .trusted()
            .is_some_and(|verified| verified.entitled && verified.given < newest)
    }

    fn write_to(&mut self, peer: PeerId, now: Instant, rng: &mut impl CryptoRng) -> Option<Body> {
        let member = self.members.get_mut(&peer)?;
        let to = member.id();
        let generation = member.receiving.floor() + 1;
        let asks = !member.removed && member.asks(now);
        if asks && member.verified.is_none() {
            return Some(self.announce(true));
        }
        let verified = member.trusted_mut()?;
        if asks {
            return Some(Body::Request(Request { generation }));
        }
        if std::mem::take(&mut verified.announce_due) {
            return Some(self.announce(false));
        }
        if let Some(roster) = &self.own_roster
            && verified.roster_given < roster.version
        {
            verified.roster_given = roster.version;
            return Some(Body::Roster(roster.clone()));
        }
        let address = (verified.x25519, verified.number);
        if verified.entitled {
            let given = verified.given;
            let due = self.sending.chains().find(|c| c.epoch.generation() > given);
            if let Some(chain) = due.cloned() {
                verified.given = chain.epoch.generation();
                let sealed =
                    self.letter(KEY_LETTER, chain.epoch, &chain.secret, to, address, rng)?;
                let epoch = chain.epoch;
                return Some(Body::Key(Key { epoch, sealed }));
            }
        }
        if let Some((next, present)) = &self.rotation
            && present.contains(&to)
            && !verified.rotation_given
        {
            let next = next.clone();
            verified.rotation_given = true;
            let epoch = Epoch::new(0);
            let sealed = self.letter(ROTATION_LETTER, epoch, &next, to, address, rng)?;
            return Some(Body::Rotation(Rotation { sealed }));
        }
        None
    }

    fn announce(&self, ask: bool) -> Body {
        let KeyCard {
            x25519, signature, ..
        } = self.own.card;
        let number = self.own.number;
        let input = announce_bytes(
            self.room,
            number,
            &self.own.card,
            self.mac,
            self.role,
            &self.name,
        );
        Body::Announce(Announce {
            ask,
            number,
            x25519,
            signature,
            mac: mac(self.card_key.as_bytes(), &input),
        })
    }

    fn letter(
        &self,
        purpose: &str,
        epoch: Epoch,
        secret: &Secret,
        to: MemberId,
        (x25519, number): ([u8; 32], u32),
        rng: &mut impl CryptoRng,
    ) -> Option<Sealed> {
        let from = MemberId::of(&self.own.card);
        let info = letter_info(purpose, self.room, from, to, epoch.get());
        letter::write(
            secret.as_bytes(),
            &info,
            (&x25519, number),
            &self.letter_key,
            &self.signer,
            rng,
        )
    }

    fn beat(&mut self) -> Body {
        self.heartbeat += 1;
        let (roster_version, roster) = self.roster_state();
        let mut heartbeat = Heartbeat {
            counter: self.heartbeat,
            generation: self.sending.newest_generation(),
            roster_version,
            roster,
            members: self.members_hash(),
            signature: [0; 64],
        };
        let from = MemberId::of(&self.own.card);
        heartbeat.signature = self
            .signer
            .sign(&heartbeat_bytes(self.room, from, &heartbeat));
        Body::Heartbeat(heartbeat)
    }
}
