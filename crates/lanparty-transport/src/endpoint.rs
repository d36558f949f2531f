//! [`Transport`]: the endpoint, its socket and its connections.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use lanparty_obs::DropReason;
use lanparty_obs::drops::DropCounts;
use lanparty_proto::tls::ALPN;
use lanparty_queue::FlowKey;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    ClientConfig, ConnectError as QuicConnectError, ConnectionEvent, ConnectionHandle,
    DatagramEvent, Endpoint, EndpointConfig, EndpointEvent, Event as QuicEvent,
    HashedConnectionIdGenerator, Incoming, NoneTokenStore, ServerConfig, Transmit,
    ValidationTokenConfig,
};

use crate::admission::{Admission, Attempt, Verdict};
use crate::config::{Role, TransportConfigs};
use crate::connection::Link;
use crate::datagrams::Splitter;
use crate::error::{BindError, ConnectError, ControlOverflow, TlsSetupError};
use crate::event::{CloseReason, ConnId, ConnStats, Event};
use crate::identity::{MemberIdentity, ServerIdentity};
use crate::keys::EndpointKeys;
use crate::limits::TransportLimits;
use crate::provider::provider;
use crate::timers::Timers;
use crate::tls;
use crate::udp::{Origin, Sent, Udp, normalised};
use crate::verify::{RelayVerifier, ServerTrust, TrustBasis};

/// Any address of both families, any port.
const ANY: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
/// A limit of connection places; ids hold 24 bits of them.
const MAX_PLACES: usize = 1 << 24;
/// Datagrams handled before the loop turns to its other inputs and sends what
/// has come of them: 0.3 ms, and a third of a megabyte that is still cached.
const RECEIVE_BUDGET: usize = 160;
/// quinn's limit on unanswered first packets, between two of our turns.
const MAX_INCOMING: usize = 1_024;
/// Bytes kept of packets that overtake the answer to their first packet.
const INCOMING_BUFFER: u64 = 16 * 1024;
const INCOMING_BUFFERS: u64 = 8 * 1024 * 1024;
/// RFC 9000 section 10.3 lets us limit resets; with quinn's default of 20 ms a
/// restarted relay would take seconds to tell everyone.
const MIN_RESET_INTERVAL: Duration = Duration::from_millis(1);

/// How to listen.
#[derive(Debug)]
pub struct ListenOptions {
    /// `[::]:443` serves IPv4 too.
    pub address: SocketAddr,
    pub identity: ServerIdentity,
    pub keys: EndpointKeys,
    pub limits: TransportLimits,
}

/// How to dial.
#[derive(Debug)]
pub struct ClientOptions {
    pub identity: MemberIdentity,
    pub trust: ServerTrust,
    /// The local address; by default any, of both families.
    pub bind: Option<SocketAddr>,
    pub limits: TransportLimits,
}

/// A QUIC endpoint with its UDP socket.
///
/// Does no I/O but in [`Self::receive`], [`Self::flush`] and
/// [`Self::handle_timeouts`], never blocks and never reads a clock.
pub struct Transport {
    endpoint: Endpoint,
    pub(crate) udp: Udp,
    links: Vec<Option<Link>>,
    serial: u64,
    /// Places with something to send, each once.
    dirty: VecDeque<usize>,
    /// Places that have just sent, within one flush.
    unsettled: Vec<usize>,
    timers: Timers,
    events: VecDeque<Event>,
    limits: TransportLimits,
    admission: Admission,
    server: Option<Server>,
    client: Option<Client>,
    splitter: Option<Splitter>,
    drops: DropCounts,
    /// Written by quinn, then sent.
    buffer: Vec<u8>,
    blocked: Option<Blocked>,
    /// The socket before the last rebind, until the loop has let go of it.
    left_behind: Option<Udp>,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("local_address", &self.local_address())
            .field("connections", &self.endpoint.open_connections())
            .finish_non_exhaustive()
    }
}

