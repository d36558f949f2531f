//! One connection: quinn's state machine with our queue, our control stream
//! and our deadlines.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_proto::tls::EXPORTER_LABEL;
use quinn_proto::{
    Connection, ConnectionError, Event as QuicEvent, StreamEvent, TransportError,
    TransportErrorCode, VarInt,
};
use rustls::pki_types::CertificateDer;

use crate::congestion::Congestion;
use crate::control::{Control, Ended, Unreadable};
use crate::control_turn::{Allowance, ControlTurn};
use crate::datagrams::{self, Outgoing, Splitter};
use crate::event::{CloseReason, ConnId, ConnStats, Event, Identity};
use crate::limits::TransportLimits;
use crate::pace::Pace;
use crate::path::Path;
use crate::spki::identity_of;
use crate::timing::Timer;
use crate::unrest::Unrest;
use crate::verify::RelayVerifier;

/// How long a close waits for the control messages before it to leave.
const CLOSE_GRACE: Duration = Duration::from_millis(200);
/// Between two times that packets are called lost for their age. quinn takes
/// what it finds at one time for one burst of losses, and four bursts without
/// an acknowledgement between for a path whose MTU has shrunk; a burst that is
/// looked at packet by packet would be ten. Acknowledgements come at least as
/// often as this.
const LOSS_INTERVAL: Duration = Duration::from_millis(5);
/// QUIC code of a close for which no application code exists.
const NO_CODE: VarInt = VarInt::from_u32(0);

pub(crate) struct Link {
    pub(crate) id: ConnId,
    pub(crate) conn: Connection,
    /// The address it was opened from, under which it was admitted.
    pub(crate) admitted_as: Option<IpAddr>,
    pub(crate) outgoing: Outgoing,
    pub(crate) phase: Phase,
    pub(crate) is_dirty: bool,
    /// When it is in the transport's timer list.
    pub(crate) armed: Option<Instant>,
    control: Control,
    turn: ControlTurn,
    congestion: Congestion,
    pace: Pace,
    path: Path,
    timer: Timer,
    /// quinn's timers wait until then.
    losses_until: Option<Instant>,
    /// quinn was asked for a packet while it had datagrams.
    has_fed: bool,
    unrest: Unrest,
    farewell: Duration,
    failed_farewell: Duration,
    #[cfg(test)]
    pub(crate) must_panic: bool,
}

#[derive(Debug)]
pub(crate) enum Phase {
    Handshake {
        deadline: Instant,
    },
    Up,
    /// The program closed it; the close waits for control bytes to leave.
    Closing {
        code: VarInt,
        message: Bytes,
        deadline: Instant,
    },
    /// Nothing more is reported about it, and its place is free again then.
    Over {
        forget_at: Instant,
    },
}

impl Link {
    pub(crate) fn new(
        id: ConnId,
        conn: Connection,
        admitted_as: Option<IpAddr>,
        now: Instant,
        limits: &TransportLimits,
    ) -> Self {
        Self {
            id,
            pace: Pace::new(now, &conn),
            path: Path::new(&conn),
            timer: Timer::new(now),
            conn,
            admitted_as,
            outgoing: Outgoing::new(limits.queue),
            phase: Phase::Handshake {
                deadline: now + limits.handshake_timeout,
            },
            is_dirty: false,
            armed: None,
            control: Control::new(limits.control_buffer),
            turn: ControlTurn::default(),
            congestion: limits.congestion,
            losses_until: None,
            has_fed: false,
            unrest: Unrest::default(),
            farewell: limits.farewell,
            failed_farewell: limits.failed_farewell,
            #[cfg(test)]
            must_panic: false,
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up)
    }

    pub(crate) const fn is_handshaking(&self) -> bool {
        matches!(self.phase, Phase::Handshake { .. })
    }

