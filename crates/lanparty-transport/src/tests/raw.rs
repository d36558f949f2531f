//! A client without manners: quinn's state machine on a plain socket, so that
//! a test decides what leaves it, how often and in which order.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use lanparty_proto::tls::ALPN;
use quinn_proto::congestion::CubicConfig;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, Event,
    NoneTokenStore, TransportConfig,
};

use super::pair::{member, trust};
use crate::provider::provider;
use crate::tls;
use crate::verify::RelayVerifier;

/// Bytes in flight before QUIC holds anything back: more than any test sends,
/// so that the test alone decides what leaves.
const WINDOW: u64 = 64 * 1024 * 1024;

pub(super) struct Raw {
    endpoint: Endpoint,
    handle: ConnectionHandle,
    pub(super) conn: Connection,
    socket: UdpSocket,
    relay: SocketAddr,
    /// How often each datagram is sent.
    pub(super) copies: usize,
    /// Every datagram that was sent, once.
    pub(super) sent: Vec<Vec<u8>>,
    pub(super) connected: bool,
    pub(super) lost: bool,
}

impl Raw {
    pub(super) fn dial(now: Instant, relay: SocketAddr) -> Self {
        let mut congestion = CubicConfig::default();
        congestion.initial_window(WINDOW);
        let mut transport = TransportConfig::default();
        transport
            .congestion_controller_factory(Arc::new(congestion))
            .mtu_discovery_config(None);
        let verifier = Arc::new(RelayVerifier::new(provider(), trust()).unwrap());
        let tls = tls::client(Some(&member()), verifier, ALPN).unwrap();
        let mut config = ClientConfig::new(tls);
        config
            .transport_config(Arc::new(transport))
            .token_store(Arc::new(NoneTokenStore));
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, false, None);
        let (handle, conn) = endpoint.connect(now, config, relay, "localhost").unwrap();
        let socket = UdpSocket::bind((relay.ip(), 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            endpoint,
            handle,
            conn,
            socket,
            relay,
            copies: 1,
            sent: Vec::new(),
            connected: false,
            lost: false,
        }
    }

    /// What quinn wants to send, sent by nobody yet.
    pub(super) fn outgoing(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        loop {
            let mut buffer = Vec::new();
            if self.conn.poll_transmit(now, 1, &mut buffer).is_none() {
                return datagrams;
            }
            datagrams.push(buffer);
        }
    }

    pub(super) fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.relay).unwrap();
    }

    /// Takes what has come and sends what quinn wants to.
    pub(super) fn turn(&mut self, now: Instant) {
        self.receive(now);
        for datagram in self.outgoing(now) {
            for _ in 0..self.copies {
                self.send(&datagram);
            }
            self.sent.push(datagram);
        }
    }

    pub(super) fn receive(&mut self, now: Instant) {
        let mut buffer = [0; 2_048];
        while let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
            let data = BytesMut::from(&buffer[..len]);
            let event = self
                .endpoint
                .handle(now, from, None, None, data, &mut Vec::new());
            if let Some(DatagramEvent::ConnectionEvent(handle, event)) = event {
                assert_eq!(handle, self.handle);
                self.conn.handle_event(event);
            }
        }
        if self.conn.poll_timeout().is_some_and(|at| at <= now) {
            self.conn.handle_timeout(now);
        }
        loop {
            if let Some(event) = self.conn.poll_endpoint_events() {
                if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                    self.conn.handle_event(event);
                }
            } else if let Some(event) = self.conn.poll() {
                self.connected |= matches!(event, Event::Connected);
                self.lost |= matches!(event, Event::ConnectionLost { .. });
            } else {
                return;
            }
        }
    }
}
