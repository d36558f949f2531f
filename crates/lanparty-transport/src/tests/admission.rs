//! The four paths of a first packet through the real endpoint (CVE-2024-45311
//! was a panic after a Retry).

use std::time::Duration;

use super::pair::{Pair, Setup};
use super::raw::Raw;
use crate::{CloseReason, PrefixLimits, TransportLimits};

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
        connections_by_prefix: PrefixLimits::widening(8),
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

/// How a first packet fares, sent three times over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Connected,
    Lost,
    Silence,
}

/// Dials with every datagram tripled and each first packet shown again after
/// the answer to it.
fn dial_in_triplicate(server_limits: TransportLimits) -> (Pair, Fate) {
    let mut pair = limited(server_limits);
    let mut raw = Raw::dial(pair.now(), pair.server_address());
    raw.copies = 3;
    let deadline = pair.now() + Duration::from_secs(2);
    let mut fate = Fate::Silence;
    let mut replayed = 0;
    while pair.now() < deadline && fate == Fate::Silence {
        let now = pair.now();
        raw.turn(now);
        pair.turn();
        if let Some(datagram) = raw.sent.get(replayed) {
            raw.send(datagram);
            replayed += 1;
        }
        if raw.connected {
            fate = Fate::Connected;
        } else if raw.lost {
            fate = Fate::Lost;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    for datagram in &raw.sent {
        raw.send(datagram);
    }
    pair.settle(Duration::from_millis(50));
    (pair, fate)
}

#[test]
fn a10_duplicated_first_packets_are_harmless_on_every_path() {
    let always_retry = TransportLimits {
        retry_above: 0,
        ..TransportLimits::default()
    };
    for (path, limits, fate) in [
        ("accept", TransportLimits::default(), Fate::Connected),
        ("retry, then accept", always_retry.clone(), Fate::Connected),
        (
            "retry, then refuse",
            TransportLimits {
                max_connections: 0,
                ..TransportLimits::default()
            },
            Fate::Lost,
        ),
        (
            "retry, then ignore",
            TransportLimits {
                handshake_rate: 0,
                ..always_retry
            },
            Fate::Silence,
        ),
    ] {
        let (mut pair, outcome) = dial_in_triplicate(limits);
        assert_eq!(outcome, fate, "{path}");
        let expected = usize::from(fate == Fate::Connected);
        assert_eq!(pair.server.connected.len(), expected, "{path}");
        pair.until("no more than that connection is held", |pair| {
            pair.server.transport.connections() == expected
        });
    }
}

#[test]
fn a9_a_first_packet_that_closes_at_once_holds_its_place_for_a_moment_only() {
    let mut pair = limited(TransportLimits {
        max_connections: 1,
        failed_farewell: Duration::from_millis(300),
        ..TransportLimits::default()
    });
    let mut raw = Raw::dial(pair.now(), pair.server_address());
    let begin = pair.now();
    raw.conn.close(begin, 0_u32.into(), bytes::Bytes::new());
    raw.turn(begin);
    pair.until("the relay has seen it", |pair| {
        pair.server.transport.connections() == 1
    });
    pair.until("its place is free", |pair| {
        pair.server.transport.connections() == 0
    });
    assert!(pair.now() - begin < Duration::from_secs(2));
    pair.dial();
    pair.until("another takes it", |pair| !pair.client.connected.is_empty());
}

#[test]
fn a13_a_handshake_that_nobody_goes_on_with_is_given_up_in_time() {
    let limits = TransportLimits {
        handshake_timeout: Duration::from_millis(400),
        failed_farewell: Duration::from_millis(100),
        ..TransportLimits::default()
    };
    let deadline = limits.handshake_timeout + limits.failed_farewell;
    let mut pair = limited(limits);
    let mut raw = Raw::dial(pair.now(), pair.server_address());
    let begin = pair.now();
    for datagram in raw.outgoing(begin) {
        raw.send(&datagram);
    }
    pair.until("the relay has begun", |pair| {
        pair.server.transport.connections() == 1
    });
    // The transport reads no clock: its time is the test's.
    let server = &mut pair.server;
    server.turn(begin + deadline / 2);
    assert_eq!(server.transport.connections(), 1);
    for tenth in 5..=12 {
        server.turn(begin + deadline * tenth / 10);
    }
    assert_eq!(server.transport.connections(), 0);
    assert!(server.connected.is_empty() && server.closed.is_empty());
}
