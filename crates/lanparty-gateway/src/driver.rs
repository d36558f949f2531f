//! The program on the loop: moves frames between the LAN, the bridge, the
//! session and the relay, and decides nothing about them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lanparty_client_core::{DisconnectCause, Effect, End, Readings, Session, SessionEvent};
use lanparty_ctrl::{CloseCode, PeerInfo, Role};
use lanparty_lan::{Budget, FromLan, HostReach, Lan, LanPort, LinkEvent};
use lanparty_obs::DropReason;
use lanparty_obs::diagnostics::MemberStatus;
use lanparty_obs::drops::DropCounts;
use lanparty_obs::frame_log::{Action, Direction, GatewayFrameRecord};
use lanparty_obs::stats::LanStats;
use lanparty_os::answer_socket::AnswerSocket;
use lanparty_proto::PeerId;
use lanparty_proto::ethernet::EthernetHeader;
use lanparty_seal::RoomKey;
use lanparty_transport::reactor::{Interest, Reactor, Ready, Token};
use lanparty_transport::run::{App, Context};
use lanparty_transport::signals::Signals;
use lanparty_transport::{CloseReason, ConnId, ConnStats, Event};

use crate::access::Host;
use crate::bridge::{Alarm, Bridge, Output, ToRoom};
use crate::console::{Console, Player, say};
use crate::failure::Failure;
use crate::hosting::Hosting;
use crate::room::OwnRoom;

const LAN: Token = Token(1);
const LINK: Token = Token(2);
const SIGNALS: Token = Token(3);
const STATUS: Token = Token(4);
const REQUESTS: Token = Token(5);

/// Read from the LAN in one turn. Half of what a connection's queue holds, for
/// more than is sent in between would only overflow it; and so few packets that
/// small frames leave the relay its turn.
const LAN_TURN: Budget = Budget {
    packets: 64,
    bytes: 256 * 1_024,
};
/// Between two looks at what the host should be told.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Where the relay is.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Its addresses, dialled in turn; never empty.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) server_name: String,
}

/// What the gateway is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) relay: Relay,
    pub(crate) session: Session,
    pub(crate) bridge: Bridge,
    pub(crate) lan: Lan,
    /// Answers `lanparty-gateway status`.
    pub(crate) status: AnswerSocket,
    pub(crate) hosting: Hosting,
    pub(crate) console: Console,
}

#[derive(Debug)]
pub(crate) struct Gateway {
    relay: Relay,
    session: Session,
    bridge: Bridge,
    lan: Lan,
    status: AnswerSocket,
    hosting: Hosting,
    signals: Signals,
    console: Console,
    /// The connection that the session knows.
    conn: Option<ConnId>,
    dialled: usize,
    /// What this program dropped, and the connections that are over.
    drops: DropCounts,
    members_changed: bool,
    /// Leaving the room for the next one.
    moving: bool,
    next_report: Instant,
    outcome: Option<Result<(), Failure>>,
}

impl Gateway {
    pub(crate) fn new(parts: Parts, reactor: &Reactor) -> std::io::Result<Self> {
        let Parts {
            relay,
            session,
            mut bridge,
            lan,
            status,
            hosting,
            console,
        } = parts;
        let signals = [
            signal_hook::consts::SIGINT,
            signal_hook::consts::SIGTERM,
            signal_hook::consts::SIGHUP,
        ];
        let signals = Signals::new(reactor, SIGNALS, &signals)?;
        reactor.register(lan.frames_fd(), LAN, Interest::Read)?;
        reactor.register(lan.link_fd(), LINK, Interest::Read)?;
        reactor.register(&status, STATUS, Interest::Read)?;
        for source in hosting.requests().sources() {
            reactor.register(source, REQUESTS, Interest::Read)?;
        }
        bridge.set_host(lan.mac(), lan.addresses());
        console.opened(lan.mac(), lan.addresses(), lan.host_reach());
        Ok(Self {
            relay,
            session,
            bridge,
            lan,
            status,
            hosting,
            signals,
            console,
            conn: None,
            dialled: 0,
            drops: DropCounts::new(),
            members_changed: true,
            moving: false,
            next_report: reactor.now(),
            outcome: None,
        })
    }

