//! From Hello to Welcome, and the messages of members.

use std::collections::VecDeque;
use std::time::Instant;

use lanparty_ctrl::{
    CloseCode, Hello, Message, PROTOCOL_VERSION, PeerInfo, PeerLeft, Role, Welcome, encode,
    feature::Features,
};
use lanparty_l2::buckets::PeerBuckets;
use lanparty_proto::{MacAddr, PeerId};
use rand::{CryptoRng, Rng};

use crate::admission::{self, Admitted, Refusal};
use crate::connection::{Conn, Phase, Seat};
use crate::core::{RelayCore, departure};
use crate::effect::Effect;
use crate::ids;
use crate::limits::Limits;
use crate::rate::Allowance;
use crate::resume::Claim;
use crate::room::{Member, Room};
use crate::snapshot::Counters;

impl<R: Rng + CryptoRng> RelayCore<R> {
    pub(crate) fn message(&mut self, conn: Conn, message: Message, now: Instant) {
        let Some(connection) = self.connections.get(&conn) else {
            return;
        };
        match (connection.seat(), message) {
            (None, Message::Hello(hello)) => {
                if let Err(refusal) = self.join(conn, *hello, now) {
                    self.refuse(conn, refusal, now);
                }
            }
            (Some(seat), message) => self.member_message(conn, seat, message, now),
            (None, _) => {
                let text = "The first message must be Hello.";
                self.turn_away(conn, CloseCode::ProtocolError, text.into(), now);
            }
        }
    }

    fn member_message(&mut self, conn: Conn, seat: Seat, message: Message, now: Instant) {
        let Some(room) = self.rooms.get_mut(&seat.room) else {
            return;
        };
        let Some(member) = room.members.get_mut(&seat.peer) else {
            return;
        };
        member.last_seen = now;
        match message {
            Message::Stats(stats) => member.stats = Some((now, stats)),
            Message::Ping(ping) => self.send(conn, &Message::Pong(ping)),
            Message::Pong(_) => {}
            Message::RoomPolicy(policy) if member.info.role == Role::Gateway => {
                room.set_policy(*policy);
                let message = Message::RoomPolicy(Box::new(room.policy.clone()));
                room.announce(seat.peer, &message, &mut self.effects);
            }
            Message::Disconnect(disconnect) => {
                let reason = departure(disconnect.reason);
                self.leave_room(conn, reason, now);
                self.close(conn, reason, reason.sentence().to_owned());
            }
            Message::RoomPolicy(_)
            | Message::Hello(_)
            | Message::Welcome(_)
            | Message::Reject(_)
            | Message::PeerJoined(_)
            | Message::PeerLeft(_)
            | Message::Access(_)
            | Message::Asking(_)
            | Message::Remove(_)
            | Message::Sealed(_)
            | Message::Restarting(_) => {
                let text = format!("The message {} is not a member's to send.", message.name());
                self.turn_away(conn, CloseCode::ProtocolError, text, now);
            }
        }
    }

