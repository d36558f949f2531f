//! Between the transport and the core: events in, decisions and effects out.

use std::panic::{self, AssertUnwindSafe};
use std::time::Instant;

use bytes::Bytes;
use lanparty_ctrl::CloseCode;
use lanparty_obs::DropCounts;
use lanparty_os::answer_socket::AnswerSocket;
use lanparty_proto::fragment;
use lanparty_proto::overlay::Header;
use lanparty_relay_core::{
    Conn, Decision, Effect, LinkSnapshot, NewConnection, RelayCore, RoomsSnapshot,
};
use lanparty_transport::reactor::{Ready, Token};
use lanparty_transport::run::{App, Context};
use lanparty_transport::signals::Signals;
use lanparty_transport::{CloseReason, ConnId, ConnStats, Event, FlowKey, Transport};
use rand::rngs::StdRng;
use rustix::process::Signal;

use crate::certificate::CertificateWatch;

pub(crate) const SIGNALS: Token = Token(1);
pub(crate) const LOCAL_SOCKET: Token = Token(2);

pub(crate) struct Driver {
    core: RelayCore<StdRng>,
    local_socket: AnswerSocket,
    signals: Signals,
    certificate: CertificateWatch,
    /// What was lost on connections that have ended.
    lost: DropCounts,
}

impl Driver {
    pub(crate) fn new(
        core: RelayCore<StdRng>,
        local_socket: AnswerSocket,
        signals: Signals,
        certificate: CertificateWatch,
    ) -> Self {
        Self {
            core,
            local_socket,
            signals,
            certificate,
            lost: DropCounts::new(),
        }
    }

    fn datagram(&mut self, cx: &mut Context<'_>, conn: ConnId, bytes: Bytes) {
        match self.core.datagram(Conn(conn.get()), &bytes, cx.now) {
            Decision::Forward { targets, header } => {
                let key = flow_key(&header, &bytes);
                let mut send = |target: &Conn, bytes| {
                    let target = ConnId::from(target.0);
                    cx.transport.send_datagram(cx.now, target, key, bytes);
                };
                // A counted reference for each but the last, which gets ours.
                if let Some((last, others)) = targets.split_last() {
                    for target in others {
                        send(target, bytes.clone());
                    }
                    send(last, bytes);
                }
            }
            Decision::Answer { datagram, header } => {
                let answer = Bytes::copy_from_slice(&datagram);
                cx.transport
                    .send_datagram(cx.now, conn, flow_key(&header, &datagram), answer);
            }
            // Counted by the core.
            Decision::Drop(_) => {}
        }
    }

    fn signalled(&mut self, cx: &mut Context<'_>) {
        for signal in self.signals.take() {
            if signal == Signal::HUP.as_raw() {
                self.certificate
                    .reload(|identity| cx.transport.set_identity(identity));
            } else {
                tracing::info!("asking the members to come back soon, then stopping");
                self.core.begin_drain(cx.now);
            }
        }
    }

    fn take(&mut self, cx: &mut Context<'_>, event: Event) {
        match event {
            Event::Connected {
                conn,
                remote,
                identity,
                exporter,
            } => {
                tracing::debug!(%conn, %remote, "connected");
                let new = NewConnection {
                    conn: Conn(conn.get()),
                    remote,
                    identity: identity.0,
                    exporter,
                };
                self.core.connected(new, cx.now);
            }
            Event::Control { conn, bytes } => self.core.control(Conn(conn.get()), &bytes, cx.now),
            Event::Datagram { conn, bytes } => self.datagram(cx, conn, bytes),
            Event::Closed {
                conn,
                reason,
                stats,
            } => {
                tracing::debug!(%conn, ?reason, "closed");
                self.lost.merge(&stats.drops);
                let code = match reason {
                    CloseReason::Application { code, .. } => Some(code),
                    CloseReason::Local
                    | CloseReason::Unreachable
                    | CloseReason::TimedOut
                    | CloseReason::Reset
                    | CloseReason::Refused
                    | CloseReason::VersionMismatch
                    | CloseReason::Untrusted(_)
                    | CloseReason::CertificateRefused(_)
                    | CloseReason::Tls(_)
                    | CloseReason::Protocol(_) => None,
                };
                self.core.disconnected(Conn(conn.get()), code, cx.now);
            }
        }
    }
}