    /// How it ended, once [`App::finished`].
    pub(crate) fn into_outcome(self) -> Result<(), Failure> {
        self.outcome.unwrap_or(Ok(()))
    }

    /// The room to go on with, where the last one ended for that.
    pub(crate) fn take_next_room(&mut self) -> Option<OwnRoom> {
        match self.outcome {
            Some(Ok(())) if self.moving => self.hosting.take_next_room(),
            _ => None,
        }
    }

    /// Serves another room on the same LAN.
    pub(crate) fn enter(&mut self, session: Session, key: RoomKey, host: Host, now: Instant) {
        let left = std::mem::replace(&mut self.session, session);
        self.drops.merge(left.drops());
        for info in left.roster().iter() {
            self.bridge.player_left(info.peer, false, now);
        }
        self.members_changed = true;
        self.hosting.moved(key, host);
        self.conn = None;
        self.moving = false;
        self.outcome = None;
    }

    fn receive_lan(&mut self, cx: &mut Context<'_>) {
        let now = cx.now;
        let max_datagram = self.max_datagram(cx);
        let room = self.room();
        let Self {
            session,
            bridge,
            lan,
            conn,
            drops,
            ..
        } = self;
        let mut sink = |from_lan: FromLan<'_>| match from_lan {
            FromLan::Dropped(reason) => drops.add(reason),
            FromLan::Frame { frame, origin } => {
                let verdict = bridge.from_lan(frame, origin, now);
                let record = |peer, action| {
                    trace_frame(room, Direction::LanToPlayer, peer, frame, action);
                };
                let (peer, targets) = match verdict {
                    Ok(ToRoom::Player(peer)) => (Some(peer), 1),
                    Ok(ToRoom::Everybody) => (None, bridge.player_count()),
                    Ok(ToRoom::Nobody) => return,
                    Err(reason) => {
                        drops.add(reason);
                        return record(None, Action::Drop(reason));
                    }
                };
                let targets = u16::try_from(targets).unwrap_or(u16::MAX);
                record(peer, Action::Forward { targets });
                let mut send = |key, bytes| {
                    if let Some(conn) = *conn {
                        cx.transport.send_datagram(now, conn, key, bytes);
                    }
                };
                // Its drops are in the session's counters.
                let _ = session.outgoing(frame, max_datagram, now, &mut send);
            }
        };
        let received = lan.receive(LAN_TURN, &mut sink);
        let mut send = |key, bytes| {
            if let Some(conn) = *conn {
                cx.transport.send_datagram(now, conn, key, bytes);
            }
        };
        session.flush(max_datagram, now, &mut send);
        if let Err(error) = received {
            self.end(Err(Failure::System("read from the LAN", error)));
        }
    }

    /// A frame of the room goes to the LAN; without a datagram those that
    /// waited for their key.
    fn receive_datagram(&mut self, cx: &mut Context<'_>, datagram: Option<&[u8]>) {
        let now = cx.now;
        let max_datagram = self.max_datagram(cx);
        let room = self.room();
        let Self {
            session,
            bridge,
            lan,
            drops,
            ..
        } = self;
        let mut sink = |frame: &[u8], source: PeerId| {
            let verdict = bridge.from_room(frame, source, now);
            let action = match verdict {
                Ok(target) => {
                    lan.send(frame, target);
                    Action::Forward { targets: 1 }
                }
                Err(reason) => {
                    drops.add(reason);
                    Action::Drop(reason)
                }
            };
            trace_frame(room, Direction::PlayerToLan, Some(source), frame, action);
        };
        // Its drops are in the session's counters.
        match datagram {
            Some(datagram) => {
                let _ = session.incoming(datagram, max_datagram, now, &mut sink);
            }
            None => session.release(max_datagram, now, &mut sink),
        }
    }

    /// Does what the session asks for.
    fn effects(&mut self, cx: &mut Context<'_>) {
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                Effect::Dial => self.dial(cx),
                Effect::SendControl(bytes) => {
                    let sent = self.conn.map(|conn| cx.transport.send_control(conn, bytes));
                    if let Some(Err(overflow)) = sent {
                        self.hang_up(cx, CloseCode::TooSlow, "control stream full");
                        let reason = overflow.to_string();
                        let cause = DisconnectCause::Other { reason };
                        self.session.disconnected(cause, cx.now);
                    }
                }
                Effect::SendDatagram { key, bytes } => {
                    if let Some(conn) = self.conn {
                        cx.transport.send_datagram(cx.now, conn, key, bytes);
                    }
                }
                Effect::Close { code, message } => self.hang_up(cx, code, &message),
                Effect::Event(event) => self.session_event(event, cx.now),
            }
        }
    }

    fn dial(&mut self, cx: &mut Context<'_>) {
        self.hang_up(cx, CloseCode::Normal, "dialling again");
        let count = self.relay.addresses.len().max(1);
        let address = self.relay.addresses.get(self.dialled % count);
        self.dialled = self.dialled.wrapping_add(1);
        let Some(&address) = address else { return };
        tracing::debug!(%address, "dialling the relay");
        match cx
            .transport
            .connect(cx.now, address, &self.relay.server_name)
        {
            Ok(conn) => self.conn = Some(conn),
            Err(error) => {
                let reason = error.to_string();
                let cause = DisconnectCause::Other { reason };
                self.session.disconnected(cause, cx.now);
            }
        }
    }

    fn hang_up(&mut self, cx: &mut Context<'_>, code: CloseCode, message: &str) {
        if let Some(conn) = self.conn.take() {
            cx.transport.close(cx.now, conn, code.into(), message);
        }
    }

    fn session_event(&mut self, event: SessionEvent, now: Instant) {
        self.console.event(&event);
        match event {
            SessionEvent::PeerJoined(info) => {
                self.hosting.peer_joined(&info);
                if let (Role::Client, Some(mac)) = (info.role, info.mac) {
                    self.bridge.player_joined(info.peer, mac, now);
                    self.members_changed = true;
                }
            }
            SessionEvent::PeerLeft { peer, reason } => {
                let for_good = matches!(reason, CloseCode::Normal | CloseCode::Removed);
                self.bridge.player_left(peer.peer, for_good, now);
                self.members_changed = true;
            }
            SessionEvent::Ended(End::Left) => self.end(Ok(())),
            SessionEvent::Ended(end) => self.end(Err(Failure::Ended(end))),
            SessionEvent::Joined(_) => {
                self.bridge.joined();
                self.hosting.joined();
            }
            SessionEvent::Asking(asking) => self.hosting.asked(*asking),
            SessionEvent::GatewayPresent(_)
            | SessionEvent::GatewayGone
            | SessionEvent::PolicyChanged(_)
            | SessionEvent::AwaitingApproval
            | SessionEvent::Keys(_)
            | SessionEvent::Lost { .. }
            | SessionEvent::Retrying { .. }
            | SessionEvent::RelayRestarting { .. }
            | SessionEvent::Lease(_)
            | SessionEvent::AddressRefused(_) => {}
        }
    }

    /// The first reason to end is the one that counts.
    fn end(&mut self, outcome: Result<(), Failure>) {
        self.outcome.get_or_insert(outcome);
    }

    fn outputs(&mut self, cx: &mut Context<'_>) {
        while let Some(output) = self.bridge.poll_output() {
            match output {
                Output::Send { frame, target } => self.lan.send(&frame, target),
                Output::Tell { mut frame } => self.tell(cx, &mut frame),
                Output::Alarm(alarm) => self.alarm(alarm),
            }
        }
    }

    /// Sends a frame of our own into the room.
    fn tell(&mut self, cx: &mut Context<'_>, frame: &mut [u8]) {
        let max_datagram = self.max_datagram(cx);
        let (conn, now) = (self.conn, cx.now);
        let mut send = |key, bytes| {
            if let Some(conn) = conn {
                cx.transport.send_datagram(now, conn, key, bytes);
            }
        };
        // Its drops are in the session's counters.
        let _ = self.session.outgoing(frame, max_datagram, now, &mut send);
        self.session.flush(max_datagram, now, &mut send);
    }

    fn alarm(&mut self, alarm: Alarm) {
        tracing::warn!(?alarm, "loop protection");
        let roster = self.session.roster();
        self.console.alarm(alarm, |alarm| match alarm {
            Alarm::Loop { player, .. } => roster.get(player).map(|info| info.name.to_string()),
            Alarm::LanLoop | Alarm::SecondGateway { .. } | Alarm::NewerGateway { .. } => None,
        });
        if let Alarm::SecondGateway { mac } = alarm {
            self.end(Err(Failure::SecondGateway { mac }));
            self.session.leave();
        }
    }

    fn link_events(&mut self, now: Instant) {
        let mut events = Vec::new();
        if let Err(error) = self.lan.link_events(&mut |event| events.push(event)) {
            let failure = Failure::System("watch the interface", error);
            self.end(Err(failure));
            self.session.leave();
        }
        for event in events {
            self.console.link(event);
            match event {
                LinkEvent::Up => self.bridge.link_up(now),
                LinkEvent::Down => {}
                LinkEvent::AddressesChanged => {
                    self.bridge.set_host(self.lan.mac(), self.lan.addresses());
                }
                LinkEvent::Gone => {
                    let name = self.lan.interface().to_owned();
                    self.end(Err(Failure::InterfaceGone(name)));
                    self.session.leave();
                }
            }
        }
    }

    fn report(&mut self, now: Instant) {
        let Self {
            session,
            bridge,
            console,
            ..
        } = self;
        let players = session.roster().iter().filter_map(|info| {
            let mac = info.mac.filter(|_| info.role == Role::Client)?;
            Some(Player {
                name: info.name.as_str(),
                mac,
                addresses: bridge.addresses_of(mac, now).collect(),
            })
        });
        console.players(players);
    }

    fn readings(&mut self, cx: &mut Context<'_>) -> Readings {
        let stats = self.conn.and_then(|conn| cx.transport.stats(conn));
        // A question to the kernel, and nobody else asks.
        self.drops
            .add_n(DropReason::LanOverflow, self.lan.overflowed());
        let mut drops = self.drops.clone();
        if let Some(stats) = &stats {
            drops.merge(&stats.drops);
        }
        Readings {
            relay_rtt: stats.as_ref().map(|stats| stats.rtt),
            line: stats.as_ref().map(ConnStats::line),
            datagram_budget: stats.and_then(|stats| stats.max_datagram),
            drops,
            tap: None,
            lan: Some(self.lan_stats()),
        }
    }

    fn lan_stats(&self) -> LanStats {
        let counters = self.lan.counters();
        LanStats {
            link_up: self.lan.is_link_up(),
            host_path: *self.lan.host_reach() == HostReach::Reachable,
            frames_in: counters.frames_in,
            frames_out: counters.frames_out,
            packets_in: counters.packets_in,
            packets_out: counters.packets_out,
            known_macs: u32::try_from(self.bridge.known_macs()).unwrap_or(u32::MAX),
        }
    }

    fn member_status(&mut self, cx: &mut Context<'_>) -> MemberStatus {
        let readings = self.readings(cx);
        self.session.set_readings(readings);
        let mut status = self.session.status(cx.now);
        status.relay.address = self.current_address();
        status
    }

    fn current_address(&self) -> Option<SocketAddr> {
        let count = self.relay.addresses.len().max(1);
        let last = self.dialled.checked_sub(1)?;
        self.relay.addresses.get(last % count).copied()
    }

    /// What one datagram carries now; nothing while there is no connection.
    fn max_datagram(&self, cx: &mut Context<'_>) -> usize {
        let max = self
            .conn
            .and_then(|conn| cx.transport.max_datagram_size(conn));
        max.unwrap_or(0)
    }

    fn room(&self) -> [u8; 16] {
        let membership = self.session.membership();
        membership.map_or([0; 16], |membership| membership.room_id.0)
    }
}