struct Server {
    keys: EndpointKeys,
    transports: TransportConfigs,
    v4: Arc<ServerConfig>,
    v6: Arc<ServerConfig>,
}

struct Client {
    verifier: Arc<RelayVerifier>,
    basis: TrustBasis,
    tls: Arc<QuicClientConfig>,
    transports: TransportConfigs,
}

/// A transmit that the socket could not take.
struct Blocked {
    transmit: Transmit,
    bytes: Vec<u8>,
}

impl Transport {
    /// Opens a listening endpoint.
    ///
    /// # Errors
    /// Where the address cannot be bound or the certificate cannot be used.
    pub fn listen(options: ListenOptions) -> Result<Self, BindError> {
        Self::listen_as(options, ALPN)
    }

    pub(crate) fn listen_as(options: ListenOptions, alpn: &[u8]) -> Result<Self, BindError> {
        let ListenOptions {
            address,
            identity,
            keys,
            limits,
        } = options;
        let server = Server::new(
            keys.clone(),
            TransportConfigs::new(&limits, Role::Server),
            tls::server(&identity, alpn)?,
        );
        let udp = Udp::bind(address, limits.socket_buffer)?;
        let mut transport = Self::new(udp, &keys, limits);
        transport
            .endpoint
            .set_server_config(Some(server.v4.clone()));
        transport.server = Some(server);
        Ok(transport)
    }

    /// Opens an endpoint that dials.
    ///
    /// # Errors
    /// Where the address cannot be bound or the trust has no certificate.
    pub fn client(options: ClientOptions) -> Result<Self, BindError> {
        let ClientOptions {
            identity,
            trust,
            bind,
            limits,
        } = options;
        Self::client_as(Some(&identity), trust, bind, limits, ALPN)
    }

    pub(crate) fn client_as(
        identity: Option<&MemberIdentity>,
        trust: ServerTrust,
        bind: Option<SocketAddr>,
        limits: TransportLimits,
        alpn: &[u8],
    ) -> Result<Self, BindError> {
        let basis = trust.basis();
        let verifier = Arc::new(RelayVerifier::new(provider(), trust)?);
        let client = Client {
            basis,
            tls: tls::client(identity, verifier.clone(), alpn)?,
            verifier,
            transports: TransportConfigs::new(&limits, Role::Client),
        };
        let udp = Udp::bind(bind.unwrap_or(ANY), limits.socket_buffer)?;
        let mut transport = Self::new(udp, &EndpointKeys::random(), limits);
        transport.client = Some(client);
        Ok(transport)
    }

