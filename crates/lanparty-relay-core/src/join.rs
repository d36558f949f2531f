//! From Hello to Welcome, and the messages of members.

use std::collections::VecDeque;
use std::time::Instant;

use lanparty_ctrl::{
    CloseCode, Hello, Message, PROTOCOL_VERSION, PeerInfo, PeerLeft, Role, Welcome, encode,
};
use lanparty_l2::buckets::PeerBuckets;
use lanparty_proto::{MacAddr, PeerId};
use rand::{CryptoRng, Rng};

use crate::admission::{self, Applicant, Refusal};
use crate::attempts::Source;
use crate::connection::{Conn, Phase, Seat};
use crate::core::{RelayCore, departure};
use crate::counters::Counters;
use crate::effect::Effect;
use crate::ids;
use crate::limits::{Limits, RoomsPolicy};
use crate::rate::Allowance;
use crate::resume::Claim;
use crate::room::{Member, Room};

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
            Message::Access(access) if member.info.role == Role::Gateway => {
                self.set_access(seat, *access, now);
            }
            Message::Remove(remove) if member.info.role == Role::Gateway => {
                self.remove_member(seat, remove, now);
            }
            Message::Sealed(sealed) if room.keyed => self.pass_on(seat, sealed, now),
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
        let applicant = admission::check(&hello, connection, &self.limits.rooms)?;
        let remote = connection.remote;
        let source = Source::of(remote.ip());
        let claim = self.claim(&applicant, &hello, now);
        self.let_in(&applicant, &hello, source, claim.is_some(), now)?;

        let room = self.rooms.get(&applicant.room);
        let ghost = match room {
            Some(room) => room.check_place(&applicant, &hello, &self.limits)?,
            None => None,
        };
        let held_back = || room?.quarantine.of(&applicant.owner, now);
        let claimed = claim.map(|claim| claim.peer).or_else(held_back);
        let peer = ghost
            .or_else(|| claimed.filter(|&peer| is_free(room, peer, &applicant, now)))
            .or_else(|| ids::mint(&mut self.rng, |peer| is_free(room, peer, &applicant, now)))
            .ok_or_else(|| Refusal::plain(CloseCode::RoomFull))?;
        let expires = self
            .clock
            .unix_s(now)
            .saturating_add(self.limits.resume_lifetime.as_secs());
        let claim = Claim {
            peer,
            mac: hello.mac.unwrap_or(MacAddr::ZERO),
        };
        let identity = &applicant.owner.identity;
        let resume = self
            .secrets
            .seal(applicant.room, identity, claim, expires, &mut self.rng)
            .ok_or_else(|| Refusal::plain(CloseCode::InternalError))?;

        // From here on the join succeeds.
        if let Some(ghost) = ghost {
            self.replace(&applicant, ghost, now);
        }
        let room = self.rooms.entry(applicant.room).or_insert_with(|| {
            let code = hello.room.clone();
            let Applicant { room, keyed, .. } = applicant;
            Room::new(room, code, keyed, source, &self.limits, now)
        });
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
            owner: applicant.owner,
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
            features: admission::features(applicant.keyed),
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
                room: applicant.room,
                peer,
            });
        }
        tracing::info!(room = %applicant.room, %peer, role = ?applicant.owner.role, "joined");
        Ok(())
    }

    /// Whether the applicant may enter, or open, the room that it means.
    ///
    /// An unknown room, a missing key and a ban get the same answer, and so
    /// does everybody who has failed too often. `returns`: it has a token that
    /// this relay gave it in this very room, by which it may reopen the room
    /// too, so that a relay that was restarted needs no memory.
    fn let_in(
        &mut self,
        applicant: &Applicant,
        hello: &Hello,
        source: Source,
        returns: bool,
        now: Instant,
    ) -> Result<(), Refusal> {
        let holds_token = admission::holds_create_token(hello, &self.limits.rooms);
        let Limits {
            failed_joins_per_room: burst,
            failed_joins_per_room_every: every,
            ..
        } = self.limits;
        let spent_by_source = self.attempts.is_spent(source, now);
        let room = self.rooms.get_mut(&applicant.room);
        let (is_spent, is_known, is_banned) = match room {
            Some(room) => {
                let is_spent = spent_by_source || room.failures.is_spent(burst, every, now);
                (is_spent, true, room.hosting.is_banned(applicant))
            }
            None => (spent_by_source, false, false),
        };
        let needs_token = !is_known && matches!(self.limits.rooms, RoomsPolicy::Token(_));
        let is_held_up = is_spent && !returns && (applicant.keyed || needs_token);
        let may_open = !applicant.keyed || hello.create || returns;
        if !applicant.proven || is_banned || is_held_up || !(is_known || may_open) {
            if !spent_by_source {
                self.failed(applicant, source, now);
            }
            return Err(Refusal::plain(CloseCode::NotAdmitted));
        }
        if needs_token && !returns && !holds_token {
            if hello.create_token.is_some() {
                self.failed(applicant, source, now);
            }
            return Err(Refusal::new(
                CloseCode::RoomPolicy,
                "Only holders of a token open rooms on this relay. Ask its operator for one.",
            ));
        }
        if !is_known {
            return self.make_place(source, now);
        }
        self.ask_host(applicant, hello, now)
    }

    /// Not for who is out of tries: one network alone must not be able to
    /// close a room to newcomers.
    fn failed(&mut self, applicant: &Applicant, source: Source, now: Instant) {
        self.attempts.failed(source, now);
        if let Some(room) = self.rooms.get_mut(&applicant.room) {
            let Limits {
                failed_joins_per_room: burst,
                failed_joins_per_room_every: every,
                ..
            } = self.limits;
            let _left = room.failures.take(burst, every, now);
        }
    }

    /// Whether one more room may be opened. Where there is no place, rooms in
    /// which nothing moves any more give theirs up.
    fn make_place(&mut self, source: Source, now: Instant) -> Result<(), Refusal> {
        let max = self.limits.max_rooms_per_prefix;
        let crowded = source.prefixes().find(|&(prefix, share)| {
            let from_there = self
                .rooms
                .values()
                .filter(|room| room.opener.contains(prefix));
            let share = usize::try_from(share).unwrap_or(1);
            from_there.count() >= max.saturating_mul(share)
        });
        let is_full = self.rooms.len() >= self.limits.max_rooms;
        if !is_full && crowded.is_none() {
            return Ok(());
        }
        let idle = self.rooms.values().filter(|room| {
            let is_still = now.saturating_duration_since(room.last_frame) >= self.limits.room_idle;
            let would_help = crowded.is_none_or(|(prefix, _)| room.opener.contains(prefix));
            is_still && would_help
        });
        let Some(idle) = idle.min_by_key(|room| room.last_frame) else {
            return Err(Refusal::plain(CloseCode::RelayFull));
        };
        let members: Vec<Conn> = idle.members.values().map(|member| member.conn).collect();
        let text = "The relay is full and nothing has moved in this room for hours.";
        for conn in members {
            self.turn_away(conn, CloseCode::RelayFull, text.to_owned(), now);
        }
        Ok(())
    }

    fn ask_host(
        &mut self,
        applicant: &Applicant,
        hello: &Hello,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Some(room) = self.rooms.get_mut(&applicant.room) else {
            return Ok(());
        };
        let verdict = room.check_approval(applicant, hello, &self.limits, now);
        verdict.map_err(|(refusal, question)| {
            if let Some((gateway, question)) = question {
                self.send(gateway, &question);
            }
            refusal
        })
    }

    /// What this member's token says of its last time in this room, if it is
    /// really a token of ours for it.
    fn claim(&self, applicant: &Applicant, hello: &Hello, now: Instant) -> Option<Claim> {
        let token = hello.resume.as_ref()?;
        let unix_s = self.clock.unix_s(now);
        let claim = self
            .secrets
            .open(token, applicant.room, applicant.identity(), unix_s)?;
        (claim.mac == hello.mac.unwrap_or(MacAddr::ZERO)).then_some(claim)
    }

    /// Ends the older connection of a member that has come back. The others
    /// see it leave and join, so that nobody keeps keys or fragments of the
    /// old session.
    fn replace(&mut self, applicant: &Applicant, ghost: PeerId, now: Instant) {
        let Some(room) = self.rooms.get_mut(&applicant.room) else {
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

fn is_free(room: Option<&Room>, peer: PeerId, applicant: &Applicant, now: Instant) -> bool {
    room.is_none_or(|room| {
        !room.members.contains_key(&peer) && room.quarantine.allows(peer, &applicant.owner, now)
    })
}

impl Room {
    /// Whether there is a place for this member, and whose ghost it replaces.
    fn check_place(
        &self,
        applicant: &Applicant,
        hello: &Hello,
        limits: &Limits,
    ) -> Result<Option<PeerId>, Refusal> {
        let ghost = self.member_of(&applicant.owner);
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
