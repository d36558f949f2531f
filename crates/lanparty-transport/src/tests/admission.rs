//! The four paths of a first packet through the real endpoint (CVE-2024-45311
//! was a panic after a Retry).

use std::time::Duration;

use super::pair::{Pair, Setup};
use crate::{CloseReason, TransportLimits};

fn limited(server_limits: TransportLimits) -> Pair {
    Pair::new(&Setup {
        server_limits,
        client_limits: TransportLimits {
            handshake_timeout: Duration::from_millis(500),
            ..TransportLimits::default()
        },
        ..Setup::default()
    })
}

#[test]
fn a_client_that_proves_its_address_is_accepted_after_a_retry() {
    let mut pair = limited(TransportLimits {
        retry_above: 0,
        ..TransportLimits::default()
    });
    pair.dial();
    pair.until("it is connected", |pair| {
        !pair.server.connected.is_empty() && !pair.client.connected.is_empty()
    });
}

#[test]
fn a_full_relay_refuses_after_a_retry() {
    let mut pair = limited(TransportLimits {
        max_connections: 0,
        ..TransportLimits::default()
    });
    pair.dial();
    assert_eq!(pair.until_client_closes(), CloseReason::Refused);
    assert_eq!(pair.server.transport.connections(), 0);
}

#[test]
fn under_a_flood_first_packets_are_ignored() {
    let mut pair = limited(TransportLimits {
        max_handshakes: 0,
        ..TransportLimits::default()
    });
    pair.dial();
    assert_eq!(pair.until_client_closes(), CloseReason::Unreachable);
    assert_eq!(pair.server.transport.connections(), 0);
}

#[test]
fn one_address_gets_its_share_of_connections_and_no_more() {
    let mut pair = limited(TransportLimits {
        max_per_prefix: 8,
        ..TransportLimits::default()
    });
    for _ in 0..20 {
        pair.dial();
    }
    pair.until("every attempt has its outcome", |pair| {
        pair.client.connected.len() + pair.client.closed.len() == 20
    });
    assert_eq!(pair.client.connected.len(), 8);
    for (_, reason, _) in &pair.client.closed {
        assert_eq!(*reason, CloseReason::Refused);
    }

    let (now, one) = (pair.now(), pair.client.connected[0].0);
    pair.client.transport.close(now, one, 0, "");
    pair.until("the server has forgotten it", |pair| {
        pair.server.transport.connections() == 7
    });
    pair.dial();
    pair.until("its place is taken", |pair| {
        pair.client.connected.len() == 9
    });
}

#[test]
fn garbage_costs_nothing_and_established_connections_do_not_notice() {
    let mut pair = Pair::connected(&Setup::default());
    let attacker = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = pair.server_address();
    let mut state = 1_u32;
    for round in 0..2_000_usize {
        let garbage: Vec<u8> = (0..round % 1_400)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        attacker.send_to(&garbage, address).unwrap();
        if round % 50 == 0 {
            pair.turn();
        }
    }
    let conn = pair.client.conn();
    let hello = bytes::Bytes::from_static(b"still here");
    pair.client.transport.send_control(conn, hello).unwrap();
    pair.until("the connection works", |pair| {
        pair.server.control == b"still here"
    });
    assert_eq!(pair.server.transport.connections(), 1);
}
