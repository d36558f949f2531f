//! The player on the loop: frames between adapter and session, and what the
//! session's events mean for this machine.
//!
//! `player/path.rs` keeps the way to the relay outside the adapter,
//! `player/address.rs` carries changes of the adapter's address out, and
//! `player/report.rs` is what people and programs are told.

mod address;
mod path;
mod report;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use lanparty_client_core::{
    DisconnectCause, Effect, End, KeyNews, Membership, Readings, Session, SessionEvent,
};
use lanparty_client_tap::{Adapter as _, FromTap};
use lanparty_obs::stats::{TapAddress, TapStats};
use lanparty_obs::{DropCounts, DropReason, ExitCode};
use lanparty_os::answer_socket::AnswerSocket;
use lanparty_proto::MacAddr;
use lanparty_proto::mtu::DEFAULT_TAP_MTU;
use lanparty_seal::RoomKey;
use lanparty_transport::reactor::{Interest, Reactor, Ready, Token};
use lanparty_transport::run::{App, Context};
use lanparty_transport::{CloseReason, ConnId, ConnStats, Event, Transport};

use crate::arp::Arp;
use crate::failure::Failure;
use crate::platform::{Platform, Turn};
use crate::resolver::Resolver;
use crate::settings::Settings;
use path::RelayPath;

const STOP: Token = Token(1);
const TAP: Token = Token(2);
const STATUS: Token = Token(3);
const ROUTES: Token = Token(4);
const ADDRESS: Token = Token(5);

/// Packets read from the adapter in one turn. A superframe is up to 64 KiB, so
/// this bounds a turn to a few milliseconds.
const TAP_BUDGET: usize = 32;
const SECOND: Duration = Duration::from_secs(1);
/// Between two summaries in the terminal.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(60);
/// A relay that was never reached by then is reported as unreachable.
const FIRST_JOIN_PATIENCE: Duration = Duration::from_secs(30);

/// Failed attempts after which the relay's name is looked up again: it may
/// have moved.
const RESOLVE_EVERY: u32 = 3;
/// From the announcement of a new key until the player follows: the gateway
/// goes first, after 2 s, so that the room is there.
const FOLLOW_AFTER: Duration = Duration::from_secs(3);

/// What the player is made of.
pub(crate) struct Parts<P: Platform> {
    pub(crate) settings: Settings,
    pub(crate) session: Session,
    pub(crate) tap: P::Tap,
    pub(crate) platform: P,
    pub(crate) mac: MacAddr,
    /// The relay's addresses, best first.
    pub(crate) remotes: Vec<SocketAddr>,
    pub(crate) status: AnswerSocket,
}

pub(crate) struct Player<P: Platform> {
    settings: Settings,
    session: Session,
    // In the order in which they are undone: routes, then addresses, then the
    // adapter that both need.
    path: RelayPath<P::Table>,
    platform: P,
    tap: P::Tap,
    mac: MacAddr,
    status: AnswerSocket,
    remotes: Vec<SocketAddr>,
    resolver: Resolver,
    dials: usize,
    conn: Option<ConnId>,
    /// The largest datagram that the path carries, as of this turn.
    max_datagram: usize,
    /// The address that was dialled last.
    remote: Option<SocketAddr>,
    mtu: u16,
    carrier: bool,
    /// Drops at this machine's edge and on ended connections.
    drops: DropCounts,
    started: Instant,
    ever_joined: bool,
    next_second: Instant,
    next_summary: Instant,
    /// The key that takes the place of this room's, and when to follow it.
    next_key: Option<(RoomKey, Instant)>,
    /// Left the room for the one with the next key.
    moving: bool,
    outcome: Option<Result<(), Failure>>,
}

impl<P: Platform> Player<P> {
    pub(crate) fn new(mut parts: Parts<P>, reactor: &Reactor) -> io::Result<Self> {
        parts.platform.watch_stop(reactor, STOP)?;
        parts.platform.watch_tap(&parts.tap, reactor, TAP)?;
        reactor.register(&parts.status, STATUS, Interest::Read)?;
        let now = reactor.now();
        Ok(Self {
            resolver: Resolver::new(parts.settings.entry.relay.clone()),
            settings: parts.settings,
            session: parts.session,
            tap: parts.tap,
            path: RelayPath::default(),
            platform: parts.platform,
            mac: parts.mac,
            status: parts.status,
            remotes: parts.remotes,
            dials: 0,
            conn: None,
            max_datagram: 0,
            remote: None,
            mtu: DEFAULT_TAP_MTU,
            carrier: false,
            drops: DropCounts::new(),
            started: now,
            ever_joined: false,
            next_second: now + SECOND,
            next_summary: now + SUMMARY_INTERVAL,
            next_key: None,
            moving: false,
            outcome: None,
        })
    }

