//! The session of one member: join, keep alive, lose, return.
//!
//! `session/messages.rs` reads the control stream, `session/frames.rs` is the
//! way of every frame.

mod frames;
mod keys;
mod messages;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lanparty_ctrl::timers::{JOIN_DEADLINE, STATS_INTERVAL};
use lanparty_ctrl::{
    Access, CloseCode, Decoder, Disconnect, KeyCard, Message, Ping, Remove, ResumeToken, Role,
    encode,
};
use lanparty_l2::dhcp::AddressGuard;
use lanparty_obs::drops::DropCounts;
use lanparty_obs::stats::PeerStats;
use lanparty_proto::PeerId;
use lanparty_seal::{Keyring, KeyringConfig, clear_card};
use rand::Rng;
use rand::rngs::StdRng;

use crate::backoff::Backoff;
use crate::effect::{DisconnectCause, Effect, End, LostCause, Membership, SessionEvent};
use crate::flows::Flows;
use crate::player::PlayerPolicy;
use crate::probes::{Probes, Rtt};
use crate::roster::Roster;
use crate::snapshot::{Budget, Phase, Readings, Snapshot};
use crate::tunnel::Tunnel;
use crate::{DIAL_TIMEOUT, PATIENT_DIAL_TIMEOUT, SessionConfig};

/// A Ping goes out when nothing was heard for this long, and again after it.
pub const PING_AFTER: Duration = Duration::from_secs(1);
/// The connection counts as lost when nothing was heard for this long. Pings
/// make a living relay answer within it; a relay that was killed and came
/// back resets the connection even sooner.
pub const SILENCE: Duration = Duration::from_secs(5);
/// Every so many dials one is patient.
const PATIENT_EVERY: u32 = 4;
/// After a return, members that the relay does not list again for this long
/// are gone. They have to notice the outage and return as well.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(15);
/// For how long a member that was in its keyed room keeps knocking where it
/// is no longer known: a relay that lost its memory knows the room again when
/// the gateway is back, which redials every 30 s at worst.
pub const KNOCK_FOR: Duration = Duration::from_secs(120);

/// The session of one member in one room.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    rng: StdRng,
    state: State,
    effects: VecDeque<Effect>,
    backoff: Backoff,
    decoder: Decoder,
    resume: Option<ResumeToken>,
    membership: Option<Membership>,
    roster: Roster,
    /// When the relay stopped to know this member, which it did before.
    unknown_since: Option<Instant>,
    /// The host announced the room before it is there.
    expected: bool,
    /// The user knows that the host's word is awaited.
    awaiting_approval: bool,
    /// Until when unconfirmed members stay listed.
    confirm_until: Option<Instant>,
    probes: Probes,
    readings: Readings,
    tunnel: Tunnel,
    flows: Flows,
    /// Present for a player; a gateway's bridge has its own policy.
    player: Option<PlayerPolicy>,
    /// A frame that had to be changed on its way in.
    scratch: Vec<u8>,
    /// As in Hello, for the session's life.
    card: KeyCard,
    /// Present in a keyed room.
    keys: Option<Keyring>,
    /// The frame or bundle that was opened last.
    opened: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Idle,
    Dialling { until: Instant },
    Joining { until: Instant },
    Joined(Joined),
    Waiting { until: Instant },
    Ended,
}

#[derive(Debug)]
struct Joined {
    since: Instant,
    last_heard: Instant,
    next_ping: Instant,
    next_stats: Instant,
}

