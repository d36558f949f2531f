//! Datagrams of every size, each one accounted for.

use std::time::Duration;

use bytes::Bytes;
use lanparty_obs::DropReason;

use super::pair::{Pair, Setup, Side};
use crate::{ConnId, FlowKey, Hint, QueueLimits, TransportLimits};

fn flow(source: u16, tag: u16) -> FlowKey {
    FlowKey {
        source,
        tag,
        hint: Hint::Normal,
        part_of: None,
    }
}

fn numbered(number: u32, len: usize) -> Bytes {
    let mut bytes = vec![number as u8; len.max(4)];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Bytes::from(bytes)
}

/// Begins like a datagram of the overlay, as everything does that programs send.
fn patterned(len: usize) -> Bytes {
    let mut bytes = vec![len as u8; len];
    if let Some(first) = bytes.first_mut() {
        *first = 0x11;
    }
    Bytes::from(bytes)
}

/// Lets leave what may, until no more than so many bytes wait.
fn drain(pair: &mut Pair, conn: ConnId, bytes: usize) {
    let what = "the queue is short";
    pair.until(what, |pair| {
        pair.client.transport.queue_bytes(conn) <= bytes
    });
}

/// A pair and the largest datagram of its client: what discovery finds, or
/// QUIC's least where the system may fragment and nothing can be found out.
fn with_full_mtu(setup: &Setup) -> (Pair, usize) {
    let mut pair = Pair::connected(setup);
    let full = |side: &Side| match side.transport.udp.may_fragment() {
        true => 1_200 - 38,
        false => 1_472 - 38,
    };
    let (max, servers_max) = (full(&pair.client), full(&pair.server));
    let (client, server) = (pair.client.conn(), pair.server.conn());
    pair.until("path MTU discovery is done", |pair| {
        pair.client.transport.max_datagram_size(client) == Some(max)
            && pair.server.transport.max_datagram_size(server) == Some(servers_max)
    });
    (pair, max)
}

#[test]
fn datagrams_of_every_size_arrive_unchanged() {
    let (mut pair, max) = with_full_mtu(&Setup::default());
    let conn = pair.client.conn();
    for len in 0..=max {
        let bytes = patterned(len);
        let now = pair.now();
        let transport = &mut pair.client.transport;
        transport.send_datagram(now, conn, flow(1, 1), bytes);
        drain(&mut pair, conn, 100_000);
    }
    pair.until("all have arrived", |pair| pair.server.datagrams.len() > max);
    for (len, bytes) in pair.server.datagrams.iter().enumerate() {
        assert_eq!(*bytes, patterned(len));
    }
}

#[test]
fn a_hundred_thousand_datagrams_are_received_or_counted() {
    const COUNT: u32 = 100_000;
    let (mut pair, max) = with_full_mtu(&Setup::default());
    let conn = pair.client.conn();
    for number in 0..COUNT {
        let now = pair.now();
        let bytes = numbered(number, 200 + number as usize % (max - 200));
        let key = flow(number as u16 % 3, number as u16 % 7);
        pair.client.transport.send_datagram(now, conn, key, bytes);
        // Now and then far more than the queue holds.
        if number % 30_000 < 20_000 {
            drain(&mut pair, conn, 200_000);
        }
    }
    pair.until("the queue is empty", |pair| {
        let stats = pair.client.transport.stats(conn).unwrap();
        stats.queue_len == 0
    });
    pair.settle(Duration::from_millis(100));
    let stats = pair.client.transport.stats(conn).unwrap();
    assert!(stats.drops.total() > 0, "nothing overflowed");
    assert_eq!(stats.datagrams_out + stats.drops.total(), u64::from(COUNT));
    let received = pair.server.datagrams.len() as u64;
    if stats.packets_lost == 0 {
        assert_eq!(received, stats.datagrams_out);
    }
    assert!(received <= stats.datagrams_out);
    assert!(received > u64::from(COUNT) / 4, "{stats:?}");
}

#[test]
fn closing_counts_what_was_waiting() {
    let (mut pair, max) = with_full_mtu(&Setup::default());
    let (conn, now) = (pair.client.conn(), pair.now());
    let before = pair.client.transport.stats(conn).unwrap();
    for number in 0..300 {
        let bytes = numbered(number, max);
        pair.client
            .transport
            .send_datagram(now, conn, flow(1, 1), bytes);
    }
    pair.client.transport.close(now, conn, 0, "");
    pair.client
        .transport
        .send_datagram(now, conn, flow(1, 1), numbered(0, 10));
    pair.turn();
    let (_, _, stats) = &pair.client.closed[0];
    let sent = stats.datagrams_out - before.datagrams_out;
    assert_eq!(sent + stats.drops.total(), 300);
    assert_eq!(stats.drops.get(DropReason::Disconnected), 300);
    let orphans = pair.client.transport.drops();
    assert_eq!(orphans.get(DropReason::Disconnected), 1);
}