    pub(crate) fn start(&mut self, reactor: &Reactor, transport: &mut Transport) {
        let now = reactor.now();
        let mut cx = Context {
            transport,
            reactor,
            now,
        };
        self.settings.console.say_all(&self.platform.introduction());
        self.say(format_args!(
            "joining room {} by way of {}",
            self.settings.entry.room, self.settings.entry.relay
        ));
        self.session.start(now);
        self.carry_out(&mut cx);
    }

    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether it goes on in the room with the next key.
    pub(crate) const fn moves(&self) -> bool {
        self.moving
    }

    /// Goes on with the same adapter in the room with the next key, which its
    /// gateway is about to open.
    pub(crate) fn enter(&mut self, session: Session, reactor: &Reactor, transport: &mut Transport) {
        let now = reactor.now();
        let left = std::mem::replace(&mut self.session, session);
        self.drops.merge(left.drops());
        self.conn = None;
        self.max_datagram = 0;
        self.moving = false;
        self.outcome = None;
        self.session.expect_room();
        self.session.start(now);
        let mut cx = Context {
            transport,
            reactor,
            now,
        };
        self.carry_out(&mut cx);
    }

    /// Follows the host to the room's next key.
    fn follow(&mut self, cx: &mut Context<'_>) {
        if let Some((key, _)) = self.next_key.take_if(|(_, at)| *at <= cx.now) {
            self.settings.entry.key = Some(key);
            self.leave(cx, Ok(()));
            self.moving = true;
        }
    }

    pub(crate) fn into_outcome(self) -> Result<(), Failure> {
        self.outcome.unwrap_or(Ok(()))
    }