    fn join(&mut self, conn: Conn, hello: Hello, now: Instant) -> Result<(), Refusal> {
        let Some(connection) = self.connections.get(&conn) else {
            return Ok(());
        };
        if self.is_draining {
            return Err(Refusal {
                retry_after_ms: u32::try_from(self.limits.restart_earliest.as_millis()).ok(),
                ..Refusal::plain(CloseCode::Restarting)
            });
        }
        let admitted = admission::check(&hello, &connection.identity)?;
        let remote = connection.remote;
        let room = self.rooms.get(&admitted.room);
        if room.is_none() && self.rooms.len() >= self.limits.max_rooms {
            return Err(Refusal::plain(CloseCode::RelayFull));
        }
        let ghost = match room {
            Some(room) => room.check_place(&admitted, &hello, &self.limits)?,
            None => None,
        };

        let claimed = self.claimed(&admitted, &hello, now);
        let peer = ghost
            .or_else(|| claimed.filter(|&peer| is_free(room, peer, &admitted, now)))
            .or_else(|| ids::mint(&mut self.rng, |peer| is_free(room, peer, &admitted, now)))
            .ok_or_else(|| Refusal::plain(CloseCode::RoomFull))?;
        let expires = self
            .clock
            .unix_s(now)
            .saturating_add(self.limits.resume_lifetime.as_secs());
        let claim = Claim {
            peer,
            mac: hello.mac.unwrap_or(MacAddr::ZERO),
        };
        let identity = &admitted.owner.identity;
        let resume = self
            .secrets
            .seal(admitted.room, identity, claim, expires, &mut self.rng)
            .ok_or_else(|| Refusal::plain(CloseCode::InternalError))?;

        // From here on the join succeeds.
        if let Some(ghost) = ghost {
            self.replace(&admitted, ghost, now);
        }
        let room = self
            .rooms
            .entry(admitted.room)
            .or_insert_with(|| Room::new(admitted.room, hello.room.clone(), now));
        let info = PeerInfo {
            peer,
            role: hello.role,
            mac: hello.mac,
            name: hello.name,
            key_card: hello.key_card,
        };
        let buckets = match hello.role {
            Role::Client => &self.limits.player,
            Role::Gateway => &self.limits.gateway,
        };
        room.insert(Member {
            conn,
            owner: admitted.owner,
            info: info.clone(),
            agent: hello.agent,
            remote,
            datagram_budget: hello.datagram_budget,
            joined: now,
            last_seen: now,
            buckets: PeerBuckets::new(buckets, now),
            malformed: Allowance::full(self.limits.malformed_burst, now),
            counters: Counters::default(),
            stats: None,
        });
        // The others first: they shall know the newcomer before its frames come.
        room.announce(
            peer,
            &Message::PeerJoined(Box::new(info)),
            &mut self.effects,
        );
        let welcome = Welcome {
            version: PROTOCOL_VERSION,
            mode: room.mode(),
            room_id: room.id,
            peer_id: peer,
            tap_mtu: self.limits.tap_mtu,
            gateway: room.gateway,
            features: Features::default(),
            resume,
            observed_address: remote,
            policy: room.policy.clone(),
        };
        let welcome = Message::Welcome(Box::new(welcome));
        let others = room.members.values().filter(|other| other.conn != conn);
        let catch_up = others.map(|other| Message::PeerJoined(Box::new(other.info.clone())));
        for message in std::iter::once(welcome).chain(catch_up) {
            let bytes = encode(&message);
            self.effects.push_back(Effect::SendControl { conn, bytes });
        }
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.phase = Phase::Joined(Seat {
                room: admitted.room,
                peer,
            });
        }
        tracing::info!(room = %admitted.room, %peer, role = ?admitted.owner.role, "joined");
        Ok(())
    }

    /// The id that this member had before: by its token, or because the room
    /// still holds it back for that owner.
    fn claimed(&self, admitted: &Admitted, hello: &Hello, now: Instant) -> Option<PeerId> {
        let by_token = hello.resume.as_ref().and_then(|token| {
            let identity = &admitted.owner.identity;
            let unix_s = self.clock.unix_s(now);
            let claim = self.secrets.open(token, admitted.room, identity, unix_s)?;
            (claim.mac == hello.mac.unwrap_or(MacAddr::ZERO)).then_some(claim.peer)
        });
        by_token.or_else(|| {
            let room = self.rooms.get(&admitted.room)?;
            room.quarantine.of(&admitted.owner, now)
        })
    }

    /// Ends the older connection of a member that has come back. The others
    /// see it leave and join, so that nobody keeps keys or fragments of the
    /// old session.
    fn replace(&mut self, admitted: &Admitted, ghost: PeerId, now: Instant) {
        let Some(room) = self.rooms.get_mut(&admitted.room) else {
            return;
        };
        let Some(old) = room.remove(ghost) else {
            return;
        };
        let code = CloseCode::Replaced;
        room.announce_left(ghost, code, &mut self.effects);
        self.dismiss(old.conn, code, code.sentence().to_owned(), now);
    }
}

fn is_free(room: Option<&Room>, peer: PeerId, admitted: &Admitted, now: Instant) -> bool {
    room.is_none_or(|room| {
        !room.members.contains_key(&peer) && room.quarantine.allows(peer, &admitted.owner, now)
    })
}

impl Room {
    /// Whether there is a place for this member, and whose ghost it replaces.
    fn check_place(
        &self,
        admitted: &Admitted,
        hello: &Hello,
        limits: &Limits,
    ) -> Result<Option<PeerId>, Refusal> {
        let ghost = self.member_of(&admitted.owner);
        if hello.role == Role::Gateway && self.gateway.is_some() && ghost.is_none() {
            return Err(Refusal::plain(CloseCode::GatewayPresent));
        }
        let holder = hello.mac.and_then(|mac| self.holder(mac));
        if holder.is_some() && holder != ghost {
            return Err(Refusal::plain(CloseCode::MacInUse));
        }
        let full = self.players.len() >= limits.max_players_per_room;
        if hello.role == Role::Client && full && ghost.is_none() {
            return Err(Refusal::plain(CloseCode::RoomFull));
        }
        Ok(ghost)
    }

    pub(crate) fn announce(
        &self,
        except: PeerId,
        message: &Message,
        effects: &mut VecDeque<Effect>,
    ) {
        let bytes = encode(message);
        let others = self
            .members
            .values()
            .filter(|member| member.info.peer != except);
        effects.extend(others.map(|member| Effect::SendControl {
            conn: member.conn,
            bytes: bytes.clone(),
        }));
    }

    pub(crate) fn announce_left(
        &self,
        peer: PeerId,
        reason: CloseCode,
        effects: &mut VecDeque<Effect>,
    ) {
        self.announce(peer, &Message::PeerLeft(PeerLeft { peer, reason }), effects);
    }
}
