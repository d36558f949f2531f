//! What the socket may do to us.

use std::time::Duration;

use bytes::Bytes;

use super::pair::{Pair, Setup};
use crate::congestion::Congestion;
use crate::{FlowKey, Hint, QueueLimits, TransportLimits};

const COUNT: usize = 3_000;
const PATIENT: Duration = Duration::from_secs(60);

/// A window that every system's receive buffer holds, and a queue that drops
/// nothing for its age: what is lost here, the socket under test has lost.
fn setup() -> Setup {
    Setup {
        client_limits: TransportLimits {
            congestion: Congestion::Fixed { window: 60_000 },
            queue: QueueLimits {
                target: PATIENT,
                max_age: PATIENT,
                ..QueueLimits::default()
            },
            ..TransportLimits::default()
        },
        ..Setup::default()
    }
}

/// Sends datagrams of two sizes and control bytes; everything must arrive.
fn transfer(pair: &mut Pair) {
    let conn = pair.client.conn();
    let control = vec![7; 100_000];
    let transport = &mut pair.client.transport;
    transport
        .send_control(conn, Bytes::from(control.clone()))
        .unwrap();
    for number in 0..COUNT {
        let now = pair.now();
        let mut bytes = vec![0; if number % 5 == 0 { 90 } else { 1_100 }];
        bytes[..2].copy_from_slice(&(number as u16).to_be_bytes());
        let key = FlowKey {
            source: 1,
            tag: 1,
            hint: Hint::Normal,
            part_of: None,
        };
        let transport = &mut pair.client.transport;
        transport.send_datagram(now, conn, key, Bytes::from(bytes));
        // Within what the queue holds, so that only the socket could lose it.
        while pair.client.transport.queue_bytes(conn) > 50_000 {
            pair.turn();
        }
    }
    pair.until("everything has arrived", |pair| {
        pair.server.datagrams.len() == COUNT && pair.server.control.len() == control.len()
    });
    let stats = pair.client.transport.stats(conn).unwrap();
    assert_eq!(stats.drops.total(), 0);
    for (number, bytes) in pair.server.datagrams.iter().enumerate() {
        assert_eq!(bytes[..2], (number as u16).to_be_bytes());
    }
}

#[test]
fn a_full_socket_delays_and_loses_nothing() {
    let mut pair = Pair::connected(&setup());
    pair.client.transport.udp.faults.full_every = 7;
    transfer(&mut pair);
    let stats = pair.client.transport.stats(pair.client.conn()).unwrap();
    assert_eq!(stats.packets_lost, 0);
}

#[test]
fn without_gso_datagrams_go_out_one_by_one() {
    let mut pair = Pair::connected(&setup());
    pair.client.transport.udp.faults.no_gso = true;
    pair.client.transport.udp.faults.full_every = 11;
    transfer(&mut pair);
    assert_eq!(pair.client.transport.send_failures(), 0);
}

#[test]
fn without_any_offload_it_works_too() {
    let mut pair = Pair::new(&Setup {
        address: ([0_u16; 8], 0).into(),
        ..setup()
    });
    pair.client.transport.udp.without_offloads();
    pair.server.transport.udp.without_offloads();
    pair.dial();
    pair.until("connected", |pair| {
        !pair.client.connected.is_empty() && !pair.server.connected.is_empty()
    });
    assert!(pair.server.connected[0].3.is_ipv4());
    transfer(&mut pair);
}