#[test]
fn datagrams_before_the_connection_is_up_are_counted() {
    let mut pair = Pair::new(&Setup::default());
    let (conn, now) = (pair.dial(), pair.now());
    pair.client
        .transport
        .send_datagram(now, conn, flow(1, 1), numbered(1, 10));
    let drops = pair.client.transport.drops();
    assert_eq!(drops.get(DropReason::NotReady), 1);
}

#[test]
fn what_does_not_fit_is_counted_or_cut_by_the_program() {
    let (mut pair, max) = with_full_mtu(&Setup::default());
    let conn = pair.client.conn();
    let now = pair.now();
    let big = numbered(1, max + 1);
    let transport = &mut pair.client.transport;
    transport.send_datagram(now, conn, flow(1, 1), big.clone());
    transport.flush(now);
    let drops = transport.stats(conn).unwrap().drops;
    assert_eq!(drops.get(DropReason::QuicTooLarge), 1);

    transport.set_splitter(Box::new(|bytes, max, pieces| {
        let mut rest = bytes.clone();
        while !rest.is_empty() {
            pieces.push(rest.split_to(max.min(rest.len())));
        }
    }));
    transport.send_datagram(now, conn, flow(1, 1), big.clone());
    pair.until("both pieces have arrived", |pair| {
        pair.server.datagrams.len() == 2
    });
    assert_eq!(pair.server.datagrams.concat(), big);
    let drops = pair.client.transport.stats(conn).unwrap().drops;
    assert_eq!(drops.total(), 1);
}

#[test]
fn a_full_queue_drops_the_oldest_of_the_bulk_and_spares_the_game() {
    let limits = TransportLimits {
        queue: QueueLimits {
            bytes: 100_000,
            ..QueueLimits::default()
        },
        ..TransportLimits::default()
    };
    let (mut pair, max) = with_full_mtu(&Setup {
        client_limits: limits,
        ..Setup::default()
    });
    let (conn, now) = (pair.client.conn(), pair.now());
    let transport = &mut pair.client.transport;
    transport.send_datagram(now, conn, flow(2, 9), numbered(u32::MAX, 60));
    for number in 0..200 {
        transport.send_datagram(now, conn, flow(1, 1), numbered(number, max));
    }
    let drops = transport.stats(conn).unwrap().drops;
    let dropped = drops.get(DropReason::QueueFull);
    assert_eq!(dropped, 200 - (100_000 - 124) / (max as u64 + 64));
    pair.until("what is left has arrived", |pair| {
        pair.server.datagrams.len() as u64 == 201 - dropped
    });
    let first = &pair.server.datagrams[0];
    assert_eq!(first[..4], u32::MAX.to_be_bytes());
    let oldest = &pair.server.datagrams[1];
    assert_eq!(oldest[..4], (dropped as u32).to_be_bytes());
}

#[test]
fn when_the_path_shrinks_datagrams_are_cut_and_the_books_still_balance() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    let (mut pair, _) = with_full_mtu(&Setup::default());
    if pair.client.transport.udp.may_fragment() {
        return;
    }
    let conn = pair.client.conn();
    let extra = Arc::new(AtomicU64::new(0));
    let count = extra.clone();
    pair.client
        .transport
        .set_splitter(Box::new(move |bytes, max, pieces| {
            let mut rest = bytes.clone();
            while !rest.is_empty() {
                pieces.push(rest.split_to(max.min(rest.len())));
                count.fetch_add(1, Ordering::Relaxed);
            }
            count.fetch_sub(1, Ordering::Relaxed);
        }));
    pair.client.transport.udp.faults.path_mtu = 1_300;
    let mut pushed = 0;
    let mut push = |pair: &mut Pair, count| {
        let now = pair.now();
        for _ in 0..count {
            let bytes = numbered(pushed, 1_400);
            let transport = &mut pair.client.transport;
            transport.send_datagram(now, conn, flow(1, 1), bytes);
            pushed += 1;
        }
        u64::from(pushed)
    };
    let mut smallest = usize::MAX;
    pair.until("what fits was found after the cooldown", |pair| {
        push(pair, 4);
        pair.settle(Duration::from_millis(2));
        let transport = &mut pair.client.transport;
        let max = transport.max_datagram_size(conn).unwrap();
        smallest = smallest.min(max);
        smallest == 1_200 - 38 && max == 1_300 - 38
    });
    pair.until("the queue is empty", |pair| {
        pair.client.transport.stats(conn).unwrap().queue_len == 0
    });
    pair.settle(Duration::from_millis(100));
    let before = pair.server.datagrams.len();
    let pushed = push(&mut pair, 10);
    pair.until("both pieces of each have arrived", |pair| {
        pair.server.datagrams.len() >= before + 20
    });
    let stats = pair.client.transport.stats(conn).unwrap();
    assert!(stats.black_holes > 0, "{stats:?}");
    let extra = extra.load(Ordering::Relaxed);
    assert!(extra > 0);
    assert_eq!(
        stats.datagrams_out + stats.drops.total(),
        pushed + extra,
        "{stats:?}"
    );
}