impl App for Gateway {
    fn transport_event(&mut self, cx: &mut Context<'_>, event: Event) {
        let current = |conn: ConnId| self.conn == Some(conn);
        match event {
            Event::Connected {
                conn,
                exporter,
                identity,
                ..
            } if current(conn) => {
                self.hosting.relay_shown(identity);
                let budget = self.max_datagram(cx);
                self.session.connected(&exporter, budget, cx.now);
            }
            Event::Control { conn, bytes } if current(conn) => {
                self.session.control(&bytes, cx.now);
                self.receive_datagram(cx, None);
            }
            Event::Datagram { conn, bytes } if current(conn) => {
                self.receive_datagram(cx, Some(&bytes));
            }
            Event::Closed {
                conn,
                reason,
                stats,
            } => {
                self.drops.merge(&stats.drops);
                if self.conn == Some(conn) {
                    self.conn = None;
                    self.session.disconnected(cause_of(reason), cx.now);
                }
            }
            // An earlier connection's last words.
            Event::Connected { .. } | Event::Control { .. } | Event::Datagram { .. } => {}
        }
        self.effects(cx);
    }

    fn ready(&mut self, cx: &mut Context<'_>, ready: Ready) {
        match ready.token {
            LAN => self.receive_lan(cx),
            LINK => self.link_events(cx.now),
            SIGNALS if self.signals.take().is_empty() => {}
            SIGNALS => {
                say("leaving the room");
                self.moving = false;
                let _not_now = self.hosting.take_next_room();
                self.session.leave();
            }
            STATUS => {
                let status = self.member_status(cx);
                self.status.answer_all(status);
            }
            REQUESTS => {
                let Self {
                    hosting,
                    session,
                    bridge,
                    ..
                } = self;
                let addresses = |info: &PeerInfo| {
                    let mac = info.mac.into_iter();
                    mac.flat_map(|mac| bridge.addresses_of(mac, cx.now))
                        .collect()
                };
                hosting.answer_all(session, &addresses, cx.now);
            }
            _ => {}
        }
    }

