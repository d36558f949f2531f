//! A player's own address changes under a connection.

use std::time::Duration;

use bytes::Bytes;

use super::pair::{Pair, Setup};
use crate::{FlowKey, TransportLimits, source_address};

fn connected() -> Pair {
    // The relay must answer to whatever address the player comes from.
    let pair = Pair::connected(&Setup {
        address: ([0, 0, 0, 0], 0).into(),
        client_limits: TransportLimits {
            keep_alive: Duration::from_secs(3_600),
            ..TransportLimits::default()
        },
        ..Setup::default()
    });
    assert_eq!(pair.client.transport.connections(), 1);
    pair
}

fn send_from_server(pair: &mut Pair, text: &'static [u8]) {
    let now = pair.now();
    let conn = pair.server.conn();
    let bytes = Bytes::from_static(text);
    pair.server
        .transport
        .send_datagram(now, conn, FlowKey::default(), bytes);
}

#[test]
fn a_relay_finds_a_player_that_moved_and_says_nothing_itself() {
    let mut pair = connected();
    pair.settle(Duration::from_millis(200));
    let before = pair.client.transport.local_address();
    for (moves, address) in [[127, 0, 0, 2], [127, 0, 0, 3]].into_iter().enumerate() {
        let now = pair.now();
        pair.rebind_client(now, (address, 0).into());
        assert_ne!(pair.client.transport.local_address(), before);
        pair.settle(Duration::from_millis(50));
        send_from_server(&mut pair, b"still there?");
        pair.until("the relay's datagram has arrived", |pair| {
            pair.client.datagrams.len() == moves + 1
        });
    }
    assert_eq!(pair.client.connected.len(), 1);
    assert_eq!(pair.server.connected.len(), 1);
    assert!(pair.client.closed.is_empty() && pair.server.closed.is_empty());
}

#[test]
fn what_could_not_be_bound_changes_nothing() {
    let mut pair = Pair::connected(&Setup::default());
    let now = pair.now();
    let before = pair.client.transport.local_address();
    let taken = pair.server_address();
    pair.client.transport.rebind(now, Some(taken)).unwrap_err();
    assert_eq!(pair.client.transport.local_address(), before);
    send_from_server(&mut pair, b"still there?");
    pair.until("the relay's datagram has arrived", |pair| {
        !pair.client.datagrams.is_empty()
    });
}

#[test]
fn the_source_address_is_the_one_of_the_route() {
    let there = ([127, 0, 0, 1], 443).into();
    let here: std::net::IpAddr = [127, 0, 0, 1].into();
    assert_eq!(source_address(there).unwrap(), here);
}
