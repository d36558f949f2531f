//! Inner traffic through the queue into a paced bottleneck: is the line used,
//! how long does a bulk copy wait, and what does a game notice of it?
//!
//! The rows that the tests print are the table of ADR 29.

#![expect(clippy::print_stdout, reason = "rows for a person who tunes the queue")]

mod link;
mod tcp;

use std::time::Duration;

use lanparty_queue::{FlowKey, Hint, QueueLimits};

use crate::link::{Link, Source};
use crate::tcp::{Micros, Tcp, Temper};

const SECONDS: Micros = 1_000_000;
/// Where slow start is over.
const WARM: Micros = 5 * SECONDS;
const END: Micros = 35 * SECONDS;
/// A full frame in a room of the default MTU, sealed.
const BULK_LEN: usize = 1_386;
/// 64 bytes of a game in UDP, IPv4 and Ethernet, sealed.
const GAME_LEN: usize = 134;
const TICK: Micros = 15_000;
/// Megabits a second of the bottlenecks.
const LINES: [u64; 2] = [10, 50];
/// Milliseconds: a copy over Ethernet, within a country, across a continent.
const ROUND_TRIPS: [Micros; 3] = [1, 20, 80];

fn key(source: u16, tag: u16, hint: Hint) -> FlowKey {
    FlowKey {
        source,
        tag,
        hint,
        part_of: None,
    }
}

fn tcp(temper: Temper, rtt_ms: Micros) -> Source {
    Source::Tcp {
        tcp: Tcp::new(temper),
        rtt: rtt_ms * 1_000,
    }
}

/// Full datagrams at twice what the line carries.
const fn twice(megabits: u64) -> Micros {
    packet_micros(megabits) / 2
}

/// How long the line is busy with a full datagram.
const fn packet_micros(megabits: u64) -> Micros {
    (BULK_LEN as u64 + 64) * 8 / megabits
}

fn packets(count: u32, megabits: u64) -> Duration {
    Duration::from_micros(packet_micros(megabits) + 1) * count
}

fn line(megabits: u64) -> Link {
    Link::new(megabits * 1_000_000, QueueLimits::default())
}

fn add_game(link: &mut Link, source: u16) -> usize {
    let game = key(source, 0x700, Hint::Sparse);
    link.add(game, GAME_LEN, Source::Clock { every: TICK }, 0)
}

#[derive(Debug)]
struct Outcome {
    utilisation: f64,
    bulk_p50: Duration,
    bulk_p99: Duration,
    game_p99: Duration,
    game_worst: Duration,
}

/// These bulk senders beside one game, all of one peer; prints a row.
fn beside_a_game(name: &str, megabits: u64, rtt_ms: Micros, senders: Vec<Source>) -> Outcome {
    let mut link = line(megabits);
    let game = add_game(&mut link, 1);
    for (number, source) in senders.into_iter().enumerate() {
        let number = number as u16;
        let at = SECONDS + Micros::from(number) * 37_000;
        link.add(key(1, number, Hint::Bulk), BULK_LEN, source, at);
    }
    link.run(END);
    let (bulk, game) = (&link.flows[game + 1], &link.flows[game]);
    let outcome = Outcome {
        utilisation: link.utilisation(WARM),
        bulk_p50: bulk.wait(0.5, WARM),
        bulk_p99: bulk.wait(0.99, WARM),
        // Slow start included.
        game_p99: game.wait(0.99, 0),
        game_worst: game.wait(1.0, 0),
    };
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "| {name} | {megabits} | {rtt_ms} | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} |",
        outcome.utilisation * 100.0,
        ms(outcome.bulk_p50),
        ms(outcome.bulk_p99),
        ms(outcome.game_p99),
        ms(outcome.game_worst),
    );
    outcome
}

#[test]
fn i9_one_inner_cubic_uses_the_line_and_a_game_waits_for_the_packet_that_is_leaving() {
    for megabits in LINES {
        for rtt in ROUND_TRIPS {
            let senders = vec![tcp(Temper::Cubic, rtt)];
            let outcome = beside_a_game("one Cubic", megabits, rtt, senders);
            assert!(outcome.utilisation >= 0.98, "{outcome:?}");
            assert!(outcome.bulk_p99 <= Duration::from_millis(25), "{outcome:?}");
            assert!(outcome.game_worst <= packets(1, megabits), "{outcome:?}");
        }
    }
}