    fn new(udp: Udp, keys: &EndpointKeys, limits: TransportLimits) -> Self {
        let mut config = EndpointConfig::new(keys.reset());
        let connection_id_key = keys.connection_id();
        config
            .min_reset_interval(MIN_RESET_INTERVAL)
            .cid_generator(move || {
                Box::new(HashedConnectionIdGenerator::from_key(connection_id_key))
            });
        Self {
            endpoint: Endpoint::new(Arc::new(config), None, !udp.may_fragment(), None),
            udp,
            links: Vec::new(),
            serial: 0,
            dirty: VecDeque::new(),
            unsettled: Vec::new(),
            timers: Timers::default(),
            events: VecDeque::new(),
            admission: Admission::new(&limits),
            limits,
            server: None,
            client: None,
            splitter: None,
            drops: DropCounts::default(),
            buffer: Vec::new(),
            blocked: None,
            left_behind: None,
        }
    }

    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.udp.local_address()
    }

    /// Connections that quinn knows, closing ones included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.endpoint.open_connections()
    }

    /// What a relay that it is connected to was trusted by; `None` for a
    /// listener. [`Event::Connected`] has the hash of that relay's key.
    #[must_use]
    pub fn trust_basis(&self) -> Option<TrustBasis> {
        self.client.as_ref().map(|client| client.basis)
    }

    /// Cuts datagrams that no longer fit when their turn comes.
    pub fn set_splitter(&mut self, splitter: Splitter) {
        self.splitter = Some(splitter);
    }

    /// Shows another certificate to connections from now on.
    ///
    /// # Errors
    /// Where it cannot be used; the old one stays.
    pub fn set_identity(&mut self, identity: &ServerIdentity) -> Result<(), TlsSetupError> {
        if let Some(server) = &mut self.server {
            let tls = tls::server(identity, ALPN)?;
            *server = Server::new(server.keys.clone(), server.transports.clone(), tls);
            self.endpoint.set_server_config(Some(server.v4.clone()));
        }
        Ok(())
    }

    /// Begins a connection to `remote`, whose certificate must be for
    /// `server_name` unless a pin decides.
    ///
    /// # Errors
    /// Where the attempt cannot begin. What happens later is an [`Event`].
    pub fn connect(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        server_name: &str,
    ) -> Result<ConnId, ConnectError> {
        let remote = normalised(remote);
        let client = self.client.as_ref().ok_or(ConnectError::NotAClient)?;
        if !self.udp.reaches(remote) {
            return Err(ConnectError::NoIpv6(remote));
        }
        let mut config = ClientConfig::new(client.tls.clone());
        config
            .transport_config(client.transports.for_remote(remote.ip()))
            .token_store(Arc::new(NoneTokenStore));
        let (handle, conn) = self
            .endpoint
            .connect(now, config, remote, server_name)
            .map_err(|error| match error {
                QuicConnectError::InvalidServerName(name) => ConnectError::ServerName(name),
                QuicConnectError::InvalidRemoteAddress(address) => ConnectError::Address(address),
                QuicConnectError::CidsExhausted
                | QuicConnectError::EndpointStopping
                | QuicConnectError::NoDefaultClientConfig
                | QuicConnectError::UnsupportedVersion => ConnectError::TooMany,
            })?;
        let id = self.next_id(handle);
        self.insert(handle, Link::new(id, conn, None, now, &self.limits));
        Ok(id)
    }

    /// Moves every connection to a new socket, on `address` or on any, because
    /// this machine's own address has changed. They live on and tell their
    /// relay at once (RFC 9000 section 9.2). For endpoints that dial.
    ///
    /// # Errors
    /// Where the address cannot be bound; everything stays as it was.
    pub fn rebind(&mut self, now: Instant, address: Option<SocketAddr>) -> Result<(), BindError> {
        let udp = Udp::bind(address.unwrap_or(ANY), self.limits.socket_buffer)?;
        // What came before the change is as good as ever.
        self.receive(now);
        let old = std::mem::replace(&mut self.udp, udp);
        // Only the first of a turn is known to the loop.
        self.left_behind.get_or_insert(old);
        self.blocked = None;
        for place in 0..self.links.len() {
            if let Some(Some(link)) = self.links.get_mut(place) {
                link.conn.local_address_changed();
                self.mark(place);
            }
        }
        Ok(())
    }

    /// The socket that a rebind has replaced: to be taken out of the reactor,
    /// and the transport put in again.
    pub(crate) fn take_left_behind(&mut self) -> Option<Udp> {
        self.left_behind.take()
    }

    /// Takes what the socket has, up to a budget; the rest keeps it readable.
    pub fn receive(&mut self, now: Instant) {
        let mut handled = 0;
        while handled < RECEIVE_BUDGET {
            let batch = match self.udp.receive() {
                Ok(0) => return,
                Ok(batch) => batch,
                Err(error) => {
                    tracing::warn!(%error, "the UDP socket cannot be read");
                    return;
                }
            };
            for at in 0..batch {
                let Some((origin, chunk)) = self.udp.take(at) else {
                    continue;
                };
                for datagram in chunk {
                    handled += 1;
                    self.handle(now, origin, datagram);
                }
            }
            if self.udp.is_drained() {
                return;
            }
        }
    }

    /// What happened since.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Queues bytes on the control stream, also before `Connected`.
    ///
    /// # Errors
    /// Where the peer has not read what was sent before; close it then. A
    /// connection that is gone swallows the bytes: its `Closed` is on its way.
    pub fn send_control(&mut self, conn: ConnId, bytes: Bytes) -> Result<(), ControlOverflow> {
        let Some(link) = self.open_link(conn) else {
            return Ok(());
        };
        link.control().queue(bytes)?;
        self.mark(conn.place());
        Ok(())
    }

    /// Queues one datagram. It is sent when its turn comes or counted.
    pub fn send_datagram(&mut self, now: Instant, conn: ConnId, key: FlowKey, bytes: Bytes) {
        match self.open_link(conn) {
            Some(link) if link.is_up() => {
                link.outgoing.push(now, key, bytes);
                self.mark(conn.place());
            }
            Some(_) => self.drops.add(DropReason::NotReady),
            None => self.drops.add(DropReason::Disconnected),
        }
    }

    /// What fits one datagram on this connection now; `None` before
    /// `Connected`. Grows as path MTU discovery proceeds and may shrink.
    pub fn max_datagram_size(&mut self, conn: ConnId) -> Option<usize> {
        let link = self.open_link(conn).filter(|link| link.is_up())?;
        link.conn.datagrams().max_size()
    }

    /// Closes a connection with a code and message of the application. Control
    /// bytes queued before leave first. Reports `Closed` with reason `Local`.
    pub fn close(&mut self, now: Instant, conn: ConnId, code: u64, message: &str) {
        let place = conn.place();
        if let Some(Some(link)) = self.links.get_mut(place)
            && link.id == conn
        {
            let was_handshaking = link.is_handshaking();
            link.close(now, code, message, &mut self.events);
            if was_handshaking && link.admitted_as.is_some() {
                self.admission.handshake_ended();
            }
            self.mark(place);
        }
    }

    /// Closes every connection.
    pub fn close_all(&mut self, now: Instant, code: u64, message: &str) {
        let ids: Vec<ConnId> = self.links.iter().flatten().map(|link| link.id).collect();
        for id in ids {
            self.close(now, id, code, message);
        }
    }

    /// Stops taking connections; those that are open live on.
    pub fn stop_listening(&mut self) {
        self.server = None;
        self.endpoint.set_server_config(None);
    }

    /// Sends what may be sent now. Where the socket is full the rest waits for
    /// [`Self::wants_write`].
    pub fn flush(&mut self, now: Instant) {
        if !self.send_blocked(now) {
            return;
        }
        // What a connection has to say may be to send something more.
        while !self.dirty.is_empty() {
            let is_done = self.transmit_all(now);
            while let Some(place) = self.unsettled.pop() {
                self.contain(place, |this| this.settle(now, place));
            }
            if !is_done {
                return;
            }
        }
    }

    /// False where the socket is full.
    fn transmit_all(&mut self, now: Instant) -> bool {
        while let Some(place) = self.dirty.pop_front() {
            let mut is_done = true;
            self.contain(place, |this| {
                is_done = this.transmit(now, place);
                if is_done && let Some(Some(link)) = this.links.get_mut(place) {
                    link.is_dirty = false;
                }
            });
            self.unsettled.push(place);
            if !is_done {
                self.dirty.push_front(place);
                return false;
            }
        }
        true
    }

    /// True where [`Self::poll_event`] has something.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// True while the socket is full: flush again when it is writable.
    #[must_use]
    pub const fn wants_write(&self) -> bool {
        self.blocked.is_some()
    }

    /// True while a close has yet to leave.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        self.blocked.is_some()
            || !self.dirty.is_empty()
            || self.links.iter().flatten().any(Link::is_closing)
    }

    /// When [`Self::handle_timeouts`] is due.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub fn handle_timeouts(&mut self, now: Instant) {
        while let Some(place) = self.timers.pop_due(now) {
            let Some(Some(link)) = self.links.get_mut(place) else {
                continue;
            };
            link.armed = None;
            if link.is_forgotten(now) {
                self.remove(place);
                continue;
            }
            self.contain(place, |this| this.time_out(now, place));
        }
    }

    fn time_out(&mut self, now: Instant, place: usize) {
        let Some(Some(link)) = self.links.get_mut(place) else {
            return;
        };
        let was_handshaking = link.is_handshaking();
        link.handle_timeout(now, &mut self.events);
        if was_handshaking && !link.is_handshaking() && link.admitted_as.is_some() {
            self.admission.handshake_ended();
        }
        self.mark(place);
        self.settle(now, place);
    }

    /// The figures of an open connection.
    pub fn stats(&mut self, conn: ConnId) -> Option<ConnStats> {
        self.open_link(conn).map(Link::stats)
    }

    /// Bytes waiting in a connection's queue, cheaper to ask than [`Self::stats`].
    #[must_use]
    pub fn queue_bytes(&self, conn: ConnId) -> usize {
        match self.links.get(conn.place()) {
            Some(Some(link)) if link.id == conn => link.outgoing.queue_bytes(),
            Some(_) | None => 0,
        }
    }

    /// Datagrams for connections that were not up. Drops of a connection are
    /// in its [`ConnStats`].
    #[must_use]
    pub const fn drops(&self) -> &DropCounts {
        &self.drops
    }

    /// UDP transmits that the system refused; QUIC sees them as lost.
    #[must_use]
    pub const fn send_failures(&self) -> u64 {
        self.udp.send_failures()
    }

    fn handle(&mut self, now: Instant, origin: Origin, datagram: BytesMut) {
        self.buffer.clear();
        let Origin {
            remote,
            local_ip,
            ecn,
        } = origin;
        let event = self
            .endpoint
            .handle(now, remote, local_ip, ecn, datagram, &mut self.buffer);
        match event {
            None => {}
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                self.contain(handle.0, |this| this.take(now, handle.0, event));
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                // A place that no connection has.
                self.contain(usize::MAX, |this| this.admit(now, incoming));
            }
            Some(DatagramEvent::Response(transmit)) => self.respond(now, &transmit),
        }
    }

    fn take(&mut self, now: Instant, place: usize, event: ConnectionEvent) {
        let Some(Some(link)) = self.links.get_mut(place) else {
            return;
        };
        #[cfg(test)]
        link.panic_if_asked();
        link.conn.handle_event(event);
        if link.is_up() {
            link.receive_datagrams(now, &mut self.events);
        }
        link.watch(now, &mut self.events);
        let waits_for_flush = link.is_up();
        self.mark(place);
        // The rest can wait until what this packet set off has been sent.
        if !waits_for_flush {
            self.settle(now, place);
        }
    }

    /// Runs what concerns one connection. Should it panic, which a bug in the
    /// QUIC library would be enough for (RUSTSEC-2026-0037 was one), that
    /// connection ends and no other.
    fn contain(&mut self, place: usize, body: impl FnOnce(&mut Self)) {
        if panic::catch_unwind(AssertUnwindSafe(|| body(self))).is_ok() {
            return;
        }
        tracing::error!("a bug ended a connection; please report the panic above");
        let link = self.links.get(place).and_then(Option::as_ref);
        let Some(link) = link else { return };
        if link.is_handshaking() && link.admitted_as.is_some() {
            self.admission.handshake_ended();
        }
        if link.is_reported() {
            self.events.push_back(Event::Closed {
                conn: link.id,
                reason: CloseReason::Protocol("a bug in this program".to_owned()),
                stats: Box::default(),
            });
        }
        self.remove(place);
    }

    fn admit(&mut self, now: Instant, incoming: Incoming) {
        let remote = incoming.remote_address().ip();
        let validated = incoming.remote_address_validated();
        let attempt = Attempt {
            remote,
            validated,
            may_retry: incoming.may_retry(),
        };
        let verdict = match &self.server {
            Some(_) => self.admission.judge(now, attempt),
            None => Verdict::Refuse,
        };
        match verdict {
            Verdict::Accept => {
                let config = self.server.as_ref().map(|server| match remote {
                    IpAddr::V4(_) => server.v4.clone(),
                    IpAddr::V6(_) => server.v6.clone(),
                });
                match self
                    .endpoint
                    .accept(incoming, now, &mut self.buffer, config)
                {
                    Ok((handle, conn)) => {
                        self.admission.opened(now, remote, validated);
                        let id = self.next_id(handle);
                        let link = Link::new(id, conn, Some(remote), now, &self.limits);
                        self.insert(handle, link);
                        self.settle(now, handle.0);
                    }
                    Err(error) => {
                        if let Some(transmit) = error.response {
                            self.respond(now, &transmit);
                        }
                    }
                }
            }
            Verdict::Retry => match self.endpoint.retry(incoming, &mut self.buffer) {
                Ok(transmit) => self.respond(now, &transmit),
                Err(error) => self.endpoint.ignore(error.into_incoming()),
            },
            Verdict::Refuse => {
                let transmit = self.endpoint.refuse(incoming, &mut self.buffer);
                self.respond(now, &transmit);
            }
            Verdict::Ignore => self.endpoint.ignore(incoming),
        }
    }

    /// Sends an answer that belongs to no connection. A full socket swallows
    /// it: whoever asked will ask again, and keeping it would be state for
    /// strangers.
    fn respond(&mut self, now: Instant, transmit: &Transmit) {
        if let Some(bytes) = self.buffer.get(..transmit.size) {
            self.udp.send(now, transmit, bytes);
        }
    }

    /// Sends what one connection has. False where the socket is full.
    fn transmit(&mut self, now: Instant, place: usize) -> bool {
        let Some(Some(link)) = self.links.get_mut(place) else {
            return true;
        };
        loop {
            link.feed(now, self.splitter.as_mut(), &mut self.events);
            let mtu = usize::from(link.conn.current_mtu());
            let max_segments = self.udp.max_segments(now, mtu);
            self.buffer.clear();
            let Some(transmit) = link.conn.poll_transmit(now, max_segments, &mut self.buffer)
            else {
                if link.stalled(now) {
                    continue;
                }
                return true;
            };
            link.sent(transmit.size);
            let contents = self.buffer.get(..transmit.size).unwrap_or_default();
            if let Sent::Blocked { from } = self.udp.send(now, &transmit, contents) {
                let rest = contents.get(from..).unwrap_or_default().to_vec();
                self.blocked = Some(Blocked {
                    transmit,
                    bytes: rest,
                });
                return false;
            }
        }
    }

    /// Tries the transmit that the socket did not take. True where none is left.
    fn send_blocked(&mut self, now: Instant) -> bool {
        if let Some(mut blocked) = self.blocked.take()
            && let Sent::Blocked { from } = self.udp.send(now, &blocked.transmit, &blocked.bytes)
        {
            blocked.bytes.drain(..from);
            self.blocked = Some(blocked);
            return false;
        }
        true
    }

    /// Passes on what quinn has to say after a packet, a timeout or a flush,
    /// removes the connection when it is done with, and sets its timer.
    fn settle(&mut self, now: Instant, place: usize) {
        let handle = ConnectionHandle(place);
        let Some(Some(link)) = self.links.get_mut(place) else {
            return;
        };
        let was_handshaking = link.is_handshaking();
        let mut drained = false;
        let mut has_news = false;
        loop {
            let mut idle = true;
            while let Some(event) = link.conn.poll_endpoint_events() {
                idle = false;
                drained |= event.is_drained();
                if let Some(event) = self.endpoint.handle_event(handle, event) {
                    has_news = true;
                    link.conn.handle_event(event);
                }
            }
            while let Some(event) = link.conn.poll() {
                idle = false;
                has_news |= !matches!(
                    event,
                    QuicEvent::DatagramReceived | QuicEvent::DatagramsUnblocked
                );
                let verifier = self.client.as_ref().map(|client| &*client.verifier);
                link.handle_quic_event(now, event, verifier, &mut self.events);
            }
            if idle {
                break;
            }
        }
        if was_handshaking && link.is_up() {
            link.receive_datagrams(now, &mut self.events);
        }
        if was_handshaking && !link.is_handshaking() && link.admitted_as.is_some() {
            self.admission.handshake_ended();
        }
        if drained {
            self.forget(place);
        } else {
            let deadline = link.deadline();
            self.timers.arm(place, &mut link.armed, deadline);
            if has_news {
                self.mark(place);
            }
        }
    }

    /// Takes a connection from quinn, whatever quinn still wants with it.
    fn remove(&mut self, place: usize) {
        self.endpoint
            .handle_event(ConnectionHandle(place), EndpointEvent::drained());
        self.forget(place);
    }

    /// Frees the place of a connection that quinn no longer knows.
    fn forget(&mut self, place: usize) {
        if let Some(mut link) = self.links.get_mut(place).and_then(Option::take) {
            self.timers.disarm(place, &mut link.armed);
            if let Some(remote) = link.admitted_as {
                self.admission.closed(remote);
            }
        }
    }

    fn insert(&mut self, handle: ConnectionHandle, link: Link) {
        let place = handle.0;
        if self.links.len() <= place {
            self.links.resize_with(place + 1, || None);
        }
        if let Some(slot) = self.links.get_mut(place) {
            *slot = Some(link);
        }
        self.mark(place);
    }

    fn next_id(&mut self, handle: ConnectionHandle) -> ConnId {
        debug_assert!(handle.0 < MAX_PLACES);
        self.serial += 1;
        ConnId::new(self.serial, handle.0)
    }

    fn open_link(&mut self, conn: ConnId) -> Option<&mut Link> {
        self.links
            .get_mut(conn.place())?
            .as_mut()
            .filter(|link| link.id == conn && link.is_open())
    }

    fn mark(&mut self, place: usize) {
        if let Some(Some(link)) = self.links.get_mut(place)
            && !link.is_dirty
        {
            link.is_dirty = true;
            self.dirty.push_back(place);
        }
    }
}