    fn wakeup(&mut self, cx: &mut Context<'_>) {
        // The first call starts the session, the others do nothing.
        self.session.start(cx.now);
        if self.next_report <= cx.now {
            self.next_report = cx.now + REPORT_INTERVAL;
            self.report(cx.now);
            let readings = self.readings(cx);
            self.session.set_readings(readings);
        }
        self.session.tick(cx.now);
        self.bridge.tick(cx.now);
        if !self.moving && self.hosting.moves_at().is_some_and(|at| at <= cx.now) {
            say("moving to the room's new key");
            self.moving = true;
            self.session.leave();
        }
    }

    fn next_wakeup(&mut self) -> Option<Instant> {
        let others = [
            self.session.next_wakeup(),
            self.bridge.next_wakeup(),
            self.hosting.moves_at().filter(|_| !self.moving),
        ];
        let next = others.into_iter().flatten().min();
        Some(next.map_or(self.next_report, |at| at.min(self.next_report)))
    }

    fn before_flush(&mut self, cx: &mut Context<'_>) {
        self.outputs(cx);
        self.effects(cx);
        if std::mem::take(&mut self.members_changed) {
            let members: Vec<_> = self.bridge.player_macs().collect();
            if let Err(error) = self.lan.set_members(&members) {
                tracing::warn!(%error, "the kernel refused the frame filter");
            }
        }
        self.drops.add_n(DropReason::LanWrite, self.lan.flush());
    }

