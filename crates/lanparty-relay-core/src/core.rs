//! The core's inputs and outputs, and the life of a connection.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use lanparty_ctrl::{
    CloseCode, Disconnect, DisplayText, Incoming, Message, PROTOCOL_VERSION, Reject, Restarting,
    RoomId, encode,
};
use lanparty_obs::{DropCounts, DropReason};
use lanparty_proto::overlay::Kind;
use rand::{CryptoRng, Rng};

use crate::admission::Refusal;
use crate::attempts::Attempts;
use crate::clock::Clock;
use crate::connection::{Conn, Connection, NewConnection, Phase};
use crate::counters::Counters;
use crate::decision::{Decision, Verdict};
use crate::effect::Effect;
use crate::frame_record;
use crate::limits::Limits;
use crate::resume::RelaySecrets;
use crate::room::Room;
use crate::snapshot::{LinkSnapshot, RelaySnapshot, RoomsSnapshot};

/// All rooms of one relay.
///
/// After each input the driver takes all effects. `R` is a cryptographic
/// generator, seeded only in tests.
#[derive(Debug)]
pub struct RelayCore<R> {
    pub(crate) limits: Limits,
    pub(crate) secrets: RelaySecrets,
    pub(crate) clock: Clock,
    pub(crate) rng: R,
    pub(crate) connections: BTreeMap<Conn, Connection>,
    pub(crate) rooms: BTreeMap<RoomId, Room>,
    pub(crate) attempts: Attempts,
    /// When to look at which connection. May hold entries that no longer
    /// apply; [`Connection::deadline`] has the last word.
    deadlines: BTreeSet<(Instant, Conn)>,
    pub(crate) effects: VecDeque<Effect>,
    /// The targets of the last decision.
    pub(crate) targets: Vec<Conn>,
    pub(crate) counters: Counters,
    pub(crate) is_draining: bool,
    /// When a drain closes what is left.
    drain_until: Option<Instant>,
}

impl<R: Rng + CryptoRng> RelayCore<R> {
    #[must_use]
    pub fn new(limits: Limits, secrets: RelaySecrets, clock: Clock, rng: R) -> Self {
        Self {
            attempts: Attempts::new(limits.failed_joins, limits.failed_joins_every),
            limits,
            secrets,
            clock,
            rng,
            connections: BTreeMap::new(),
            rooms: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            effects: VecDeque::new(),
            targets: Vec::new(),
            counters: Counters::default(),
            is_draining: false,
            drain_until: None,
        }
    }

    /// A handshake has completed.
    pub fn connected(&mut self, new: NewConnection, now: Instant) {
        let connection = Connection::new(&new, &self.limits, now);
        self.connections.insert(new.conn, connection);
        let joined: usize = self.rooms.values().map(|room| room.members.len()).sum();
        let unjoined = self.connections.len().saturating_sub(joined);
        if unjoined > self.limits.max_unjoined {
            let full = CloseCode::RelayFull;
            self.close(new.conn, full, full.sentence().to_owned());
        } else {
            self.arm(new.conn);
        }
    }

