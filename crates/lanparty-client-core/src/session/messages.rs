//! What the relay says on the control stream.

use std::time::{Duration, Instant};

use lanparty_ctrl::{
    CloseCode, ControlError, Disconnect, Incoming, Message, PeerInfo, PeerLeft, Reject, Restarting,
    Role, RoomPolicy, VersionMismatch, Welcome,
};

use super::{CONFIRM_WITHIN, Joined, KNOCK_FOR, PING_AFTER, STATS_INTERVAL, Session, State};
use crate::effect::{End, LostCause, Membership, SessionEvent};

impl Session {
    /// Bytes of the control stream, in order.
    pub fn control(&mut self, bytes: &[u8], now: Instant) {
        if !self.reads_control() {
            return;
        }
        self.heard(now);
        self.decoder.push(bytes);
        while self.reads_control() {
            match self.decoder.next() {
                Ok(None) => break,
                Ok(Some(Incoming::Skipped)) => {}
                Ok(Some(Incoming::Message(message))) => self.message(message, now),
                Err(error) => self.unreadable(&error),
            }
        }
        self.send_key_messages(now);
    }

    const fn reads_control(&self) -> bool {
        matches!(self.state, State::Joining { .. } | State::Joined(_))
    }

    fn message(&mut self, message: Message, now: Instant) {
        match (message, self.is_joined()) {
            (Message::Welcome(welcome), false) => self.welcome(*welcome, now),
            (Message::Reject(reject), false) => self.rejected(reject, now),
            (Message::PeerJoined(info), true) => self.peer_joined(*info, now),
            (Message::PeerLeft(left), true) => self.peer_left(left, now),
            (Message::Sealed(sealed), true) if self.keys.is_some() => {
                self.key_message(&sealed, now);
            }
            (Message::RoomPolicy(policy), true) => self.policy_changed(*policy),
            (Message::Asking(asking), true) if self.config.role == Role::Gateway => {
                self.event(SessionEvent::Asking(asking));
            }
            (Message::Restarting(restarting), _) => self.restarting(restarting),
            (Message::Ping(ping), _) => self.send(&Message::Pong(ping)),
            // Any message shows that the relay lives; that was noted.
            (Message::Pong(_), _) => {}
            (Message::Disconnect(disconnect), _) => self.sent_away(disconnect, now),
            (other, _) => {
                let reason = format!("{} at the wrong time", other.name());
                self.close(CloseCode::ProtocolError, &reason);
                self.end(End::Protocol { reason });
            }
        }
    }

    fn welcome(&mut self, welcome: Welcome, now: Instant) {
        if let Err(reason) = self.config.check_welcome(&welcome) {
            self.close(CloseCode::ProtocolError, reason);
            let reason = reason.to_owned();
            return self.end(End::Protocol { reason });
        }
        self.unknown_since = None;
        self.awaiting_approval = false;
        let before = self.membership.as_ref().map(|m| (m.peer_id, m.room_id));
        let resumed = before == Some((welcome.peer_id, welcome.room_id));
        self.resume = Some(welcome.resume);
        self.backoff.reset();
        self.state = State::Joined(Joined {
            since: now,
            last_heard: now,
            next_ping: now + PING_AFTER,
            next_stats: now + STATS_INTERVAL,
        });
        let membership = Membership {
            peer_id: welcome.peer_id,
            room_id: welcome.room_id,
            mode: welcome.mode,
            tap_mtu: welcome.tap_mtu,
            gateway: welcome.gateway,
            observed_address: welcome.observed_address,
            policy: welcome.policy,
            resumed,
        };
        if let Some(player) = &mut self.player {
            player.set_policy(&membership.policy);
        }
        self.membership = Some(membership.clone());
        if let Some(keys) = &mut self.keys {
            keys.joined(now);
        }
        self.event(SessionEvent::Joined(Box::new(membership)));
        if self.config.role == Role::Gateway {
            self.send_access();
            let policy = Box::new(self.config.policy.clone());
            self.send(&Message::RoomPolicy(policy));
        }
        if !self.roster.is_empty() {
            self.confirm_until = Some(now + CONFIRM_WITHIN);
            let known: Vec<_> = self.roster.iter().cloned().collect();
            for info in known {
                let is_gateway = info.role == Role::Gateway;
                self.probes.add(info.peer, is_gateway, now, &mut self.rng);
            }
        }
    }

