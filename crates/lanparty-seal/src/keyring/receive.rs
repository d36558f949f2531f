//! Messages of the others, each believed as far as its proofs go.

use std::time::{Duration, Instant};

use lanparty_ctrl::{KeyCard, Role};
use lanparty_proto::PeerId;

use super::{
    JOIN_BATCH, KEY_LETTER, KeyEvent, Keyring, ROTATION_LETTER, heartbeat_bytes, letter_info,
};
use crate::RoomKey;
use crate::body::{Announce, Body, Heartbeat, Key, Request, Roster, Sealed};
use crate::letter;
use crate::member::{MemberId, Verified};
use crate::primitives::{mac_holds, signature_holds};
use crate::removals::{self, KnownRoster};

/// A key is sent again to who asks for it, but not more often than this.
const ANSWER_AFTER: Duration = Duration::from_secs(1);
/// How long two members may disagree while news travels.
pub(super) const SETTLE: Duration = Duration::from_secs(20);
/// Heartbeats in a row that have to disagree.
const DISAGREEMENTS: u8 = 2;

/// Why a message changed nothing; for the debug log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbelievable {
    #[error("not a body of a sealed message")]
    Malformed,
    #[error("its sender is not a member")]
    Stranger,
    #[error("its sender has not proven that it holds the room key, or was removed")]
    Unverified,
    #[error("it is older than what is known")]
    Old,
    #[error("only the host may send it")]
    NotTheHost,
    #[error("its proof does not hold")]
    Proof,
}

impl Keyring {
    /// Takes a message that the relay says is from `from`.
    ///
    /// # Errors
    /// Why it changed nothing.
    pub fn receive(&mut self, from: PeerId, body: &[u8], now: Instant) -> Result<(), Unbelievable> {
        let body = Body::decode(body).map_err(|_| Unbelievable::Malformed)?;
        match body {
            Body::Announce(announce) => self.announced(from, &announce, now),
            Body::Key(key) => self.key_came(from, &key),
            Body::Request(request) => self.asked(from, request, now),
            Body::Roster(roster) => self.roster_came(from, &roster, now),
            Body::Heartbeat(heartbeat) => self.heartbeat_came(from, &heartbeat, now),
            Body::Rotation(rotation) => self.rotation_came(from, &rotation.sealed),
        }?;
        self.wakeup = Some(now);
        Ok(())
    }

    fn announced(
        &mut self,
        from: PeerId,
        announce: &Announce,
        now: Instant,
    ) -> Result<(), Unbelievable> {
        let member = self.members.get(&from).ok_or(Unbelievable::Stranger)?;
        if member.removed {
            return Err(Unbelievable::Unverified);
        }
        let info = &member.info;
        let card = KeyCard {
            x25519: announce.x25519,
            signature: announce.signature,
            ..info.key_card
        };
        let input = self.announce_mac_input(info, &card, announce.number);
        if card.verify(info.mac, info.role).is_err()
            || !mac_holds(self.card_key.as_bytes(), &input, &announce.mac)
        {
            return Err(Unbelievable::Proof);
        }

        let Some(member) = self.members.get_mut(&from) else {
            return Err(Unbelievable::Stranger);
        };
        let mut missing = false;
        let verified = match &mut member.verified {
            Some(verified) if announce.number < verified.number => return Err(Unbelievable::Old),
            Some(verified) => {
                verified.number = announce.number;
                verified.x25519 = announce.x25519;
                verified
            }
            unproven => {
                if std::mem::take(&mut member.told_unverified) {
                    self.events.push_back(KeyEvent::Verified(from));
                }
                self.changed = now;
                let verified =
                    unproven.insert(Verified::new(announce.number, announce.x25519, now));
                verified.entitled = self.sending.is_open_to_who_came(member.came_after);
                if !verified.entitled {
                    self.step_at.get_or_insert(now + JOIN_BATCH);
                }
                member.ask = None;
                missing = true;
                verified
            }
        };
        if announce.ask && verified.announced.is_none_or(|at| at + ANSWER_AFTER <= now) {
            verified.announced = Some(now);
            verified.announce_due = true;
        }
        if missing {
            member.miss(now);
        }
        self.meet_host(from);
        Ok(())
    }

    fn key_came(&mut self, from: PeerId, key: &Key) -> Result<(), Unbelievable> {
        let member = self.members.get(&from).ok_or(Unbelievable::Stranger)?;
        member.trusted().ok_or(Unbelievable::Unverified)?;
        if !member.receiving.wants(key.epoch) {
            return Err(Unbelievable::Old);
        }
        let secret = self.open_letter(from, KEY_LETTER, key.epoch.get(), &key.sealed)?;
        if let Some(member) = self.members.get_mut(&from) {
            member.receiving.accept(key.epoch, secret);
            member.ask = None;
        }
        self.may_release = true;
        Ok(())
    }

    fn asked(&mut self, from: PeerId, request: Request, now: Instant) -> Result<(), Unbelievable> {
        let newest = self.sending.newest_generation();
        let member = self.members.get_mut(&from).ok_or(Unbelievable::Stranger)?;
        let verified = member.trusted_mut().ok_or(Unbelievable::Unverified)?;
        if verified.answered.is_some_and(|at| now < at + ANSWER_AFTER) {
            return Err(Unbelievable::Old);
        }
        verified.answered = Some(now);
        verified.given = 0;
        if request.generation > newest {
            self.plan_rekey(now + super::LEAVE_BATCH, false);
        }
        Ok(())
    }