#[cfg(test)]
impl Transport {
    /// The next packet of this connection meets a bug.
    pub(crate) fn provoke_panic(&mut self, conn: ConnId) {
        self.open_link(conn).expect("it is open").must_panic = true;
    }

    pub(crate) fn quic(&mut self, conn: ConnId) -> &quinn_proto::Connection {
        &self.open_link(conn).expect("it is open").conn
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Transport {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.udp.as_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsHandle for Transport {
    fn as_handle(&self) -> std::os::windows::io::BorrowedHandle<'_> {
        self.udp.as_handle()
    }
}

impl Server {
    fn new(keys: EndpointKeys, transports: TransportConfigs, tls: Arc<QuicServerConfig>) -> Self {
        let config = |any: IpAddr| {
            let mut tokens = ValidationTokenConfig::default();
            tokens.sent(0);
            let mut config = ServerConfig::new(tls.clone(), keys.token());
            config
                .transport_config(transports.for_remote(any))
                .validation_token_config(tokens)
                .max_incoming(MAX_INCOMING)
                .incoming_buffer_size(INCOMING_BUFFER)
                .incoming_buffer_size_total(INCOMING_BUFFERS);
            Arc::new(config)
        };
        Self {
            v4: config([0, 0, 0, 0].into()),
            v6: config([0_u16; 8].into()),
            transports,
            keys,
        }
    }
}