#[test]
fn i9_many_or_gentle_inner_flows_obey_too() {
    for megabits in LINES {
        for rtt in ROUND_TRIPS {
            let senders = (0..4).map(|_| tcp(Temper::Cubic, rtt)).collect();
            let outcome = beside_a_game("four Cubic", megabits, rtt, senders);
            assert!(outcome.utilisation >= 0.98, "{outcome:?}");
            assert!(outcome.bulk_p99 <= Duration::from_millis(40), "{outcome:?}");
            assert!(outcome.game_worst <= packets(1, megabits), "{outcome:?}");

            let outcome = beside_a_game("one Reno", megabits, rtt, vec![tcp(Temper::Reno, rtt)]);
            // Half a window less after each loss needs a whole round trip of
            // queue to hide, which nobody would want at 80 ms.
            let least = if rtt == 80 { 0.8 } else { 0.98 };
            assert!(outcome.utilisation >= least, "{outcome:?}");
            assert!(outcome.game_worst <= packets(1, megabits), "{outcome:?}");
        }
    }
}

#[test]
fn i9_what_does_not_obey_is_held_by_its_bytes_and_a_game_notices_nothing() {
    let bound = QueueLimits::default().delay + Duration::from_millis(10);
    for megabits in LINES {
        for rtt in [20, 80] {
            let senders = vec![tcp(Temper::Fixed(600), rtt)];
            let outcome = beside_a_game("600 segments", megabits, rtt, senders);
            assert!(outcome.utilisation >= 0.99, "{outcome:?}");
            assert!(outcome.bulk_p99 <= bound, "{outcome:?}");
            assert!(outcome.game_worst <= packets(1, megabits), "{outcome:?}");
        }
        let every = twice(megabits);
        let outcome = beside_a_game("UDP at 2x", megabits, 0, vec![Source::Clock { every }]);
        assert!(outcome.utilisation >= 0.99, "{outcome:?}");
        assert!(outcome.bulk_p99 <= bound, "{outcome:?}");
        assert!(outcome.game_worst <= packets(1, megabits), "{outcome:?}");
    }
}

#[test]
fn i9_peers_that_flood_or_change_their_tag_with_every_packet_gain_nothing() {
    for megabits in LINES {
        let every = twice(megabits);
        for hostile in [Source::Clock { every }, Source::Spray { every }] {
            let mut link = line(megabits);
            let games = [add_game(&mut link, 1), add_game(&mut link, 2)];
            let copy = link.add(
                key(1, 1, Hint::Bulk),
                BULK_LEN,
                tcp(Temper::Cubic, 20),
                SECONDS,
            );
            let flood = link.add(key(3, 0, Hint::Sparse), BULK_LEN, hostile, 2 * SECONDS);
            link.run(END);
            let [copy, flood] = [copy, flood].map(|flow| link.bytes(flow, WARM) as f64);
            assert!(copy >= 0.9 * flood, "{copy} against {flood}");
            for game in games {
                let worst = link.flows[game].wait(1.0, 0);
                assert!(worst <= packets(3, megabits), "{worst:?}");
            }
            assert!(link.utilisation(WARM) >= 0.99);
        }
    }
}

#[test]
fn i9_a_game_in_a_full_house_waits_for_few_packets() {
    for megabits in LINES {
        let mut link = line(megabits);
        // Twenty peers that play and copy at the same time, three copies each.
        let games: Vec<usize> = (1..=20).map(|peer| add_game(&mut link, peer)).collect();
        for peer in 1..=20_u16 {
            for copy in 0..3_u16 {
                let at = SECONDS + Micros::from(peer * 3 + copy) * 11_000;
                let key = key(peer, copy, Hint::Bulk);
                link.add(key, BULK_LEN, tcp(Temper::Cubic, 20), at);
            }
        }
        link.run(END);
        for game in games {
            let p99 = link.flows[game].wait(0.99, 0);
            assert!(p99 <= packets(2, megabits), "{p99:?}");
        }
        assert!(link.utilisation(WARM) >= 0.99);
    }
}

#[test]
fn acknowledgements_of_a_download_do_not_wait_behind_an_upload() {
    // 24 Mbit/s of segments come down, every second one is acknowledged.
    let mut link = line(10);
    let upload = key(1, 1, Hint::Bulk);
    link.add(upload, BULK_LEN, tcp(Temper::Cubic, 20), SECONDS);
    let acks = key(1, 2, Hint::Normal);
    let acks = link.add(acks, 94, Source::Clock { every: 960 }, 0);
    link.run(END);
    let p99 = link.flows[acks].wait(0.99, 0);
    assert!(p99 <= packets(3, 10), "{p99:?}");
    let left = link.bytes(acks, 0) / (94 + 64);
    assert!(left >= END / 960 * 99 / 100, "{left}");
}
