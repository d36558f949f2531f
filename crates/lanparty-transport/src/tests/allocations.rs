//! What a datagram costs in allocations: ours, and quinn-proto's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig,
    ServerConfig,
};

use super::pair::{Pair, Setup, member, server_identity, trust};
use crate::config::{Role, TransportConfigs};
use crate::provider::provider;
use crate::verify::RelayVerifier;
use crate::{Congestion, FlowKey, Hint, TransportLimits, tls};

/// Fits a packet before the path's MTU is known.
static PAYLOAD: [u8; 1_100] = [0x11; 1_100];
const WARM: usize = 300;
const ROUNDS: usize = 1_000;

/// Two connections of quinn-proto and a vector for a network.
struct Bare {
    sides: [(Endpoint, Option<(ConnectionHandle, Connection)>); 2],
    buffer: Vec<u8>,
    network: BytesMut,
    now: Instant,
    received: usize,
}

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1_000 + side as u16))
}

impl Bare {
    fn connected() -> Self {
        let limits = TransportLimits {
            congestion: Congestion::Cubic,
            ..TransportLimits::default()
        };
        let remote = address(0).ip();
        let alpn = b"lanparty/1";
        let tls = tls::server(&server_identity(), alpn).unwrap();
        let mut server = ServerConfig::with_crypto(tls);
        let configs = TransportConfigs::new(&limits, Role::Server);
        server.transport_config(configs.for_remote(remote));
        let verifier = Arc::new(RelayVerifier::new(provider(), trust()).unwrap());
        let tls = tls::client(Some(&member()), verifier, alpn).unwrap();
        let mut client = ClientConfig::new(tls);
        let configs = TransportConfigs::new(&limits, Role::Client);
        client.transport_config(configs.for_remote(remote));

        let endpoint = |server| {
            let config = Arc::new(EndpointConfig::default());
            Endpoint::new(config, server, true, None)
        };
        #[expect(clippy::disallowed_methods, reason = "where its clock starts")]
        let now = Instant::now();
        let mut dialing = endpoint(None);
        let link = dialing
            .connect(now, client, address(1), "localhost")
            .unwrap();
        let mut bare = Self {
            sides: [
                (dialing, Some(link)),
                (endpoint(Some(Arc::new(server))), None),
            ],
            buffer: Vec::new(),
            network: BytesMut::new(),
            now,
            received: 0,
        };
        while bare.conn(0).is_handshaking() || bare.sides[1].1.is_none() {
            bare.pass();
        }
        bare
    }

    fn conn(&mut self, side: usize) -> &mut Connection {
        &mut self.sides[side].1.as_mut().unwrap().1
    }

    /// A tenth of a millisecond in which everything sent arrives.
    fn pass(&mut self) {
        self.now += Duration::from_micros(100);
        for _ in 0..4 {
            for side in 0..2 {
                self.transmit(side);
            }
        }
    }

    fn transmit(&mut self, side: usize) {
        let now = self.now;
        let (endpoint, Some((handle, conn))) = &mut self.sides[side] else {
            return;
        };
        while conn.poll_timeout().is_some_and(|due| due <= now) {
            conn.handle_timeout(now);
        }
        while let Some(event) = conn.poll_endpoint_events() {
            if let Some(event) = endpoint.handle_event(*handle, event) {
                conn.handle_event(event);
            }
        }
        while conn.poll().is_some() {}
        while conn.datagrams().recv().is_some() {
            self.received += 1;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some((_, Some((_, conn)))) = self.sides.get_mut(side) {
            buffer.clear();
            let Some(transmit) = conn.poll_transmit(now, 10, &mut buffer) else {
                break;
            };
            let stride = transmit.segment_size.unwrap_or(transmit.size);
            for packet in buffer[..transmit.size].chunks(stride) {
                self.deliver(side, packet);
            }
        }
        self.buffer = buffer;
    }

    fn deliver(&mut self, from: usize, packet: &[u8]) {
        // Where a packet is received into is not quinn's business. A piece of
        // a shared buffer spares it an allocation.
        let mut bytes = BytesMut::new();
        allocation_counter::opt_out(|| {
            self.network.reserve(packet.len().max(64 * 1_024));
            self.network.extend_from_slice(packet);
            bytes = self.network.split();
        });
        let now = self.now;
        let (endpoint, link) = &mut self.sides[1 - from];
        let mut answer = Vec::new();
        match endpoint.handle(now, address(from), None, None, bytes, &mut answer) {
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                if let Some((_, conn)) = link {
                    conn.handle_event(event);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                *link = endpoint.accept(incoming, now, &mut answer, None).ok();
            }
            Some(DatagramEvent::Response(_)) | None => {}
        }
    }

    fn burst(&mut self, burst: usize) {
        for _ in 0..burst {
            let payload = Bytes::from_static(&PAYLOAD);
            self.conn(0).datagrams().send(payload, false).unwrap();
        }
        self.pass();
    }
}

/// Allocations for a datagram on its way through two bare connections.
fn of_quinn(burst: usize) -> f64 {
    let mut bare = Bare::connected();
    for _ in 0..WARM {
        bare.burst(burst);
    }
    bare.received = 0;
    let allocated = allocation_counter::measure(|| {
        for _ in 0..ROUNDS {
            bare.burst(burst);
        }
    });
    allocated.count_total as f64 / bare.received as f64
}

/// The same through two transports, their sockets and a fair queue.
fn of_ours(burst: usize) -> f64 {
    let mut pair = Pair::connected(&Setup::default());
    let conn = pair.client.conn();
    let key = FlowKey {
        source: 1,
        tag: 1,
        hint: Hint::Bulk,
        part_of: None,
    };
    let mut received = 0;
    let mut round = |pair: &mut Pair| {
        let now = pair.now();
        for _ in 0..burst {
            let payload = Bytes::from_static(&PAYLOAD);
            pair.client.transport.send_datagram(now, conn, key, payload);
        }
        pair.until("the burst has arrived", |pair| {
            pair.server.datagrams.len() >= burst
        });
        received += pair.server.datagrams.len();
        pair.server.datagrams.clear();
    };
    for _ in 0..WARM {
        round(&mut pair);
    }
    let allocated = allocation_counter::measure(|| {
        for _ in 0..ROUNDS {
            round(&mut pair);
        }
    });
    allocated.count_total as f64 / (received - WARM * burst) as f64
}

#[test]
fn our_part_of_a_datagrams_way_allocates_nothing_beside_quinns() {
    for burst in [8, 64] {
        let (quinn, all) = (of_quinn(burst), of_ours(burst));
        eprintln!("{burst} at a time: {quinn:.3} of quinn-proto, {all:.3} in all");
        // Ours are the copies of packets that come alone, which are the
        // acknowledgements: one or two for a burst, two allocations each.
        let ours = 4.0 / burst as f64;
        assert!(all <= quinn + ours, "{all:.3} against quinn's {quinn:.3}");
    }
}