impl Session {
    #[must_use]
    pub fn new(config: SessionConfig, mut rng: StdRng, now: Instant) -> Self {
        let (role, mac, signer) = (config.role, config.mac, config.signer.clone());
        let keys = config.key.clone().map(|key| {
            let config = KeyringConfig {
                room: config.room_id(),
                key,
                signer: signer.clone(),
                role,
                mac,
                name: config.name.clone(),
            };
            Keyring::new(config, &mut rng, now)
        });
        let mut session = Self {
            card: match &keys {
                Some(keys) => *keys.card(),
                None => clear_card(&signer, role, mac, &mut rng, now),
            },
            keys,
            opened: Vec::new(),
            player: match config.role {
                Role::Client => Some(PlayerPolicy::new(config.mac.unwrap_or_default())),
                Role::Gateway => None,
            },
            flows: Flows::new(rng.random()),
            config,
            rng,
            state: State::Idle,
            effects: VecDeque::new(),
            backoff: Backoff::default(),
            decoder: Decoder::new(),
            resume: None,
            membership: None,
            roster: Roster::default(),
            unknown_since: None,
            expected: false,
            awaiting_approval: false,
            confirm_until: None,
            probes: Probes::new(now),
            readings: Readings::default(),
            tunnel: Tunnel::default(),
            scratch: Vec::new(),
        };
        session.keep_out(now);
        session
    }

    /// The host announced this room, and may be a moment behind: until then
    /// it is no final answer that the relay does not know the room.
    pub const fn expect_room(&mut self) {
        self.expected = true;
    }

    /// Begins to join.
    pub fn start(&mut self, now: Instant) {
        if matches!(self.state, State::Idle) {
            self.dial(now);
        }
    }

    /// The connection stands. `exporter` is its TLS exporter value, to which
    /// the proof of the room key is bound; `datagram_budget` is what its path
    /// carries now.
    pub fn connected(&mut self, exporter: &[u8; 32], datagram_budget: usize, now: Instant) {
        if !matches!(self.state, State::Dialling { .. }) {
            return;
        }
        self.decoder = Decoder::new();
        self.tunnel.clear();
        self.readings.datagram_budget = Some(datagram_budget);
        let resume = self.resume.clone();
        let hello = self
            .config
            .hello(self.card, exporter, datagram_budget, resume);
        self.send(&Message::Hello(Box::new(hello)));
        self.state = State::Joining {
            until: now + JOIN_DEADLINE,
        };
    }

    /// The connection is gone.
    pub fn disconnected(&mut self, cause: DisconnectCause, now: Instant) {
        if !self.has_connection() {
            return;
        }
        match cause {
            DisconnectCause::Application { code, message } => match CloseCode::from_u64(code) {
                Some(code) => self.refused(code, message, now),
                None => {
                    let reason = format!("the relay closed the connection with code {code}");
                    self.lose(LostCause::Other { reason }, now);
                }
            },
            DisconnectCause::Certificate { reason } => self.end(End::Certificate { reason }),
            DisconnectCause::VersionMismatch => self.end(End::Version(None)),
            DisconnectCause::NoAnswer => self.lose(LostCause::NoAnswer, now),
            DisconnectCause::TimedOut => self.lose(LostCause::Silence, now),
            DisconnectCause::Reset => self.lose(LostCause::Restarted, now),
            DisconnectCause::Other { reason } => self.lose(LostCause::Other { reason }, now),
        }
    }

    /// Leaves the room for good and tells the relay.
    pub fn leave(&mut self) {
        if matches!(self.state, State::Joining { .. } | State::Joined(_))
            && let Ok(message) = "left".parse()
        {
            self.send(&Message::Disconnect(Disconnect {
                reason: CloseCode::Normal,
                message,
            }));
        }
        if self.has_connection() {
            self.close(CloseCode::Normal, "left");
        }
        if !matches!(self.state, State::Ended) {
            self.end(End::Left);
        }
    }

    /// A gateway's say over who may be in its room, from now on and after
    /// every join.
    pub fn set_access(&mut self, access: Access, now: Instant) {
        self.config.access = access;
        self.keep_out(now);
        self.send_key_messages(now);
        if self.is_joined() {
            self.send_access();
        }
    }