    /// True while a close waits for control bytes.
    pub(crate) const fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. })
    }

    /// True where its end has yet to be reported: not that of a stranger who
    /// never finished its handshake with a listener.
    pub(crate) fn is_reported(&self) -> bool {
        self.is_up() || (self.is_handshaking() && self.conn.side().is_client())
    }

    #[cfg(test)]
    pub(crate) fn panic_if_asked(&self) {
        assert!(!self.must_panic, "as a test asked for");
    }

    /// True once it is over for so long that its place is free again.
    pub(crate) fn is_forgotten(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Over { forget_at } if forget_at <= now)
    }

    /// True until a close was asked for or reported.
    pub(crate) const fn is_open(&self) -> bool {
        self.is_up() || self.is_handshaking()
    }

    pub(crate) const fn control(&mut self) -> &mut Control {
        &mut self.control
    }

    /// When this connection next needs attention.
    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        let quinns = self
            .conn
            .poll_timeout()
            .filter(|_| !self.path.is_untried())
            .map(|at| self.losses_until.map_or(at, |until| at.max(until)));
        let ours = match self.phase {
            Phase::Handshake { deadline } | Phase::Closing { deadline, .. } => Some(deadline),
            Phase::Over { forget_at } => Some(forget_at),
            Phase::Up => self.pace.next(),
        };
        match (quinns, ours) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, events: &mut VecDeque<Event>) {
        self.handle_quinns_timeout(now);
        self.pace.expire(now);
        match self.phase {
            Phase::Handshake { deadline } if deadline <= now => {
                self.conn.close(now, NO_CODE, Bytes::new());
                self.over(now, CloseReason::Unreachable, events);
            }
            Phase::Closing { deadline, .. } if deadline <= now => self.close_now(now),
            Phase::Handshake { .. } | Phase::Closing { .. } | Phase::Up | Phase::Over { .. } => {}
        }
    }

    fn handle_quinns_timeout(&mut self, now: Instant) {
        if self.path.is_untried() || self.losses_until.is_some_and(|until| now < until) {
            return;
        }
        let lost = self.conn.stats().path.lost_packets;
        self.conn.handle_timeout(now);
        if self.follow_path() {
            // Back on the path before, where quinn may have nothing to send.
            self.conn.ping();
        }
        let is_losing = self.conn.stats().path.lost_packets > lost;
        self.losses_until = is_losing.then(|| now + LOSS_INTERVAL);
    }

    /// True where quinn has just changed the path.
    fn follow_path(&mut self) -> bool {
        let has_changed = self.path.has_changed(&self.conn);
        if has_changed {
            self.pace.follow(&self.conn);
        }
        has_changed
    }

    /// A packet was taken. Ends the connection whose frames are not such as
    /// ours has a use for.
    pub(crate) fn watch(&mut self, now: Instant, events: &mut VecDeque<Event>) {
        self.follow_path();
        let is_too_much = self.unrest.is_too_much(now, &self.conn) || self.timer.is_flooded();
        if self.is_open() && is_too_much {
            self.fail(now, Fault::Unrest, events);
        }
    }

    /// Takes the datagrams of the last packet.
    pub(crate) fn receive_datagrams(&mut self, now: Instant, events: &mut VecDeque<Event>) {
        let (conn, up) = (self.id, self.is_up());
        let (timer, pace) = (&mut self.timer, &self.pace);
        self.outgoing.receive(
            &mut self.conn,
            |timing| {
                if let Some(sample) = timer.receive(now, timing) {
                    pace.on_one_way_delay(now, sample.sent_at, sample.relative_us);
                }
            },
            |bytes| {
                if up {
                    events.push_back(Event::Datagram { conn, bytes });
                }
            },
        );
    }

    /// Handles what quinn has to say about this connection.
    pub(crate) fn handle_quic_event(
        &mut self,
        now: Instant,
        event: QuicEvent,
        verifier: Option<&RelayVerifier>,
        events: &mut VecDeque<Event>,
    ) {
        let outcome = match event {
            QuicEvent::Connected => self.connected(events),
            QuicEvent::ConnectionLost { reason } => {
                let reason = self.close_reason(reason, verifier);
                self.over(now, reason, events);
                Ok(())
            }
            QuicEvent::Stream(StreamEvent::Opened { .. }) => {
                self.control.accept(&mut self.conn);
                self.read_control(events)
            }
            QuicEvent::Stream(StreamEvent::Readable { id }) if self.control.is(id) => {
                self.read_control(events)
            }
            QuicEvent::Stream(StreamEvent::Stopped { id, .. }) if self.control.is(id) => {
                Err(Fault::ControlEnded)
            }
            // Writable streams are written to at every flush; datagrams are
            // taken after every packet.
            QuicEvent::Stream(_)
            | QuicEvent::HandshakeDataReady
            | QuicEvent::DatagramReceived
            | QuicEvent::DatagramsUnblocked => Ok(()),
        };
        if let Err(fault) = outcome {
            self.fail(now, fault, events);
        }
    }

    /// Asks for a close; control bytes queued before it go out first.
    pub(crate) fn close(
        &mut self,
        now: Instant,
        code: u64,
        message: &str,
        events: &mut VecDeque<Event>,
    ) {
        if !self.is_open() {
            return;
        }
        let was_up = self.is_up();
        self.over(now, CloseReason::Local, events);
        self.phase = Phase::Closing {
            code: VarInt::from_u64(code).unwrap_or(VarInt::MAX),
            message: Bytes::copy_from_slice(message.as_bytes()),
            deadline: now + CLOSE_GRACE,
        };
        if !was_up {
            self.close_now(now);
        }
    }

    /// Gives quinn what it may send next.
    pub(crate) fn feed(
        &mut self,
        now: Instant,
        splitter: Option<&mut Splitter>,
        events: &mut VecDeque<Event>,
    ) {
        match self.phase {
            Phase::Up => {
                let Ok(has_written) = self.control.write(&mut self.conn) else {
                    self.fail(now, Fault::ControlEnded, events);
                    return;
                };
                let room = self.pace.room(now, &self.conn);
                self.outgoing.set_rate(self.pace.found_rate());
                let room = match self.turn.allowance(now, has_written) {
                    Allowance::Nothing => 0,
                    Allowance::One => room.min(1),
                    Allowance::Lead => room,
                };
                self.feed_timing(now, room);
                self.outgoing.feed(now, &mut self.conn, room, splitter);
                self.has_fed = datagrams::held(&mut self.conn) > 0;
            }
            Phase::Closing { .. } => {
                if self.control.write(&mut self.conn).is_err() {
                    self.close_now(now);
                }
            }
            Phase::Handshake { .. } | Phase::Over { .. } => {}
        }
    }

    /// A mark goes in front of data that had to wait and goes now, or that is
    /// much while the rate is still a guess: there it meets what the data
    /// meets. An echo goes as soon as anything may.
    fn feed_timing(&mut self, now: Instant, room: usize) {
        let is_unfound = self.pace.found_rate().is_none();
        let may_mark = room > 0
            && datagrams::held(&mut self.conn) == 0
            && self.pace.wants_marks()
            && (self.pace.is_backlogged() || is_unfound && self.timer.is_busy(self.pace.rate()))
            && self.outgoing.has_waiting();
        let timing = self.timer.outgoing(now, may_mark, self.pace.rate());
        if let Some(timing) = timing {
            self.outgoing.feed_timing(&mut self.conn, timing);
        }
    }

    /// quinn had a packet of so many bytes to send.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.turn.sent();
        self.timer.sent(bytes);
        if self.has_fed {
            self.pace.sent(bytes);
        }
    }

    /// quinn has nothing to send or may not. True where that changed.
    pub(crate) fn stalled(&mut self, now: Instant) -> bool {
        self.path.tried();
        if self.is_closing() && self.control.is_flushed() {
            self.close_now(now);
            return true;
        }
        if !self.is_up() {
            return false;
        }
        let waits = self.outgoing.has_waiting();
        let is_held = datagrams::held(&mut self.conn) > 0;
        if is_held {
            self.timer.stalled();
        }
        // What the pace holds back is no reason to ask quinn for more.
        let may_send = waits && (is_held || self.pace.room(now, &self.conn) > 0);
        if self.turn.stalled(may_send) {
            return true;
        }
        self.pace.stalled(now, waits, is_held);
        false
    }

    pub(crate) fn stats(&mut self) -> ConnStats {
        let stats = self.conn.stats();
        let (datagrams_in, datagrams_out) = self.outgoing.counts(&stats);
        ConnStats {
            rtt: stats.path.rtt,
            datagrams_in,
            datagrams_out,
            bytes_in: stats.udp_rx.bytes,
            bytes_out: stats.udp_tx.bytes,
            packets_lost: stats.path.lost_packets,
            queue_bytes: self.outgoing.queue_bytes(),
            queue_len: self.outgoing.queue_len(),
            congestion: self.congestion,
            congestion_window: stats.path.cwnd,
            regulation: self.pace.snapshot(),
            rate: self.pace.rate(),
            mtu: stats.path.current_mtu,
            max_datagram: self.conn.datagrams().max_size(),
            black_holes: stats.path.black_holes_detected,
            drops: self.outgoing.drops(&self.conn),
        }
    }

    fn connected(&mut self, events: &mut VecDeque<Event>) -> Result<(), Fault> {
        if !self.is_handshaking() {
            return Ok(());
        }
        let identity = self.peer_identity().ok_or(Fault::NoIdentity)?;
        let mut exporter = [0; 32];
        self.conn
            .crypto_session()
            .export_keying_material(&mut exporter, EXPORTER_LABEL, &[])
            .map_err(|_| Fault::NoIdentity)?;
        if self.conn.datagrams().max_size().is_none() {
            return Err(Fault::NoDatagrams);
        }
        if self.conn.side().is_client() {
            self.control.open(&mut self.conn)?;
        }
        self.phase = Phase::Up;
        events.push_back(Event::Connected {
            conn: self.id,
            remote: self.conn.remote_address(),
            identity,
            exporter,
        });
        Ok(())
    }

    fn peer_identity(&self) -> Option<Identity> {
        let chain = self.conn.crypto_session().peer_identity()?;
        let chain = chain.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        identity_of(chain.first()?).ok()
    }

    fn read_control(&mut self, events: &mut VecDeque<Event>) -> Result<(), Fault> {
        if !self.is_up() {
            return Ok(());
        }
        let conn = self.id;
        self.control.read(&mut self.conn, |bytes| {
            events.push_back(Event::Control { conn, bytes });
        })?;
        Ok(())
    }

    fn fail(&mut self, now: Instant, fault: Fault, events: &mut VecDeque<Event>) {
        let message = fault.message();
        self.conn
            .close(now, NO_CODE, Bytes::from_static(message.as_bytes()));
        self.over(now, CloseReason::Protocol(message.to_owned()), events);
    }

    fn close_now(&mut self, now: Instant) {
        if let Phase::Closing { code, message, .. } = &self.phase {
            let (code, message) = (*code, message.clone());
            self.conn.close(now, code, message);
            self.phase = Phase::Over {
                forget_at: now + self.farewell,
            };
        }
    }

    /// Settles the accounts and reports the end, once.
    fn over(&mut self, now: Instant, reason: CloseReason, events: &mut VecDeque<Event>) {
        let is_open = self.is_open();
        let reported = self.is_reported();
        let farewell = if is_open && !reported {
            self.failed_farewell
        } else {
            self.farewell
        };
        if !matches!(self.phase, Phase::Over { .. }) {
            self.phase = Phase::Over {
                forget_at: now + farewell,
            };
        }
        if !is_open {
            return;
        }
        self.outgoing.abandon(&mut self.conn);
        if reported {
            let stats = Box::new(self.stats());
            events.push_back(Event::Closed {
                conn: self.id,
                reason,
                stats,
            });
        } else {
            tracing::debug!(conn = %self.id, %reason, "a handshake failed");
        }
    }

    fn close_reason(
        &self,
        error: ConnectionError,
        verifier: Option<&RelayVerifier>,
    ) -> CloseReason {
        match error {
            ConnectionError::VersionMismatch => CloseReason::VersionMismatch,
            ConnectionError::Reset => CloseReason::Reset,
            ConnectionError::TimedOut if self.is_handshaking() => CloseReason::Unreachable,
            ConnectionError::TimedOut => CloseReason::TimedOut,
            ConnectionError::LocallyClosed => CloseReason::Local,
            ConnectionError::CidsExhausted => CloseReason::Refused,
            ConnectionError::ApplicationClosed(close) => CloseReason::Application {
                code: close.error_code.into_inner(),
                message: String::from_utf8_lossy(&close.reason).into_owned(),
            },
            ConnectionError::TransportError(error) => local_error(&error, verifier),
            ConnectionError::ConnectionClosed(close) => {
                let reason = String::from_utf8_lossy(&close.reason).into_owned();
                remote_error(close.error_code, reason)
            }
        }
    }
}

