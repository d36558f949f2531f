//! A player's own address changes under a connection.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::pair::{Pair, Setup};
use crate::congestion::Regulator;
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

fn send_from_server(pair: &mut Pair, now: Instant, text: &'static [u8]) {
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
        let now = pair.now();
        send_from_server(&mut pair, now, b"still there?");
        pair.until("the relay's datagram has arrived", |pair| {
            pair.client.datagrams.len() == moves + 1
        });
    }
    assert_eq!(pair.client.connected.len(), 1);
    assert_eq!(pair.server.connected.len(), 1);
    assert!(pair.client.closed.is_empty() && pair.server.closed.is_empty());
}

/// Turns of the relay alone, each a little late and less so than the last.
fn leave_relay_alone(pair: &mut Pair, from: Instant, length: Duration) -> Instant {
    let mut now = from;
    let mut late = Duration::from_millis(2);
    loop {
        match pair.server.transport.next_timeout() {
            Some(next) if next < from + length => now = now.max(next + late),
            Some(_) | None => return from + length,
        }
        late /= 2;
        pair.server.turn(now);
    }
}

/// Both sides live on, and the player is heard and found.
fn assert_still_there(pair: &mut Pair, mut now: Instant) {
    assert!(pair.server.closed.is_empty(), "{:?}", pair.server.closed);
    let conn = pair.client.conn();
    let bytes = Bytes::from_static(b"here I am");
    let transport = &mut pair.client.transport;
    transport.send_datagram(now, conn, FlowKey::default(), bytes);
    for _ in 0..1_000 {
        now += Duration::from_millis(1);
        send_from_server(pair, now, b"still there?");
        pair.server.turn(now);
        pair.client.turn(now);
        if !pair.client.datagrams.is_empty() {
            return;
        }
    }
    panic!("the player hears nothing: {:?}", pair.server.closed);
}

#[test]
fn a_relay_late_to_repeat_itself_takes_a_move_first() {
    let mut pair = connected();
    pair.settle(Duration::from_millis(200));
    let now = pair.now();
    send_from_server(&mut pair, now, b"lost on the way");
    pair.server.transport.udp.faults.path_mtu = 1;
    pair.server.turn(now);
    pair.server.transport.udp.faults.path_mtu = 0;
    pair.rebind_client(now, ([127, 0, 0, 2], 0).into());
    pair.client.transport.flush(now);
    let late = now + Duration::from_secs(1);
    pair.server.turn(late);
    assert_still_there(&mut pair, late);
}

/// The relay's packets are paced by the controller that hears of them.
fn assert_one_controller(pair: &mut Pair) {
    let conn = pair.server.conn();
    let paced = pair.server.transport.stats(conn).unwrap().regulation;
    let heard = Regulator::of(pair.server.transport.quic(conn));
    assert_eq!(paced, heard.map(|regulator| regulator.snapshot()));
}

#[test]
fn a_relay_whose_answers_to_a_move_are_lost_goes_back_and_waits() {
    for host in 1..=2 {
        // The second time to and fro.
        for moves in 1..=2 {
            let mut pair = connected();
            pair.settle(Duration::from_millis(200));
            let now = pair.now();
            let home = pair.client.transport.local_address();
            let away = ([127, 0, 0, host], 0).into();
            for place in [away, home].into_iter().take(moves) {
                pair.rebind_client(now, place);
                pair.client.transport.flush(now);
                pair.server.turn(now);
                assert_one_controller(&mut pair);
            }
            let now = leave_relay_alone(&mut pair, now, Duration::from_secs(5));
            assert_one_controller(&mut pair);
            assert_still_there(&mut pair, now);
        }
    }
}

#[test]
fn what_could_not_be_bound_changes_nothing() {
    let mut pair = Pair::connected(&Setup::default());
    let now = pair.now();
    let before = pair.client.transport.local_address();
    let taken = pair.server_address();
    pair.client.transport.rebind(now, Some(taken)).unwrap_err();
    assert_eq!(pair.client.transport.local_address(), before);
    let now = pair.now();
    send_from_server(&mut pair, now, b"still there?");
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
