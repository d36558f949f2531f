//! The keys of a room, beside the control stream that carries their messages.

use std::time::Instant;

use lanparty_ctrl::{CloseCode, Message, PeerInfo, Role, Sealed, SealedBody};
use lanparty_proto::PeerId;
use lanparty_seal::{KeyEvent, Standing};

use super::Session;
use crate::effect::{KeyNews, SessionEvent};

impl Session {
    /// Whether another member proved that it holds the room key; nothing in a
    /// room without one.
    #[must_use]
    pub fn standing(&self, peer: PeerId) -> Option<Standing> {
        self.keys.as_ref()?.standing(peer)
    }

    /// As a gateway: tells every verified member the key of the room that
    /// takes this one's place.
    pub fn announce_next_key(&mut self, key: &lanparty_seal::RoomKey, now: Instant) {
        if let Some(keys) = &mut self.keys {
            keys.rotate_to(key, now);
        }
        self.send_key_messages(now);
    }

    pub(super) fn key_message(&mut self, sealed: &Sealed, now: Instant) {
        if let (Some(keys), Some(from)) = (&mut self.keys, sealed.peer) {
            // The relay may send what it likes; what proves nothing changes
            // nothing.
            let _refused = keys.receive(from, sealed.body.as_bytes(), now);
        }
    }

    pub(super) fn key_member_left(&mut self, peer: PeerId, reason: CloseCode, now: Instant) {
        let was_removed = matches!(
            reason,
            CloseCode::Removed | CloseCode::NotAdmitted | CloseCode::ApprovalPending
        );
        if let Some(keys) = &mut self.keys {
            keys.member_left(peer, was_removed, now);
        }
    }

    /// As a gateway: whom the host has banned gets no keys, whatever the relay
    /// lets in.
    pub(super) fn keep_out(&mut self, now: Instant) {
        if let (Some(keys), Role::Gateway) = (&mut self.keys, self.config.role) {
            let banned = self.config.access.banned.iter().map(|identity| identity.0);
            keys.set_banned(banned, now);
        }
    }

    /// Sends what the keys have to say and tells what they found.
    pub(super) fn send_key_messages(&mut self, now: Instant) {
        if !self.is_joined() {
            return;
        }
        while let Some(keys) = &mut self.keys
            && let Some((peer, body)) = keys.poll(now, &mut self.rng, &mut self.tunnel.drops)
        {
            if let Ok(body) = SealedBody::try_from(body) {
                self.send(&Message::Sealed(Sealed { peer, body }));
            }
        }
        while let Some(keys) = &mut self.keys
            && let Some(event) = keys.poll_event()
        {
            if let Some(news) = self.key_news(event) {
                self.event(SessionEvent::Keys(news));
            }
        }
    }

    pub(super) fn next_key_wakeup(&self) -> Option<Instant> {
        let keys = self.keys.as_ref().filter(|_| self.is_joined())?;
        keys.next_wakeup()
    }

    fn key_news(&self, event: KeyEvent) -> Option<KeyNews> {
        let member =
            |peer| -> Option<Box<PeerInfo>> { self.roster.get(peer).cloned().map(Box::new) };
        Some(match event {
            KeyEvent::Unverified(peer) => KeyNews::Unverified(member(peer)?),
            KeyEvent::Verified(peer) => KeyNews::Verified(member(peer)?),
            KeyEvent::Removed(peer) => KeyNews::Removed(member(peer)?),
            KeyEvent::Split(peer) => KeyNews::Split(member(peer)?),
            KeyEvent::SplitEnded(peer) => KeyNews::SplitEnded(member(peer)?),
            KeyEvent::RoomKeyRotated(key) => KeyNews::RoomKeyRotated(key),
        })
    }
}
