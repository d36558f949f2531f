//! The control stream, under load and under abuse.

use std::time::Duration;

use bytes::Bytes;

use super::pair::{Pair, Setup};
use crate::congestion::Congestion;
use crate::{CloseReason, ControlOverflow, FlowKey, TransportLimits};

/// The server has heard from the client, so both have the stream.
fn with_control_stream(setup: &Setup) -> Pair {
    let mut pair = Pair::connected(setup);
    let (conn, hello) = (pair.client.conn(), Bytes::from_static(b"hello"));
    pair.client.transport.send_control(conn, hello).unwrap();
    pair.until("the server has the hello", |pair| {
        pair.server.control == b"hello"
    });
    pair
}

/// Bytes in which every position is recognisable.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn control_bytes_arrive_in_order_whatever_their_chunks() {
    let mut pair = Pair::connected(&Setup::default());
    let (client, server) = (pair.client.conn(), pair.server.conn());
    let (up, down) = (pattern(200_000), pattern(150_001));
    for chunk in up.chunks(4_093) {
        let chunk = Bytes::copy_from_slice(chunk);
        pair.client.transport.send_control(client, chunk).unwrap();
    }
    for chunk in down.chunks(60_000) {
        let chunk = Bytes::copy_from_slice(chunk);
        pair.server.transport.send_control(server, chunk).unwrap();
    }
    pair.until("all control bytes have arrived", |pair| {
        pair.server.control.len() >= up.len() && pair.client.control.len() >= down.len()
    });
    assert!(pair.server.control == up);
    assert!(pair.client.control == down);
}

#[test]
fn control_bytes_queued_before_the_connection_is_up_are_sent() {
    let mut pair = Pair::new(&Setup::default());
    let conn = pair.dial();
    let hello = Bytes::from_static(b"hello");
    pair.client.transport.send_control(conn, hello).unwrap();
    pair.until("the server has read it", |pair| {
        pair.server.control == b"hello"
    });
}

#[test]
fn a_peer_that_reads_slowly_fills_its_buffer_and_nothing_else() {
    let mut pair = with_control_stream(&Setup {
        server_limits: TransportLimits {
            control_buffer: 100_000,
            ..TransportLimits::default()
        },
        ..Setup::default()
    });
    let conn = pair.server.conn();
    // The client takes no turn from here on.
    let mut queued = 0;
    let overflow = loop {
        let chunk = Bytes::from(vec![1; 10_000]);
        match pair.server.transport.send_control(conn, chunk) {
            Ok(()) => queued += 10_000,
            Err(overflow) => break overflow,
        }
        let now = pair.now();
        pair.server.turn(now);
    };
    assert_eq!(overflow, ControlOverflow);
    // Its buffer and the stream's window.
    assert!(
        (100_000..=100_000 + 65_536 + 10_000).contains(&queued),
        "{queued}"
    );

    pair.until("a late reader gets everything", |pair| {
        pair.client.control.len() == queued
    });
    let chunk = Bytes::from_static(b"room again");
    pair.server.transport.send_control(conn, chunk).unwrap();
}

#[test]
fn a_close_carries_code_and_message_and_lets_control_bytes_out_first() {
    let mut pair = with_control_stream(&Setup::default());
    let (server, now) = (pair.server.conn(), pair.now());
    let reject = Bytes::from_static(b"reject: the room is full");
    let transport = &mut pair.server.transport;
    transport.send_control(server, reject.clone()).unwrap();
    transport.close(now, server, 17, "room full");
    let reason = pair.until_client_closes();
    assert_eq!(
        reason,
        CloseReason::Application {
            code: 17,
            message: "room full".to_owned()
        }
    );
    assert_eq!(pair.client.control, reject);
    assert_eq!(pair.server.closed[0].1, CloseReason::Local);
    assert!(pair.server.transport.stats(server).is_none());
    let swallowed = pair.server.transport.send_control(server, reject);
    assert_eq!(swallowed, Ok(()));
}

#[test]
fn closed_connections_leave_nothing_behind() {
    let mut pair = Pair::connected(&Setup::default());
    let now = pair.now();
    pair.client.transport.close_all(now, 0, "bye");
    pair.until("both endpoints are empty", |pair| {
        pair.client.transport.connections() == 0 && pair.server.transport.connections() == 0
    });
    assert_eq!(pair.server.closed.len(), 1);
    assert_eq!(pair.client.closed.len(), 1);
    assert!(!pair.client.transport.has_unsent());

    // A new connection takes the place, but not the name.
    let (old_client, old_server) = (pair.client.conn(), pair.server.conn());
    pair.dial();
    pair.until("connected again", |pair| pair.server.connected.len() == 2);
    assert_ne!(pair.client.conn(), old_client);
    assert_ne!(pair.server.conn(), old_server);
    pair.server.transport.close(now, old_server, 1, "not you");
    pair.settle(Duration::from_millis(50));
    assert_eq!(pair.client.closed.len(), 1);
}

#[test]
fn control_gets_through_while_datagrams_fill_the_path() {
    for window in [3_000, 4_500, 30_000] {
        let mut pair = Pair::connected(&Setup {
            client_limits: TransportLimits {
                congestion: Congestion::Fixed { window },
                ..TransportLimits::default()
            },
            ..Setup::default()
        });
        let conn = pair.client.conn();
        pair.until("path MTU discovery is done", |pair| {
            pair.client.transport.max_datagram_size(conn) == Some(1_434)
        });
        // No packet has room for anything beside one of these.
        let frame = Bytes::from(vec![0; 1_434]);
        let mut turns = 0;
        let top_up = |pair: &mut Pair| {
            let now = pair.now();
            while pair.client.transport.queue_bytes(conn) < 100_000 {
                let (key, frame) = (FlowKey::default(), frame.clone());
                let transport = &mut pair.client.transport;
                transport.send_datagram(now, conn, key, frame);
            }
        };
        for _ in 0..20 {
            top_up(&mut pair);
            pair.turn();
        }
        let before = pair.server.datagrams.len();
        let message = Bytes::from(pattern(50_000));
        let transport = &mut pair.client.transport;
        transport.send_control(conn, message.clone()).unwrap();
        pair.until("the message has arrived", |pair| {
            turns += 1;
            top_up(pair);
            pair.server.control.len() == message.len()
        });
        assert!(pair.server.control == message);
        let datagrams = pair.server.datagrams.len() - before;
        assert!(datagrams > 0);
        // An equal share of the packets, and some for the probes.
        assert!(datagrams < 500, "{datagrams} datagrams, {turns} turns");
    }
}