impl App for Driver {
    /// The core is written so that nothing from the wire makes it panic;
    /// should it do so all the same, that costs one member its connection and
    /// no room its members.
    fn transport_event(&mut self, cx: &mut Context<'_>, event: Event) {
        let conn = event.conn();
        if contained(|| self.take(cx, event)).is_some() {
            return;
        }
        tracing::error!("a bug ended a member's connection; please report the panic above");
        let code = CloseCode::ProtocolError;
        cx.transport
            .close(cx.now, conn, code.into(), "a bug in the relay");
        contained(|| {
            self.core
                .disconnected(Conn(conn.get()), Some(code.into()), cx.now);
        });
    }

    fn ready(&mut self, cx: &mut Context<'_>, ready: Ready) {
        match ready.token {
            SIGNALS => self.signalled(cx),
            LOCAL_SOCKET => {
                let rooms = snapshot(&self.core, cx.transport, &self.lost, cx.now);
                self.local_socket.answer_all(rooms);
            }
            Token(_) => {}
        }
    }

    fn wakeup(&mut self, cx: &mut Context<'_>) {
        self.core.tick(cx.now);
        if self.certificate.look(cx.now) {
            self.certificate
                .reload(|identity| cx.transport.set_identity(identity));
        }
    }

    fn next_wakeup(&mut self) -> Option<Instant> {
        let look = self.certificate.next_look();
        Some(self.core.next_wakeup().map_or(look, |due| due.min(look)))
    }

    fn before_flush(&mut self, cx: &mut Context<'_>) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::SendControl { conn, bytes } => {
                    let sent = cx.transport.send_control(ConnId::from(conn.0), bytes);
                    if sent.is_err() {
                        self.core.control_overflow(conn, cx.now);
                    }
                }
                Effect::Close {
                    conn,
                    code,
                    message,
                } => {
                    tracing::debug!(conn = conn.0, %code, told = ?message, "closing");
                    cx.transport
                        .close(cx.now, ConnId::from(conn.0), code.into(), &message);
                }
            }
        }
    }

    fn finished(&self) -> bool {
        self.core.is_drained()
    }
}

/// What `body` returns, unless it panics.
fn contained<T>(body: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(body)).ok()
}

fn flow_key(header: &Header, datagram: &[u8]) -> FlowKey {
    FlowKey {
        source: header.source.get(),
        tag: header.flow_tag,
        hint: header.hint,
        part_of: fragment::frame_id(header.kind, datagram),
    }
}

fn snapshot(
    core: &RelayCore<StdRng>,
    transport: &mut Transport,
    lost: &DropCounts,
    now: Instant,
) -> RoomsSnapshot {
    let mut links = lost.clone();
    links.merge(transport.drops());
    let mut snapshot = core.snapshot(now, |conn| {
        let stats = transport.stats(ConnId::from(conn.0))?;
        links.merge(&stats.drops);
        Some(link(stats))
    });
    snapshot.relay.links = links;
    snapshot
}

fn link(stats: ConnStats) -> LinkSnapshot {
    LinkSnapshot {
        rtt_us: u64::try_from(stats.rtt.as_micros()).unwrap_or(u64::MAX),
        datagram_budget: stats
            .max_datagram
            .map_or(0, |max| u16::try_from(max).unwrap_or(u16::MAX)),
        queue_bytes: u64::try_from(stats.queue_bytes).unwrap_or(u64::MAX),
        packets_lost: stats.packets_lost,
        line: stats.line(),
        drops: stats.drops,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a15_a_panic_in_the_core_is_contained_and_what_follows_runs() {
        let mut handled = Vec::new();
        for event in 0..3 {
            let outcome = contained(|| {
                assert_ne!(event, 1, "a bug");
                handled.push(event);
            });
            assert_eq!(outcome.is_none(), event == 1);
        }
        assert_eq!(handled, [0, 2]);
    }
}