/// TLS alerts with a meaning of their own here (RFC 8446 section 6).
mod alert {
    pub(super) const BAD_CERTIFICATE: u8 = 42;
    pub(super) const UNSUPPORTED_CERTIFICATE: u8 = 43;
    pub(super) const CERTIFICATE_EXPIRED: u8 = 45;
    pub(super) const CERTIFICATE_UNKNOWN: u8 = 46;
    pub(super) const UNKNOWN_CA: u8 = 48;
    pub(super) const ACCESS_DENIED: u8 = 49;
    pub(super) const DECRYPT_ERROR: u8 = 51;
    pub(super) const PROTOCOL_VERSION: u8 = 70;
    pub(super) const CERTIFICATE_REQUIRED: u8 = 116;
    pub(super) const NO_APPLICATION_PROTOCOL: u8 = 120;
}

/// The alert in a QUIC error code (RFC 9001 section 4.8).
fn alert_of(code: TransportErrorCode) -> Option<u8> {
    let code = u64::from(code);
    (code & !0xFF == 0x100).then_some((code & 0xFF) as u8)
}

fn local_error(error: &TransportError, verifier: Option<&RelayVerifier>) -> CloseReason {
    if let Some(failure) = verifier.and_then(RelayVerifier::take_failure) {
        return CloseReason::Untrusted(failure);
    }
    match alert_of(error.code) {
        Some(alert::NO_APPLICATION_PROTOCOL | alert::PROTOCOL_VERSION) => {
            CloseReason::VersionMismatch
        }
        Some(_) => CloseReason::Tls(error.reason.clone()),
        None => CloseReason::Protocol(error.to_string()),
    }
}