    /// Bytes of a connection's control stream, in order.
    pub fn control(&mut self, conn: Conn, bytes: &[u8], now: Instant) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        connection.decoder.push(bytes);
        loop {
            // Each message may end the connection.
            let Some(connection) = self.connections.get_mut(&conn) else {
                return;
            };
            if matches!(connection.phase, Phase::Leaving { .. }) {
                return;
            }
            let incoming = match connection.decoder.next() {
                Ok(Some(incoming)) => incoming,
                Ok(None) => break,
                Err(error) => {
                    let message = format!("{error}.");
                    return self.turn_away(conn, error.close_code(), message, now);
                }
            };
            if !connection.may_say(&incoming, &self.limits, now) {
                let message = "The member sent control messages too often.";
                return self.turn_away(conn, CloseCode::ProtocolError, message.into(), now);
            }
            connection.frame_since = None;
            match incoming {
                Incoming::Message(message) => self.message(conn, message, now),
                Incoming::Skipped => {}
            }
        }
        if let Some(connection) = self.connections.get_mut(&conn)
            && connection.decoder.is_mid_frame()
            && connection.frame_since.is_none()
        {
            connection.frame_since = Some(now);
            self.arm(conn);
        }
    }

    /// One datagram: where it goes.
    pub fn datagram(&mut self, conn: Conn, datagram: &[u8], now: Instant) -> Decision<'_> {
        let bytes = u64::try_from(datagram.len()).unwrap_or(u64::MAX);
        let seat = self.connections.get(&conn).and_then(Connection::seat);
        let room = seat.and_then(|seat| self.rooms.get_mut(&seat.room));
        let (Some(seat), Some(room)) = (seat, room) else {
            self.counters.received(bytes);
            self.counters.drops.add(DropReason::NotJoined);
            return Decision::Drop(DropReason::NotJoined);
        };
        let verdict = room.decide(seat.peer, datagram, &self.limits, now, &mut self.targets);
        frame_record::trace(room, seat.peer, datagram, &verdict, self.targets.len());
        let mut is_broken = false;
        if let Some(member) = room.members.get_mut(&seat.peer) {
            member.last_seen = now;
            member.counters.count(bytes, &verdict, self.targets.len());
            is_broken = verdict.as_ref().is_err_and(|reason| {
                let Limits {
                    malformed_burst,
                    malformed_every,
                    ..
                } = self.limits;
                reason.is_malformed_datagram()
                    && !member.malformed.take(malformed_burst, malformed_every, now)
            });
        }
        room.counters.count(bytes, &verdict, self.targets.len());
        if matches!(verdict, Ok(Verdict::Forward(header)) if header.kind != Kind::Probe) {
            room.last_frame = now;
        }
        self.counters.count(bytes, &verdict, self.targets.len());
        if is_broken {
            let text = "The member sent too many malformed datagrams.";
            self.turn_away(conn, CloseCode::ProtocolError, text.to_owned(), now);
        }
        match verdict {
            Ok(Verdict::Forward(header)) => Decision::Forward {
                targets: &self.targets,
                header,
            },
            Ok(Verdict::Answer(header, datagram)) => Decision::Answer { datagram, header },
            Err(reason) => Decision::Drop(reason),
        }
    }

    /// The connection is gone. `application_code` is the code with which the
    /// member closed it; `None` where it was lost.
    pub fn disconnected(&mut self, conn: Conn, application_code: Option<u64>, now: Instant) {
        let reason = application_code.map_or(CloseCode::ConnectionLost, |code| {
            departure(CloseCode::from_u64(code).unwrap_or(CloseCode::ProtocolError))
        });
        self.leave_room(conn, reason, now);
        self.connections.remove(&conn);
    }

    /// The member reads its control stream too slowly for the driver to keep
    /// what is meant for it.
    pub fn control_overflow(&mut self, conn: Conn, now: Instant) {
        let slow = CloseCode::TooSlow;
        self.leave_room(conn, slow, now);
        self.close(conn, slow, slow.sentence().to_owned());
    }

    /// Does what time has made due.
    pub fn tick(&mut self, now: Instant) {
        if self.drain_until.is_some_and(|until| until <= now) {
            self.finish_drain();
        }
        while let Some(&(at, conn)) = self.deadlines.first()
            && at <= now
        {
            self.deadlines.pop_first();
            self.expire(conn, now);
        }
    }

    /// When [`Self::tick`] has something to do, if nothing else comes.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Instant> {
        let deadline = self.deadlines.first().map(|&(at, _)| at);
        match (deadline, self.drain_until) {
            (Some(deadline), Some(drain)) => Some(deadline.min(drain)),
            (deadline, drain) => deadline.or(drain),
        }
    }

    /// Tells every member to come back soon, and admits nobody any more.
    /// Frames flow on until the connections are closed, which is soon.
    pub fn begin_drain(&mut self, now: Instant) {
        if self.is_draining {
            return;
        }
        self.is_draining = true;
        self.drain_until = Some(now + self.limits.drain_notice);
        for room in self.rooms.values() {
            for member in room.members.values() {
                let spread = self.rng.random_range(0.0..=1.0);
                let delay =
                    self.limits.restart_earliest + self.limits.restart_spread.mul_f64(spread);
                let message = Message::Restarting(Restarting {
                    reconnect_in_ms: millis(delay),
                    try_for_ms: millis(self.limits.restart_try_for),
                });
                self.effects.push_back(Effect::SendControl {
                    conn: member.conn,
                    bytes: encode(&message),
                });
            }
        }
    }

    /// Whether a drain has ended: nothing is left to be done.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.is_draining && self.connections.is_empty() && self.effects.is_empty()
    }

    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Everything that an operator may ask for. `link` tells what the driver
    /// knows about a connection.
    pub fn snapshot(
        &self,
        now: Instant,
        mut link: impl FnMut(Conn) -> Option<LinkSnapshot>,
    ) -> RoomsSnapshot {
        let tap_mtu = self.limits.tap_mtu;
        RoomsSnapshot {
            relay: RelaySnapshot {
                uptime_s: now.saturating_duration_since(self.clock.instant).as_secs(),
                draining: self.is_draining,
                connections: self.connections.len(),
                counters: self.counters.clone(),
                links: DropCounts::new(),
            },
            rooms: self
                .rooms
                .values()
                .map(|room| room.snapshot(tap_mtu, now, &mut link))
                .collect(),
        }
    }

    pub(crate) fn send(&mut self, conn: Conn, message: &Message) {
        self.effects.push_back(Effect::SendControl {
            conn,
            bytes: encode(message),
        });
    }

    /// Ends a connection with a word of explanation, and gives its member's
    /// seat up.
    pub(crate) fn turn_away(&mut self, conn: Conn, code: CloseCode, message: String, now: Instant) {
        if self.leave_room(conn, code, now) {
            self.dismiss(conn, code, message, now);
        } else {
            self.refuse(
                conn,
                Refusal {
                    code,
                    message,
                    retry_after_ms: None,
                },
                now,
            );
        }
    }

    /// Answers a connection that has not joined.
    pub(crate) fn refuse(&mut self, conn: Conn, refusal: Refusal, now: Instant) {
        tracing::debug!(conn = conn.0, code = %refusal.code, "refused");
        let text = display(refusal.code, &refusal.message);
        if let Some(message) = text {
            let reject = Reject {
                code: refusal.code,
                message,
                retry_after_ms: refusal.retry_after_ms,
                relay_version: PROTOCOL_VERSION,
            };
            self.send(conn, &Message::Reject(reject));
        }
        self.see_off(conn, refusal.code, refusal.message, now);
    }

    /// Tells a connection that has given its seat up why.
    pub(crate) fn dismiss(&mut self, conn: Conn, code: CloseCode, message: String, now: Instant) {
        if let Some(text) = display(code, &message) {
            let disconnect = Disconnect {
                reason: code,
                message: text,
            };
            self.send(conn, &Message::Disconnect(disconnect));
        }
        self.see_off(conn, code, message, now);
    }

    /// Takes a member out of its room; false where it was in none.
    pub(crate) fn leave_room(&mut self, conn: Conn, reason: CloseCode, now: Instant) -> bool {
        let Some(seat) = self.connections.get(&conn).and_then(Connection::seat) else {
            return false;
        };
        let Some(room) = self.rooms.get_mut(&seat.room) else {
            return false;
        };
        if let Some(member) = room.remove(seat.peer) {
            let until = now + self.limits.id_quarantine;
            room.quarantine.retire(seat.peer, member.owner, until, now);
        }
        tracing::info!(room = %seat.room, peer = %seat.peer, %reason, "left");
        if room.members.is_empty() {
            self.rooms.remove(&seat.room);
        } else {
            room.announce_left(seat.peer, reason, &mut self.effects);
        }
        true
    }

    /// A closing connection lingers so that its last message can arrive: what
    /// is still in a QUIC stream is lost when its connection is closed.
    fn see_off(&mut self, conn: Conn, code: CloseCode, message: String, now: Instant) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.frame_since = None;
            connection.phase = Phase::Leaving {
                until: now + self.limits.farewell,
                code,
                message,
            };
            self.arm(conn);
        }
    }

    pub(crate) fn close(&mut self, conn: Conn, code: CloseCode, message: String) {
        self.connections.remove(&conn);
        self.effects.push_back(Effect::Close {
            conn,
            code,
            message,
        });
    }

    fn arm(&mut self, conn: Conn) {
        let connection = self.connections.get(&conn);
        if let Some(at) = connection.and_then(|connection| connection.deadline(&self.limits)) {
            self.deadlines.insert((at, conn));
        }
    }

    fn expire(&mut self, conn: Conn, now: Instant) {
        let Some(connection) = self.connections.get(&conn) else {
            return;
        };
        if connection.deadline(&self.limits).is_none_or(|at| at > now) {
            return;
        }
        let code = match &connection.phase {
            Phase::Greeting { .. } => CloseCode::JoinTimeout,
            Phase::Joined(_) => CloseCode::TooSlow,
            Phase::Leaving { code, message, .. } => {
                let (code, message) = (*code, message.clone());
                return self.close(conn, code, message);
            }
        };
        self.turn_away(conn, code, code.sentence().to_owned(), now);
    }

    fn finish_drain(&mut self) {
        self.drain_until = None;
        self.rooms.clear();
        self.deadlines.clear();
        let code = CloseCode::Restarting;
        let connections: Vec<Conn> = self.connections.keys().copied().collect();
        for conn in connections {
            self.close(conn, code, code.sentence().to_owned());
        }
    }
}

/// What the others hear of a member's own word for why it left. Reasons that
/// only the relay can know are not its to give.
pub(crate) const fn departure(claimed: CloseCode) -> CloseCode {
    let is_theirs = matches!(
        claimed,
        CloseCode::LoopDetected | CloseCode::Restarting | CloseCode::ProtocolError
    );
    if is_theirs {
        claimed
    } else {
        CloseCode::Normal
    }
}

fn display(code: CloseCode, message: &str) -> Option<DisplayText> {
    message.parse().or_else(|_| code.sentence().parse()).ok()
}

fn millis(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