    fn finished(&self) -> bool {
        self.outcome.is_some()
    }
}

fn trace_frame(
    room: [u8; 16],
    direction: Direction,
    peer: Option<PeerId>,
    frame: &[u8],
    action: Action,
) {
    if tracing::enabled!(target: "gateway::frames", tracing::Level::TRACE) {
        let record = GatewayFrameRecord {
            room,
            direction,
            peer,
            header: EthernetHeader::parse(frame).ok().map(|(header, _)| header),
            length: frame.len(),
            action,
        };
        tracing::trace!(target: "gateway::frames", "{record}");
    }
}

fn cause_of(reason: CloseReason) -> DisconnectCause {
    match reason {
        CloseReason::Application { code, message } => {
            DisconnectCause::Application { code, message }
        }
        CloseReason::Unreachable => DisconnectCause::NoAnswer,
        CloseReason::TimedOut => DisconnectCause::TimedOut,
        CloseReason::Reset => DisconnectCause::Reset,
        CloseReason::VersionMismatch => DisconnectCause::VersionMismatch,
        CloseReason::Untrusted(failure) => DisconnectCause::Certificate {
            reason: failure.to_string(),
        },
        other @ (CloseReason::Local
        | CloseReason::Refused
        | CloseReason::CertificateRefused(_)
        | CloseReason::Tls(_)
        | CloseReason::Protocol(_)) => DisconnectCause::Other {
            reason: other.to_string(),
        },
    }
}