    /// Puts a member out of a gateway's room; with `ban` for ever.
    pub fn remove(&mut self, peer: PeerId, ban: bool, now: Instant) {
        if let Some(keys) = &mut self.keys {
            keys.kick(peer, now);
        }
        self.send_key_messages(now);
        if self.is_joined() {
            self.send(&Message::Remove(Remove { peer, ban }));
        }
    }

    /// Does what is due. The driver calls it when [`Self::next_wakeup`] has
    /// come; calling it earlier does no harm.
    pub fn tick(&mut self, now: Instant) {
        self.tunnel.reassembler.expire(now, &mut self.tunnel.drops);
        if self.confirm_until.is_some_and(|until| until <= now) {
            self.confirm_until = None;
            for gone in self.roster.remove_unconfirmed() {
                self.peer_gone(gone, CloseCode::ConnectionLost, now);
            }
        }
        self.send_key_messages(now);
        match &mut self.state {
            State::Dialling { until } | State::Joining { until } if *until <= now => {
                self.close(CloseCode::JoinTimeout, "no answer");
                self.lose(LostCause::NoAnswer, now);
            }
            State::Waiting { until } if *until <= now => self.dial(now),
            State::Joined(joined) if joined.last_heard + SILENCE <= now => {
                self.close(CloseCode::TooSlow, "nothing heard");
                self.lose(LostCause::Silence, now);
            }
            State::Joined(joined) => {
                let ping = joined.next_ping <= now;
                let stats = joined.next_stats <= now;
                if ping {
                    joined.next_ping = now + PING_AFTER;
                }
                if stats {
                    joined.next_stats = now + STATS_INTERVAL;
                }
                if ping {
                    let nonce = self.rng.random();
                    self.send(&Message::Ping(Ping { nonce }));
                }
                if stats {
                    self.send_stats(now);
                }
                self.send_probes(now);
            }
            State::Idle
            | State::Ended
            | State::Dialling { .. }
            | State::Joining { .. }
            | State::Waiting { .. } => {}
        }
    }