    fn roster_came(
        &mut self,
        from: PeerId,
        roster: &Roster,
        now: Instant,
    ) -> Result<(), Unbelievable> {
        let member = self.members.get(&from).ok_or(Unbelievable::Stranger)?;
        member.trusted().ok_or(Unbelievable::Unverified)?;
        if member.info.role != Role::Gateway || self.role == Role::Gateway {
            return Err(Unbelievable::NotTheHost);
        }
        let host = member.id();
        if self.host != Some(host) {
            return Err(Unbelievable::NotTheHost);
        }
        let known = self.roster.as_ref().filter(|known| known.host == host);
        if known.is_some_and(|known| roster.version <= known.version) {
            return Err(Unbelievable::Old);
        }
        let public_key = &member.info.key_card.public_key;
        if !removals::holds(self.room, host, public_key, roster) {
            return Err(Unbelievable::Proof);
        }
        self.roster = Some(KnownRoster::new(self.room, host, roster));
        self.apply_roster(now);
        Ok(())
    }

    fn heartbeat_came(
        &mut self,
        from: PeerId,
        heartbeat: &Heartbeat,
        now: Instant,
    ) -> Result<(), Unbelievable> {
        let (_, roster) = self.roster_state();
        let host_is_here = self.role == Role::Gateway
            || self
                .members
                .values()
                .any(|member| member.info.role == Role::Gateway && member.trusted().is_some());
        let agrees = heartbeat.members == self.members_hash()
            && (!host_is_here || heartbeat.roster == roster);
        let settled = self.changed + SETTLE <= now;

        let room = self.room;
        let member = self.members.get_mut(&from).ok_or(Unbelievable::Stranger)?;
        let message = heartbeat_bytes(room, member.id(), heartbeat);
        let public_key = member.info.key_card.public_key;
        let verified = member.trusted_mut().ok_or(Unbelievable::Unverified)?;
        if heartbeat.counter <= verified.heartbeat {
            return Err(Unbelievable::Old);
        }
        if !signature_holds(&public_key, &message, &heartbeat.signature) {
            return Err(Unbelievable::Proof);
        }
        verified.heartbeat = heartbeat.counter;
        if self.own_roster.is_some() && heartbeat.roster != roster {
            // It may have got lost on its way.
            verified.roster_given = 0;
        }
        if agrees {
            verified.disagreements = 0;
            verified.agreed = now;
            if std::mem::take(&mut verified.told_split) {
                self.events.push_back(KeyEvent::SplitEnded(from));
            }
        } else if settled {
            verified.disagreements = verified.disagreements.saturating_add(1);
            if verified.disagreements >= DISAGREEMENTS && !verified.told_split {
                verified.told_split = true;
                self.events.push_back(KeyEvent::Split(from));
            }
        }
        if heartbeat.generation > member.receiving.floor() {
            member.miss(now);
        }
        Ok(())
    }

    fn rotation_came(&mut self, from: PeerId, sealed: &Sealed) -> Result<(), Unbelievable> {
        let member = self.members.get(&from).ok_or(Unbelievable::Stranger)?;
        member.trusted().ok_or(Unbelievable::Unverified)?;
        if self.role == Role::Gateway || self.host != Some(member.id()) {
            return Err(Unbelievable::NotTheHost);
        }
        let key = self.open_letter(from, ROTATION_LETTER, 0, sealed)?;
        let key = RoomKey::from_bytes(key);
        self.events.push_back(KeyEvent::RoomKeyRotated(key));
        Ok(())
    }

    /// The first gateway that proves itself is the host for as long as this
    /// program runs. It may come back in another session, and then the word of
    /// the former one is old, even if somebody plays it again.
    fn meet_host(&mut self, from: PeerId) {
        let Some(member) = self.members.get(&from) else {
            return;
        };
        let id = member.id();
        if member.info.role != Role::Gateway
            || member.trusted().is_none()
            || self.former_hosts.contains(&id.session)
        {
            return;
        }
        match self.host {
            None => self.host = Some(id),
            Some(host) if host.identity == id.identity && host.session != id.session => {
                self.former_hosts.insert(host.session);
                self.host = Some(id);
            }
            Some(_) => {}
        }
    }

    fn open_letter(
        &self,
        from: PeerId,
        purpose: &str,
        epoch: u64,
        sealed: &Sealed,
    ) -> Result<[u8; 32], Unbelievable> {
        let member = self.members.get(&from).ok_or(Unbelievable::Stranger)?;
        let private = self.own.private(sealed.number).ok_or(Unbelievable::Old)?;
        let own = MemberId::of(&self.own.card);
        let info = letter_info(purpose, self.room, member.id(), own, epoch);
        letter::read(
            sealed,
            &info,
            &member.info.key_card.public_key,
            &self.letter_key,
            private,
        )
        .ok_or(Unbelievable::Proof)
    }
}