fn remote_error(code: TransportErrorCode, reason: String) -> CloseReason {
    match alert_of(code) {
        Some(alert::NO_APPLICATION_PROTOCOL | alert::PROTOCOL_VERSION) => {
            CloseReason::VersionMismatch
        }
        Some(
            alert::BAD_CERTIFICATE
            | alert::UNSUPPORTED_CERTIFICATE
            | alert::CERTIFICATE_EXPIRED
            | alert::CERTIFICATE_UNKNOWN
            | alert::UNKNOWN_CA
            | alert::ACCESS_DENIED
            | alert::DECRYPT_ERROR
            | alert::CERTIFICATE_REQUIRED,
        ) => CloseReason::CertificateRefused(reason),
        Some(_) => CloseReason::Tls(reason),
        None if code == TransportErrorCode::CONNECTION_REFUSED => CloseReason::Refused,
        None => CloseReason::Protocol(format!("{code}: {reason}")),
    }
}

/// What the other side does that QUIC allows and we do not.
#[derive(Clone, Copy, Debug)]
enum Fault {
    NoIdentity,
    NoDatagrams,
    ControlEnded,
    ControlScattered,
    Unrest,
}

impl From<Ended> for Fault {
    fn from(Ended: Ended) -> Self {
        Self::ControlEnded
    }
}

impl From<Unreadable> for Fault {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Ended => Self::ControlEnded,
            Unreadable::Scattered => Self::ControlScattered,
        }
    }
}

impl Fault {
    const fn message(self) -> &'static str {
        match self {
            Self::NoIdentity => "no certificate was shown",
            Self::NoDatagrams => "QUIC datagrams are not supported",
            Self::ControlEnded => "the control stream was closed",
            Self::ControlScattered => "the control stream has too many gaps",
            Self::Unrest => "too many frames that serve no purpose",
        }
    }
}