    /// When [`Self::tick`] has something to do.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Instant> {
        let own = match &self.state {
            State::Idle | State::Ended => None,
            State::Dialling { until } | State::Joining { until } | State::Waiting { until } => {
                Some(*until)
            }
            State::Joined(joined) => {
                let silence = joined.last_heard + SILENCE;
                let next = silence.min(joined.next_ping).min(joined.next_stats);
                Some(self.probes.next_wakeup().map_or(next, |at| at.min(next)))
            }
        };
        [
            own,
            self.confirm_until,
            self.tunnel.reassembler.next_expiry(),
            self.next_key_wakeup(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Hands over what only the driver can see.
    pub fn set_readings(&mut self, readings: Readings) {
        self.readings = readings;
    }

    pub(crate) const fn readings(&self) -> &Readings {
        &self.readings
    }

    /// What a player's machine must keep reaching outside the tunnel; DHCP
    /// offers that would cover it are dropped.
    pub fn set_address_guard(&mut self, guard: AddressGuard) {
        if let Some(player) = &mut self.player {
            player.set_guard(guard);
        }
    }

    #[must_use]
    pub const fn config(&self) -> &SessionConfig {
        &self.config
    }

    #[must_use]
    pub const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// What the last Welcome said; stays through an outage.
    #[must_use]
    pub const fn membership(&self) -> Option<&Membership> {
        self.membership.as_ref()
    }

    #[must_use]
    pub const fn is_joined(&self) -> bool {
        matches!(self.state, State::Joined(_))
    }

    #[must_use]
    pub const fn drops(&self) -> &DropCounts {
        &self.tunnel.drops
    }

    /// The round trip to another member, through the relay.
    #[must_use]
    pub fn peer_rtt(&self, peer: PeerId) -> Option<Rtt> {
        self.probes.rtt(peer)
    }

    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let gateway = self.roster.gateway();
        let joined = if let State::Joined(joined) = &self.state {
            Some(joined)
        } else {
            None
        };
        let mut drops = self.tunnel.drops.clone();
        drops.merge(&self.readings.drops);
        let budget = self.readings.datagram_budget.zip(self.membership.as_ref());
        Snapshot {
            phase: self.phase(),
            own_id: self.membership.as_ref().map(|m| m.peer_id),
            joined_for: joined.map(|j| now.saturating_duration_since(j.since)),
            relay_rtt: joined.and(self.readings.relay_rtt),
            gateway,
            gateway_rtt: gateway.and_then(|peer| self.probes.rtt(peer)),
            peers: self.roster.len(),
            budget: budget
                .map(|(available, m)| Budget::new(available, m.tap_mtu, self.keys.is_some())),
            counters: self.tunnel.counters,
            drops,
        }
    }

    fn dial(&mut self, now: Instant) {
        let patient = self.backoff.failures() % PATIENT_EVERY == PATIENT_EVERY - 1;
        let timeout = if patient {
            PATIENT_DIAL_TIMEOUT
        } else {
            DIAL_TIMEOUT
        };
        self.state = State::Dialling {
            until: now + timeout,
        };
        self.effects.push_back(Effect::Dial);
    }

    /// Ends the connection's time and plans the next attempt.
    fn lose(&mut self, cause: LostCause, now: Instant) {
        let was_joined = self.is_joined();
        self.roster.unconfirm();
        self.confirm_until = None;
        for peer in self.roster.iter() {
            self.probes.remove(peer.peer);
        }
        let after = self.backoff.next(now, &mut self.rng);
        self.state = State::Waiting { until: now + after };
        let attempt = self.backoff.failures();
        let is_pending = cause.is_approval_pending();
        if was_joined || !is_pending {
            self.event(SessionEvent::Lost { cause, was_joined });
            self.event(SessionEvent::Retrying { after, attempt });
        }
        let was_pending = std::mem::replace(&mut self.awaiting_approval, is_pending);
        if is_pending && !was_pending {
            self.event(SessionEvent::AwaitingApproval);
        }
    }

    fn end(&mut self, end: End) {
        self.state = State::Ended;
        self.event(SessionEvent::Ended(end));
    }

    const fn has_connection(&self) -> bool {
        matches!(
            self.state,
            State::Dialling { .. } | State::Joining { .. } | State::Joined(_)
        )
    }

    const fn phase(&self) -> Phase {
        match self.state {
            State::Idle => Phase::Idle,
            State::Dialling { .. } => Phase::Dialling,
            State::Joining { .. } => Phase::Joining,
            State::Joined(_) => Phase::Joined,
            State::Waiting { .. } => Phase::Waiting,
            State::Ended => Phase::Ended,
        }
    }

    fn heard(&mut self, now: Instant) {
        if let State::Joined(joined) = &mut self.state {
            joined.last_heard = now;
            joined.next_ping = now + PING_AFTER;
        }
    }

    fn send_stats(&mut self, now: Instant) {
        let snapshot = self.snapshot(now);
        let micros = |rtt: Duration| u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX);
        let budget = self.readings.datagram_budget.unwrap_or(0);
        self.send(&Message::Stats(Box::new(PeerStats {
            uptime_s: snapshot.joined_for.unwrap_or_default().as_secs(),
            tunnel: snapshot.counters,
            drops: snapshot.drops,
            rtt_us: snapshot.relay_rtt.map(micros),
            datagram_budget: u16::try_from(budget).unwrap_or(u16::MAX),
            tap: self.readings.tap,
            lan: self.readings.lan,
        })));
    }

    fn send(&mut self, message: &Message) {
        self.effects.push_back(Effect::SendControl(encode(message)));
    }

    fn close(&mut self, code: CloseCode, message: &str) {
        let message = message.to_owned();
        self.effects.push_back(Effect::Close { code, message });
    }

    fn event(&mut self, event: SessionEvent) {
        self.effects.push_back(Effect::Event(event));
    }
}
