//! Figures for whoever tunes; nothing is asserted about time.

use std::time::Duration;

use bytes::Bytes;

use super::pair::{Pair, Setup};
use crate::congestion::Congestion;
use crate::{FlowKey, Hint, TransportLimits};

#[test]
#[ignore = "prints figures"]
fn datagrams_a_second_over_loopback() {
    for congestion in Congestion::ALL {
        for len in [1_400, 1_200, 160] {
            measure(congestion, len);
        }
    }
}

fn measure(congestion: Congestion, len: usize) {
    let limits = TransportLimits {
        congestion,
        ..TransportLimits::default()
    };
    let mut pair = Pair::connected(&Setup {
        server_limits: limits.clone(),
        client_limits: limits,
        ..Setup::default()
    });
    pair.settle(Duration::from_millis(300));
    let conn = pair.client.conn();
    let begin = pair.now();
    let mut received = 0_usize;
    let payload = Bytes::from(vec![0; len]);
    while pair.now() - begin < Duration::from_secs(2) {
        let now = pair.now();
        let key = FlowKey {
            source: 1,
            tag: 1,
            hint: Hint::Bulk,
            part_of: None,
        };
        for _ in 0..64 {
            if pair.client.transport.queue_bytes(conn) > 200_000 {
                break;
            }
            let bytes = payload.clone();
            pair.client.transport.send_datagram(now, conn, key, bytes);
        }
        pair.turn();
        received += pair.server.datagrams.len();
        pair.server.datagrams.clear();
    }
    let seconds = (pair.now() - begin).as_secs_f64();
    let stats = pair.client.transport.stats(conn).unwrap();
    println!(
        "{congestion:?} {len} B: {:.0} datagrams/s, {:.0} Mbit/s, cwnd {}, rtt {:?}, lost {}, drops {:?}",
        received as f64 / seconds,
        (received * len * 8) as f64 / seconds / 1e6,
        stats.congestion_window,
        stats.rtt,
        stats.packets_lost,
        stats.drops,
    );
}

/// A forwards to B through a relay that does nothing else; prints the relay's
/// own time for each datagram.
#[test]
#[ignore = "prints figures"]
fn time_to_forward_a_datagram() {
    for len in [1_300, 160] {
        forward(len);
    }
}

fn forward(len: usize) {
    let setup = Setup::default();
    let mut pair = Pair::connected(&setup);
    let mut sender = super::pair::Side::new(super::pair::client(
        super::pair::trust(),
        &setup.client_limits,
    ));
    let now = pair.now();
    let address = pair.server_address();
    let conn = sender.transport.connect(now, address, "localhost").unwrap();
    pair.until("both are in", |pair| {
        let now = pair.now();
        sender.turn(now);
        pair.server.connected.len() == 2
    });
    let target = pair.server.connected[0].0;
    let begin = pair.now();
    let (mut forwarded, mut received, mut busy) = (0, 0, Duration::ZERO);
    let payload = Bytes::from(vec![0; len]);
    let key = FlowKey {
        source: 1,
        tag: 1,
        hint: Hint::Normal,
        part_of: None,
    };
    while pair.now() - begin < Duration::from_secs(2) {
        let now = pair.now();
        for _ in 0..64 {
            if sender.transport.queue_bytes(conn) > 100_000 {
                break;
            }
            let bytes = payload.clone();
            sender.transport.send_datagram(now, conn, key, bytes);
        }
        sender.turn(now);
        let now = pair.now();
        pair.server.turn(now);
        for bytes in pair.server.datagrams.drain(..) {
            forwarded += 1;
            let relay = &mut pair.server.transport;
            relay.send_datagram(now, target, key, bytes);
        }
        pair.server.transport.flush(now);
        busy += pair.now() - now;
        let now = pair.now();
        pair.client.turn(now);
        received += pair.client.datagrams.len();
        pair.client.datagrams.clear();
    }
    let drops = pair.server.transport.stats(target).unwrap().drops;
    println!(
        "{len} B: {forwarded} forwarded, {received} received, {:?} each at the relay, drops {drops:?}",
        busy / forwarded,
    );
}
