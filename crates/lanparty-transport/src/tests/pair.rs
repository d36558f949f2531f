//! The harness: two transports, their events, and a loop with a deadline.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::reactor::{Interest, Reactor, Token};
use crate::{
    ClientOptions, CloseReason, ConnId, DeviceSeed, EndpointKeys, Event, Identity, ListenOptions,
    MemberIdentity, ServerIdentity, ServerTrust, Transport, TransportLimits,
};

pub(super) const ROOM: [u8; 16] = [7; 16];
const SEED: [u8; 32] = [1; 32];
const PATIENCE: Duration = Duration::from_secs(20);

/// One transport and what it reported.
pub(super) struct Side {
    pub(super) transport: Transport,
    pub(super) connected: Vec<(ConnId, Identity, [u8; 32], SocketAddr)>,
    pub(super) control: Vec<u8>,
    pub(super) datagrams: Vec<Bytes>,
    pub(super) closed: Vec<(ConnId, CloseReason, crate::ConnStats)>,
}

impl Side {
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            transport,
            connected: Vec::new(),
            control: Vec::new(),
            datagrams: Vec::new(),
            closed: Vec::new(),
        }
    }

    pub(super) fn turn(&mut self, now: Instant) {
        self.transport.receive(now);
        self.transport.handle_timeouts(now);
        self.transport.flush(now);
        while let Some(event) = self.transport.poll_event() {
            match event {
                Event::Connected {
                    conn,
                    remote,
                    identity,
                    exporter,
                } => self.connected.push((conn, identity, exporter, remote)),
                Event::Control { bytes, .. } => self.control.extend_from_slice(&bytes),
                Event::Datagram { bytes, .. } => self.datagrams.push(bytes),
                Event::Closed {
                    conn,
                    reason,
                    stats,
                } => self.closed.push((conn, reason, *stats)),
            }
        }
        // A transmit that events caused must not wait for the next packet.
        self.transport.flush(now);
    }

    pub(super) fn conn(&self) -> ConnId {
        self.connected.last().expect("connected").0
    }
}

pub(super) struct Pair {
    pub(super) server: Side,
    pub(super) client: Side,
    reactor: Reactor,
}

pub(super) struct Setup {
    pub(super) address: SocketAddr,
    pub(super) server_limits: TransportLimits,
    pub(super) client_limits: TransportLimits,
    pub(super) keys: EndpointKeys,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            server_limits: TransportLimits::default(),
            client_limits: TransportLimits::default(),
            keys: EndpointKeys::random(),
        }
    }
}

/// A relay identity that outlives its process.
pub(super) fn server_identity() -> ServerIdentity {
    ServerIdentity::self_signed(&[5; 32], &crate::identity::DEVELOPMENT_NAMES).unwrap()
}

pub(super) fn member() -> MemberIdentity {
    MemberIdentity::derive(&DeviceSeed(SEED), &ROOM).unwrap()
}

pub(super) fn trust() -> ServerTrust {
    ServerTrust::certificate(server_identity().certificate_der().to_vec())
}

pub(super) fn listen(setup: &Setup) -> Transport {
    Transport::listen(ListenOptions {
        address: setup.address,
        identity: server_identity(),
        keys: setup.keys.clone(),
        limits: setup.server_limits.clone(),
    })
    .unwrap()
}

pub(super) fn client(trust: ServerTrust, limits: &TransportLimits) -> Transport {
    Transport::client(ClientOptions {
        identity: member(),
        trust,
        bind: None,
        limits: limits.clone(),
    })
    .unwrap()
}

impl Pair {
    pub(super) fn new(setup: &Setup) -> Self {
        Self::of(listen(setup), client(trust(), &setup.client_limits))
    }

    pub(super) fn of(server: Transport, client: Transport) -> Self {
        let reactor = Reactor::new().unwrap();
        for (token, transport) in [(1, &server), (2, &client)] {
            reactor
                .register(transport, Token(token), Interest::Read)
                .unwrap();
        }
        Self {
            server: Side::new(server),
            client: Side::new(client),
            reactor,
        }
    }

    pub(super) fn connected(setup: &Setup) -> Self {
        let mut pair = Self::new(setup);
        pair.dial();
        pair.until("both sides are connected", |pair| {
            !pair.server.connected.is_empty() && !pair.client.connected.is_empty()
        });
        pair
    }

    pub(super) fn dial(&mut self) -> ConnId {
        let address = self.server_address();
        self.dial_name(address, "localhost")
    }

    pub(super) fn dial_name(&mut self, address: SocketAddr, name: &str) -> ConnId {
        let now = self.now();
        self.client.transport.connect(now, address, name).unwrap()
    }

    pub(super) fn server_address(&self) -> SocketAddr {
        let mut address = self.server.transport.local_address();
        if address.ip().is_unspecified() {
            address.set_ip([127, 0, 0, 1].into());
        }
        address
    }

    pub(super) fn now(&self) -> Instant {
        self.reactor.now()
    }

    pub(super) fn turn(&mut self) {
        let now = self.now();
        self.client.turn(now);
        self.server.turn(now);
    }

    /// Sleeps no longer than `limit`.
    fn wait(&mut self, limit: Duration) {
        if self.client.transport.wants_write() || self.server.transport.wants_write() {
            return;
        }
        let deadline = self.now() + limit;
        let deadline = [&self.client, &self.server]
            .into_iter()
            .filter_map(|side| side.transport.next_timeout())
            .fold(deadline, Ord::min);
        self.reactor.wait(Some(deadline)).unwrap();
    }

    pub(super) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = self.now() + PATIENCE;
        loop {
            self.turn();
            if done(self) {
                return;
            }
            assert!(
                self.now() < deadline,
                "still waiting until {what}: client closed {:?}, server closed {:?}",
                self.client.closed,
                self.server.closed
            );
            self.wait(Duration::from_millis(50));
        }
    }

    /// Runs until nothing has happened for a while.
    pub(super) fn settle(&mut self, quiet: Duration) {
        let deadline = self.now() + quiet;
        while self.now() < deadline {
            self.turn();
            self.wait(quiet / 10);
        }
    }

    pub(super) fn until_client_closes(&mut self) -> CloseReason {
        self.until("the client's connection is closed", |pair| {
            !pair.client.closed.is_empty()
        });
        self.client.closed.remove(0).1
    }

    pub(super) fn rebind_client(&mut self, now: Instant, address: SocketAddr) {
        let transport = &mut self.client.transport;
        transport.rebind(now, Some(address)).unwrap();
        let old = transport.take_left_behind().unwrap();
        self.reactor.deregister(&old).unwrap();
        self.reactor
            .register(&*transport, Token(2), Interest::Read)
            .unwrap();
    }

    /// Takes the server away without a word.
    pub(super) fn kill_server(&mut self) {
        let stand_in = listen(&Setup::default());
        let old = std::mem::replace(&mut self.server.transport, stand_in);
        self.reactor.deregister(&old).unwrap();
    }

    pub(super) fn replace_server(&mut self, server: Transport) {
        self.reactor
            .register(&server, Token(3), Interest::Read)
            .unwrap();
        self.server = Side::new(server);
    }
}
