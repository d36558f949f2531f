//! What a stranger or a bug may do to one connection, and must not do to the
//! others.

use bytes::Bytes;

use super::pair::{Pair, Setup};
use crate::CloseReason;

#[test]
fn a15_a_panic_over_one_connection_ends_that_one_and_no_other() {
    let mut pair = Pair::connected(&Setup::default());
    let (first, first_seen) = (pair.client.conn(), pair.server.conn());
    pair.dial();
    pair.until("two are connected", |pair| pair.server.connected.len() == 2);
    let (second, second_seen) = (pair.client.conn(), pair.server.conn());

    pair.server.transport.provoke_panic(first_seen);
    let say = |pair: &mut Pair, conn, word: &'static str| {
        let word = Bytes::from_static(word.as_bytes());
        pair.client.transport.send_control(conn, word).unwrap();
    };
    say(&mut pair, first, "a packet that finds a bug");
    pair.until("the program hears of its end", |pair| {
        !pair.server.closed.is_empty()
    });
    assert_eq!(pair.server.closed[0].0, first_seen);
    assert!(matches!(pair.server.closed[0].1, CloseReason::Protocol(_)));
    say(&mut pair, second, "business as usual");
    pair.until("the other connection works", |pair| {
        pair.server.control == b"business as usual"
    });
    assert_eq!(pair.server.transport.connections(), 1);

    // Its place and its share are free again, and its owner learns of it.
    assert_eq!(pair.until_client_closes(), CloseReason::Reset);
    pair.dial();
    pair.until("it is back", |pair| pair.server.connected.len() == 3);
    assert_ne!(pair.server.conn(), second_seen);
}

#[test]
fn a18_nothing_is_sent_or_taken_before_the_handshake_however_often_one_returns() {
    let mut pair = Pair::connected(&Setup::default());
    for round in 2..4 {
        let (now, conn) = (pair.now(), pair.client.conn());
        pair.client.transport.close(now, conn, 0, "");
        let conn = pair.dial();
        assert!(!pair.client.transport.quic(conn).has_0rtt());
        pair.until("it is back", |pair| {
            pair.server.connected.len() == round && pair.client.connected.len() == round
        });
        let seen = pair.server.conn();
        assert!(!pair.server.transport.quic(seen).accepted_0rtt());
    }
}