    fn rejected(&mut self, reject: Reject, now: Instant) {
        let Reject { code, message, .. } = reject;
        let message = message.as_str().to_owned();
        if let Some(ms) = reject.retry_after_ms {
            self.backoff.hint(Duration::from_millis(ms.into()));
        }
        self.close(CloseCode::Normal, "rejected");
        if code == CloseCode::VersionMismatch {
            self.end(End::Version(Some(VersionMismatch {
                member: lanparty_ctrl::PROTOCOL_VERSION,
                relay: reject.relay_version,
            })));
        } else {
            self.refused(code, message, now);
        }
    }

    /// The relay does not want this member, for good or for now.
    pub(super) fn refused(&mut self, code: CloseCode, message: String, now: Instant) {
        if code.is_final() && !self.may_be_forgotten(code, now) {
            self.end(End::Rejected { code, message });
        } else {
            self.lose(LostCause::Refused { code, message }, now);
        }
    }

    /// Whether the relay may only have forgotten the room, or not heard of it
    /// yet: it was restarted and lost what it remembers by, or the host moves
    /// there, and the gateway is not back yet.
    fn may_be_forgotten(&mut self, code: CloseCode, now: Instant) -> bool {
        let is_known = self.membership.is_some() || self.expected;
        let may_return = is_known && self.config.key.is_some();
        if code != CloseCode::NotAdmitted || !may_return {
            return false;
        }
        let since = *self.unknown_since.get_or_insert(now);
        now.saturating_duration_since(since) < KNOCK_FOR
    }

    pub(super) fn send_access(&mut self) {
        let access = Box::new(self.config.access.clone());
        self.send(&Message::Access(access));
    }

    fn sent_away(&mut self, disconnect: Disconnect, now: Instant) {
        let code = disconnect.reason;
        let message = disconnect.message.as_str().to_owned();
        self.close(CloseCode::Normal, "disconnected");
        self.refused(code, message, now);
    }

    fn peer_joined(&mut self, info: PeerInfo, now: Instant) {
        if self
            .membership
            .as_ref()
            .is_some_and(|own| own.peer_id == info.peer)
        {
            return;
        }
        let (is_news, displaced) = self.roster.insert(info.clone());
        for old in displaced {
            self.peer_gone(old, CloseCode::Replaced, now);
        }
        if let Some(keys) = &mut self.keys {
            keys.member_joined(&info, now);
        }
        if is_news {
            let is_gateway = info.role == Role::Gateway;
            self.probes.add(info.peer, is_gateway, now, &mut self.rng);
            let peer = info.peer;
            self.event(SessionEvent::PeerJoined(Box::new(info)));
            if is_gateway {
                self.event(SessionEvent::GatewayPresent(peer));
            }
        }
    }

    fn peer_left(&mut self, left: PeerLeft, now: Instant) {
        if let Some(info) = self.roster.remove(left.peer) {
            self.peer_gone(info, left.reason, now);
        }
    }

    /// Forgets whatever else belongs to a member that the roster dropped.
    pub(super) fn peer_gone(&mut self, info: PeerInfo, reason: CloseCode, now: Instant) {
        self.key_member_left(info.peer, reason, now);
        self.probes.remove(info.peer);
        self.tunnel.reassembler.forget(info.peer);
        if let (Some(player), Some(mac)) = (&mut self.player, info.mac) {
            player.forget(mac);
        }
        let was_gateway = info.role == Role::Gateway;
        let peer = Box::new(info);
        self.event(SessionEvent::PeerLeft { peer, reason });
        if was_gateway {
            self.event(SessionEvent::GatewayGone);
        }
    }

    fn policy_changed(&mut self, policy: RoomPolicy) {
        if let Some(membership) = &mut self.membership
            && membership.policy != policy
        {
            membership.policy = policy.clone();
            if let Some(player) = &mut self.player {
                player.set_policy(&policy);
            }
            self.event(SessionEvent::PolicyChanged(Box::new(policy)));
        }
    }

    fn restarting(&mut self, restarting: Restarting) {
        let back_in = Duration::from_millis(restarting.reconnect_in_ms.into());
        self.backoff.hint(back_in);
        self.event(SessionEvent::RelayRestarting { back_in });
    }

    fn unreadable(&mut self, error: &ControlError) {
        self.close(error.close_code(), "the control stream cannot be read");
        self.end(if let ControlError::Version(mismatch) = error {
            End::Version(Some(*mismatch))
        } else {
            let reason = error.to_string();
            End::Protocol { reason }
        });
    }
}