    /// Does what the session asks for.
    fn carry_out(&mut self, cx: &mut Context<'_>) {
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                Effect::Dial => self.dial(cx),
                Effect::SendControl(bytes) => {
                    let Some(conn) = self.conn else { continue };
                    if cx.transport.send_control(conn, bytes).is_err() {
                        self.lose(cx, "the relay does not read its control stream");
                    }
                }
                Effect::SendDatagram { key, bytes } => {
                    if let Some(conn) = self.conn {
                        cx.transport.send_datagram(cx.now, conn, key, bytes);
                    }
                }
                Effect::Close { code, message } => {
                    if let Some(conn) = self.conn.take() {
                        self.keep_drops(cx, conn);
                        cx.transport.close(cx.now, conn, code.into(), &message);
                    }
                }
                Effect::Event(event) => self.session_event(cx, event),
            }
        }
    }

    fn dial(&mut self, cx: &mut Context<'_>) {
        if let Some(old) = self.conn.take() {
            self.keep_drops(cx, old);
            cx.transport.close(cx.now, old, 0, "dialling again");
        }
        let Some(remote) = self.remotes.get(self.dials % self.remotes.len().max(1)) else {
            return;
        };
        let remote = *remote;
        self.dials += 1;
        self.remote = Some(remote);
        self.start_from_source(cx, remote);
        let name = &self.settings.entry.server_name;
        match cx.transport.connect(cx.now, remote, name) {
            Ok(conn) => self.conn = Some(conn),
            Err(error) => {
                let reason = error.to_string();
                self.session
                    .disconnected(DisconnectCause::Other { reason }, cx.now);
            }
        }
    }

    fn lose(&mut self, cx: &mut Context<'_>, reason: &str) {
        if let Some(conn) = self.conn.take() {
            self.keep_drops(cx, conn);
            cx.transport.close(cx.now, conn, 0, reason);
        }
        let reason = reason.to_owned();
        self.session
            .disconnected(DisconnectCause::Other { reason }, cx.now);
    }

    /// A connection's drops are gone with it; the player's total is not.
    fn keep_drops(&mut self, cx: &mut Context<'_>, conn: ConnId) {
        if let Some(stats) = cx.transport.stats(conn) {
            self.drops.merge(&stats.drops);
        }
    }

    fn session_event(&mut self, cx: &mut Context<'_>, event: SessionEvent) {
        self.tell(&event);
        match event {
            SessionEvent::Joined(membership) => {
                if let Err(failure) = self.joined(cx, &membership) {
                    self.leave(cx, Err(failure));
                }
            }
            SessionEvent::Ended(End::Left) => self.finish(Ok(())),
            SessionEvent::Ended(end) => {
                self.finish(Err(Failure::new(end.exit_code(), anyhow!("{end}"))));
            }
            SessionEvent::Lost { .. } if !self.ever_joined && self.is_out_of_patience(cx.now) => {
                let relay = &self.settings.entry.relay;
                let failure = anyhow!(
                    "the relay {relay} does not answer; check its name and port, and whether this network lets UDP through"
                );
                self.leave(cx, Err(Failure::new(ExitCode::RelayUnreachable, failure)));
            }
            SessionEvent::Retrying { attempt, .. } if attempt % RESOLVE_EVERY == 0 => {
                self.resolver.ask();
            }
            SessionEvent::Keys(KeyNews::RoomKeyRotated(key)) => {
                let at = cx.now + FOLLOW_AFTER;
                self.next_key.get_or_insert((key, at));
            }
            SessionEvent::Keys(_)
            | SessionEvent::Lost { .. }
            | SessionEvent::PeerJoined(_)
            | SessionEvent::PeerLeft { .. }
            | SessionEvent::GatewayPresent(_)
            | SessionEvent::GatewayGone
            | SessionEvent::PolicyChanged(_)
            | SessionEvent::AwaitingApproval
            | SessionEvent::Asking(_)
            | SessionEvent::Retrying { .. }
            | SessionEvent::Lease(_)
            | SessionEvent::AddressRefused(_)
            | SessionEvent::RelayRestarting { .. } => {}
        }
    }

    /// The adapter comes to life only when the path to the relay is safe.
    fn joined(&mut self, cx: &mut Context<'_>, membership: &Membership) -> Result<(), Failure> {
        self.ever_joined = true;
        self.hold_path(cx)?;
        if self.mtu != membership.tap_mtu {
            self.tap.set_mtu(membership.tap_mtu)?;
            self.mtu = membership.tap_mtu;
        }
        if !self.carrier {
            self.tap.set_carrier(true)?;
            self.carrier = true;
        }
        let said = self.path.check()?;
        self.say_all(&said);
        let changes = self.platform.joined(turn(cx))?;
        self.apply(cx, changes);
        Ok(())
    }

    fn is_out_of_patience(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.started) >= FIRST_JOIN_PATIENCE
    }

    fn leave(&mut self, cx: &mut Context<'_>, outcome: Result<(), Failure>) {
        self.finish(outcome);
        self.session.leave();
        self.carry_out(cx);
    }

    /// The first outcome counts.
    fn finish(&mut self, outcome: Result<(), Failure>) {
        self.outcome.get_or_insert(outcome);
    }

    /// Frames of this machine go into the room.
    fn read_tap(&mut self, cx: &mut Context<'_>) {
        let Self {
            tap,
            session,
            drops,
            conn,
            max_datagram,
            ..
        } = self;
        let (transport, now) = (&mut *cx.transport, cx.now);
        let mut sink = |key, bytes| {
            if let Some(conn) = *conn {
                transport.send_datagram(now, conn, key, bytes);
            }
        };
        let received = tap.receive(TAP_BUDGET, &mut |from| match from {
            FromTap::Frame(frame) => {
                // The session has counted what it refuses.
                let _counted = session.outgoing(frame, *max_datagram, now, &mut sink);
            }
            FromTap::Dropped(reason) => drops.add(reason),
        });
        session.flush(*max_datagram, now, &mut sink);
        if let Err(error) = received {
            let failure = anyhow!(error).context("the network adapter was taken away");
            self.leave(cx, Err(Failure::new(ExitCode::Interface, failure)));
        }
    }

    /// A frame of the room goes to this machine; without a datagram those
    /// that waited for their key.
    fn datagram(&mut self, cx: &mut Context<'_>, bytes: Option<&[u8]>) {
        let Self {
            tap,
            session,
            platform,
            max_datagram,
            ..
        } = self;
        let mut heard = Vec::new();
        let mut sink = |frame: &[u8], _| {
            if platform.listens() {
                heard.extend(Arp::parse(frame));
            }
            tap.send(frame);
        };
        match bytes {
            Some(bytes) => {
                let _counted = session.incoming(bytes, *max_datagram, cx.now, &mut sink);
            }
            None => session.release(*max_datagram, cx.now, &mut sink),
        }
        for arp in heard {
            let changes = self.platform.observe(&arp, cx.now);
            self.apply(cx, changes);
        }
    }

    /// A frame that did not come from the adapter, such as an ARP probe.
    fn send_own(&mut self, cx: &mut Context<'_>, frame: &mut [u8]) {
        let Some(conn) = self.conn else { return };
        let (transport, now) = (&mut *cx.transport, cx.now);
        let mut sink = |key, bytes| transport.send_datagram(now, conn, key, bytes);
        let _counted = self
            .session
            .outgoing(frame, self.max_datagram, now, &mut sink);
        self.session.flush(self.max_datagram, now, &mut sink);
    }

    /// Once a turn, because every frame needs to know. Where the path shrinks
    /// meanwhile, the transport's splitter puts it right.
    fn measure_path(&mut self, cx: &mut Context<'_>) {
        let size = self
            .conn
            .and_then(|conn| cx.transport.max_datagram_size(conn));
        self.max_datagram = size.unwrap_or(0);
    }

    fn set_readings(&mut self, cx: &mut Context<'_>) {
        let stats = self.conn.and_then(|conn| cx.transport.stats(conn));
        let mut drops = self.drops.clone();
        drops.merge(cx.transport.drops());
        if let Some(stats) = &stats {
            drops.merge(&stats.drops);
        }
        let address = self.platform.address().map(|(prefix, source)| TapAddress {
            address: prefix.address,
            prefix_len: prefix.length,
            source,
        });
        self.session.set_readings(Readings {
            relay_rtt: stats.as_ref().map(|stats| stats.rtt),
            line: stats.as_ref().map(ConnStats::line),
            drops,
            datagram_budget: stats.and_then(|stats| stats.max_datagram),
            tap: Some(TapStats {
                up: self.carrier,
                mtu: self.mtu,
                address,
            }),
            lan: None,
        });
    }
}

