//! What a stranger or a bug may do to one connection, and must not do to the
//! others.

use bytes::Bytes;
use quinn_proto::{Dir, StreamId};

use super::pair::{Pair, Setup};
use super::raw::Raw;
use crate::CloseReason;

fn connected_raw(pair: &mut Pair) -> Raw {
    let before = pair.server.connected.len();
    let mut raw = Raw::dial(pair.now(), pair.server_address());
    pair.until("the raw client is connected", |pair| {
        raw.turn(pair.now());
        raw.connected && pair.server.connected.len() > before
    });
    raw
}

fn protocol_fault(pair: &mut Pair) -> String {
    pair.until("the relay ends the connection", |pair| {
        !pair.server.closed.is_empty()
    });
    let reason = pair.server.closed.remove(0).1;
    let CloseReason::Protocol(fault) = reason else {
        panic!("ended otherwise: {reason:?}");
    };
    fault
}

/// Writes to a stream in many packets and sends every other one only.
fn write_with_gaps(raw: &mut Raw, pair: &mut Pair, stream: StreamId, piece: &[u8], count: usize) {
    for number in 0..count {
        let _blocked = raw.conn.send_stream(stream).write(piece);
        for datagram in raw.outgoing(pair.now()) {
            if number % 2 == 1 {
                raw.send(&datagram);
            }
        }
        pair.turn();
    }
}

#[test]
fn a12_a_control_stream_of_gaps_ends_its_connection() {
    let mut pair = Pair::new(&Setup::default());
    let mut raw = connected_raw(&mut pair);
    let stream = raw.conn.streams().open(Dir::Bi).unwrap();
    write_with_gaps(&mut raw, &mut pair, stream, &[7; 10], 400);
    assert_eq!(
        protocol_fault(&mut pair),
        "the control stream has too many gaps"
    );
}

/// Private memory of this process in bytes; other tests have their own.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse::<usize>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[test]
fn a12_every_stream_opened_and_full_of_gaps_costs_a_bounded_amount_of_memory() {
    const CLIENTS: usize = 40;
    // What waits for its gaps to be filled is at most 256 KiB; the rest is
    // QUIC's own on both sides, for this process is client and relay.
    const BUDGET: usize = 512 * 1024;
    let mut pair = Pair::new(&Setup::default());
    let _warm = connected_raw(&mut pair);
    let before = resident();
    let mut clients: Vec<Raw> = (0..CLIENTS).map(|_| connected_raw(&mut pair)).collect();
    for raw in &mut clients {
        while let Some(stream) = raw.conn.streams().open(Dir::Bi) {
            // As large as a packet, so that few pieces hold many bytes, with
            // other traffic in between that fills the receive buffers.
            write_with_gaps(raw, &mut pair, stream, &[7; 1_000], 24);
            let small = [7; 1];
            write_with_gaps(raw, &mut pair, stream, &small, 60);
        }
    }
    pair.settle(std::time::Duration::from_millis(50));
    let grown = resident().saturating_sub(before);
    assert!(
        grown < CLIENTS * BUDGET,
        "{} KiB for each client",
        grown / CLIENTS / 1024
    );
}

#[test]
fn a16_frames_without_a_purpose_end_their_connection_and_no_other() {
    let mut pair = Pair::connected(&Setup::default());
    let mut raw = connected_raw(&mut pair);
    for _ in 0..5_000 {
        // Each time quinn retires a connection id and is given another.
        raw.conn.local_address_changed();
        raw.turn(pair.now());
        pair.turn();
        if !pair.server.closed.is_empty() {
            break;
        }
    }
    assert_eq!(
        protocol_fault(&mut pair),
        "too many frames that serve no purpose"
    );
    let conn = pair.client.conn();
    let word = Bytes::from_static(b"business as usual");
    pair.client.transport.send_control(conn, word).unwrap();
    pair.until("the other connection works", |pair| {
        pair.server.control.ends_with(b"business as usual")
    });
}

#[test]
fn a16_a_flood_of_timing_marks_ends_its_connection_and_is_never_shown() {
    let mut pair = Pair::new(&Setup::default());
    let mut raw = connected_raw(&mut pair);
    let mark = Bytes::from_static(&[0x16, 1, 0, 0, 0, 0]);
    for _ in 0..5_000 {
        for _ in 0..20 {
            let _blocked = raw.conn.datagrams().send(mark.clone(), false);
        }
        raw.turn(pair.now());
        pair.turn();
        if !pair.server.closed.is_empty() {
            break;
        }
    }
    assert_eq!(
        protocol_fault(&mut pair),
        "too many frames that serve no purpose"
    );
    assert!(pair.server.datagrams.is_empty());
}

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