impl<P: Platform> App for Player<P> {
    fn transport_event(&mut self, cx: &mut Context<'_>, event: Event) {
        match event {
            Event::Connected { conn, exporter, .. } if self.conn == Some(conn) => {
                self.measure_path(cx);
                self.session.connected(&exporter, self.max_datagram, cx.now);
            }
            Event::Control { conn, bytes } if self.conn == Some(conn) => {
                self.session.control(&bytes, cx.now);
                self.datagram(cx, None);
            }
            Event::Datagram { conn, bytes } if self.conn == Some(conn) => {
                self.datagram(cx, Some(&bytes));
            }
            Event::Closed {
                conn,
                reason,
                stats,
            } if self.conn == Some(conn) => {
                self.conn = None;
                self.drops.merge(&stats.drops);
                self.session.disconnected(cause(reason), cx.now);
            }
            // What an abandoned connection still has to say.
            Event::Connected { .. }
            | Event::Control { .. }
            | Event::Datagram { .. }
            | Event::Closed { .. } => return,
        }
        self.carry_out(cx);
    }

    fn ready(&mut self, cx: &mut Context<'_>, ready: Ready) {
        match ready.token {
            TAP => self.read_tap(cx),
            STATUS => {
                self.set_readings(cx);
                let status = self.status(cx.now);
                self.status.answer_all(status);
            }
            ROUTES => self.routes_changed(cx.now),
            ADDRESS => {
                let changes = self.platform.news(turn(cx));
                self.apply(cx, changes);
            }
            STOP if self.platform.is_stop_wanted() => {
                self.say("leaving the room");
                self.moving = false;
                self.next_key = None;
                self.leave(cx, Ok(()));
            }
            _ => {}
        }
    }

    fn wakeup(&mut self, cx: &mut Context<'_>) {
        self.session.tick(cx.now);
        self.carry_out(cx);
        self.follow(cx);
        if let Err(failure) = self.watch_path(cx) {
            self.leave(cx, Err(failure));
        }
        let changes = self.platform.wakeup(turn(cx));
        self.apply(cx, changes);
        if self.next_second <= cx.now {
            self.next_second = cx.now + SECOND;
            if let Some(remotes) = self.resolver.poll() {
                self.remotes = remotes;
            }
            self.set_readings(cx);
            self.every_second(cx.now);
        }
    }

    fn next_wakeup(&mut self) -> Option<Instant> {
        [
            Some(self.next_second),
            self.session.next_wakeup(),
            self.path.next_wakeup(),
            self.platform.next_wakeup(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn before_flush(&mut self, cx: &mut Context<'_>) {
        self.drops.add_n(DropReason::TapWrite, self.tap.flush());
        self.carry_out(cx);
        self.measure_path(cx);
    }

    fn finished(&self) -> bool {
        self.outcome.is_some()
    }
}

const fn turn<'a>(cx: &'a Context<'_>) -> Turn<'a> {
    Turn {
        reactor: cx.reactor,
        now: cx.now,
        token: ADDRESS,
    }
}

fn cause(reason: CloseReason) -> DisconnectCause {
    match reason {
        CloseReason::Application { code, message } => {
            DisconnectCause::Application { code, message }
        }
        CloseReason::VersionMismatch => DisconnectCause::VersionMismatch,
        CloseReason::TimedOut => DisconnectCause::TimedOut,
        CloseReason::Reset => DisconnectCause::Reset,
        CloseReason::Untrusted(failure) => DisconnectCause::Certificate {
            reason: failure.to_string(),
        },
        other @ (CloseReason::Local
        | CloseReason::Unreachable
        | CloseReason::Refused
        | CloseReason::CertificateRefused(_)
        | CloseReason::Tls(_)
        | CloseReason::Protocol(_)) => DisconnectCause::Other {
            reason: other.to_string(),
        },
    }
}
