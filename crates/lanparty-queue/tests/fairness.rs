//! What the queue promises about order, delay and shares.
#![expect(clippy::disallowed_methods, reason = "any moment will do as the start")]
#![expect(clippy::unwrap_used, reason = "a test's helpers may fail the test")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lanparty_obs::DropReason;
use lanparty_queue::{FairQueue, FlowKey, Hint, QueueLimits};

/// What one datagram costs beyond its bytes.
const OVERHEAD: usize = 64;

fn key(source: u16, tag: u16) -> FlowKey {
    FlowKey {
        source,
        tag,
        hint: Hint::Normal,
        part_of: None,
    }
}

/// As a sender marks full TCP segments.
fn bulk(source: u16, tag: u16) -> FlowKey {
    FlowKey {
        hint: Hint::Bulk,
        ..key(source, tag)
    }
}

fn roomy() -> QueueLimits {
    QueueLimits {
        bytes: 10_000_000,
        ..QueueLimits::default()
    }
}

type Item = (u16, u16, u32);

/// A queue in which these sources have one bulk flow each with `count` packets,
/// past their first rounds.
fn with_backlogs(now: Instant, sources: &[u16], count: u32) -> FairQueue<Item> {
    let mut queue = FairQueue::new(roomy());
    for number in 0..count {
        for &source in sources {
            queue.push(now, key(source, 1), 1_400, (source, 1, number));
        }
    }
    for _ in 0..sources.len() * 8 {
        queue.pop(now).unwrap();
    }
    queue
}

#[test]
fn a_sparse_flow_of_a_quiet_peer_is_next() {
    let now = Instant::now();
    let mut queue = with_backlogs(now, &[1, 2, 3, 4], 50);
    queue.push(now, key(9, 7), 100, (9, 7, 0));
    assert_eq!(queue.pop(now), Some((9, 7, 0)));
}

#[test]
fn a_sparse_flow_of_a_busy_peer_waits_for_a_few_packets_at_most() {
    let now = Instant::now();
    let mut queue = with_backlogs(now, &[1, 2, 3, 4, 5, 6, 7, 8], 200);
    let mut worst = 0;
    for number in 0..100 {
        queue.push(now, key(3, 7), 100, (3, 7, number));
        let mut waited = 0;
        while queue.pop(now).unwrap() != (3, 7, number) {
            waited += 1;
        }
        worst = worst.max(waited);
        // The bulk goes on for a while between two game packets.
        for _ in 0..10 {
            queue.pop(now).unwrap();
        }
    }
    assert!(worst <= 2, "{worst}");
}

#[test]
fn a_sparse_flow_that_sends_again_and_again_is_never_behind_the_bulk() {
    let now = Instant::now();
    let mut queue = with_backlogs(now, &[1], 500);
    for number in 0..200 {
        queue.push(now, key(1, 7), 100, (1, 7, number));
        let position = (0..).find(|_| queue.pop(now).unwrap().1 == 7).unwrap();
        assert!(position <= 2, "packet {number} waited for {position}");
    }
}

/// Pops `count` packets while every flow is kept backlogged, and returns the
/// bytes that each source got.
fn shares(
    queue: &mut FairQueue<(FlowKey, usize)>,
    now: Instant,
    count: usize,
    mut next_tag: impl FnMut(FlowKey) -> u16,
) -> BTreeMap<u16, i64> {
    let mut shares = BTreeMap::new();
    for _ in 0..count {
        let (key, len) = queue.pop(now).unwrap();
        *shares.entry(key.source).or_default() += (len + OVERHEAD) as i64;
        let again = FlowKey {
            tag: next_tag(key),
            ..key
        };
        queue.push(now, again, len, (again, len));
    }
    shares
}

fn assert_equal_within(shares: &BTreeMap<u16, i64>, slack: i64) {
    let (least, most) = (shares.values().min(), shares.values().max());
    assert!(most.unwrap() - least.unwrap() <= slack, "{shares:?}");
}

#[test]
fn peers_get_equal_bytes_whatever_their_packets_and_flows() {
    let now = Instant::now();
    let mut queue = FairQueue::new(roomy());
    for (source, flows, len) in [(1, 1, 1_400), (2, 20, 1_400), (3, 1, 100), (4, 5, 700)] {
        for tag in 0..flows {
            for _ in 0..40 {
                let key = key(source, tag);
                queue.push(now, key, len, (key, len));
            }
        }
    }
    let shares = shares(&mut queue, now, 4_000, |key| key.tag);
    assert_equal_within(&shares, 2 * 1_514 + 1_464);
}

#[test]
fn a_new_tag_for_every_packet_buys_time_but_no_rate() {
    let now = Instant::now();
    let mut queue = FairQueue::new(roomy());
    for source in 1..=4 {
        for tag in 0..8 {
            let key = key(source, tag);
            queue.push(now, key, 1_000, (key, 1_000));
        }
    }
    let mut tag = 0;
    let shares = shares(&mut queue, now, 8_000, |key| {
        if key.source == 2 {
            tag += 1;
            tag
        } else {
            key.tag
        }
    });
    assert_equal_within(&shares, 3 * 1_514 + 1_064);
}

#[test]
fn a_peer_that_keeps_running_empty_cannot_starve_the_others() {
    let now = Instant::now();
    let mut queue = with_backlogs(now, &[1], 3_000);
    let mut sneaky = 0;
    let mut honest = 0;
    for number in 0..2_000 {
        // Always exactly one packet, always as if it were new.
        queue.push(now, key(2, number as u16), 1_400, (2, 0, number));
        while queue.pop(now).unwrap().0 == 1 {
            honest += 1;
        }
        sneaky += 1;
    }
    assert!(honest * 10 >= sneaky * 9, "{honest} against {sneaky}");
}

#[test]
fn flows_of_one_peer_share_alike_and_bulk_comes_last() {
    let now = Instant::now();
    let mut queue = FairQueue::new(roomy());
    for number in 0..100 {
        for tag in [1, 2] {
            queue.push(now, key(1, tag), 1_000, (1, tag, number));
        }
    }
    let mut counts = BTreeMap::new();
    for _ in 0..100 {
        *counts.entry(queue.pop(now).unwrap().1).or_insert(0_i32) += 1;
    }
    assert!((counts[&1] - counts[&2]).abs() <= 2, "{counts:?}");

    let mut queue = FairQueue::new(roomy());
    let hinted = FlowKey {
        hint: Hint::Bulk,
        ..key(1, 3)
    };
    queue.push(now, hinted, 1_000, (1, 3, 0));
    queue.push(now, key(1, 4), 1_000, (1, 4, 0));
    assert_eq!(queue.pop(now), Some((1, 4, 0)));
}

#[test]
fn the_largest_flow_of_the_largest_peer_loses_its_oldest() {
    let now = Instant::now();
    let mut queue = FairQueue::new(QueueLimits {
        bytes: 100 * (936 + OVERHEAD),
        ..QueueLimits::default()
    });
    for number in 0..40 {
        queue.push(now, key(1, 1), 936, (1, 1, number));
    }
    for tag in 0..20 {
        for number in 0..3 {
            queue.push(now, key(2, tag), 936, (2, tag, number));
        }
    }
    // Full to the byte. Peer 2 holds 60, more than peer 1, in small flows.
    assert_eq!(queue.bytes(), queue.limits().bytes);
    let outcome = queue.push(now, key(1, 2), 936, (1, 2, 0));
    assert_eq!(outcome.dropped, 1);
    assert_eq!(queue.drops().get(DropReason::QueueFull), 1);
    let mut left = Vec::new();
    while let Some(item) = queue.pop(now) {
        left.push(item);
    }
    assert_eq!(left.len(), 100);
    let of_peer_1 = left.iter().filter(|item| item.0 == 1).count();
    assert_eq!(of_peer_1, 41);
    // What peer 2 lost is the first packet of one of its flows.
    let firsts = left.iter().filter(|item| item.0 == 2 && item.2 == 0);
    assert_eq!(firsts.count(), 19);
}

#[test]
fn a_datagram_larger_than_the_bound_is_refused_alone() {
    let now = Instant::now();
    let mut queue = FairQueue::new(QueueLimits {
        bytes: 1_000,
        ..QueueLimits::default()
    });
    queue.push(now, key(1, 1), 500, 1);
    assert_eq!(queue.push(now, key(1, 1), 937, 2).dropped, 1);
    assert_eq!((queue.len(), queue.pop(now)), (1, Some(1)));
}

#[test]
fn a_receiver_that_stalled_gets_the_present() {
    let mut now = Instant::now();
    let limits = QueueLimits {
        bytes: 200_000,
        ..QueueLimits::default()
    };
    let mut queue = FairQueue::new(limits);
    for number in 0..2_000 {
        queue.push(now, key(1, 1), 1_000, number);
        now += Duration::from_millis(10);
    }
    let first = queue.pop(now).unwrap();
    assert!(first >= 2_000 - 51, "{first}");
    let total = queue.drops().get(DropReason::QueueFull)
        + queue.drops().get(DropReason::QueueDelay)
        + queue.len() as u64
        + 1;
    assert_eq!(total, 2_000);
}

/// Runs a flow that sends 2 % more than the link and returns the delay of the
/// packets that left in the last second.
fn standing_delay(limits: QueueLimits) -> (Duration, u64) {
    let begin = Instant::now();
    let mut queue = FairQueue::new(limits);
    let mut sent = begin;
    let mut delays = Vec::new();
    for packet in 0..20_000_u32 {
        // One packet a millisecond leaves.
        let now = begin + Duration::from_millis(1) * packet;
        while sent <= now {
            queue.push(sent, key(1, 1), 1_400, sent);
            sent += Duration::from_micros(980);
        }
        if let Some(queued_at) = queue.pop(now) {
            delays.push(now - queued_at);
        }
    }
    let last = &delays[delays.len() - 1_000..];
    let mean = last.iter().sum::<Duration>() / 1_000;
    (mean, queue.drops().get(DropReason::QueueDelay))
}

#[test]
fn codel_brings_a_standing_queue_down_and_spares_a_burst() {
    let (delay, dropped) = standing_delay(roomy());
    assert!(delay < Duration::from_millis(40), "{delay:?}");
    assert!(dropped > 0);
    let patient = QueueLimits {
        target: Duration::from_secs(3_600),
        ..roomy()
    };
    let (delay, _) = standing_delay(patient);
    assert!(delay > Duration::from_millis(200), "{delay:?}");

    let begin = Instant::now();
    let mut queue = FairQueue::new(roomy());
    for number in 0..50 {
        queue.push(begin, key(1, 1), 1_400, number);
    }
    for number in 0..50 {
        let now = begin + Duration::from_millis(1) * number;
        assert_eq!(queue.pop(now), Some(number));
    }
    assert_eq!(queue.drops().total(), 0);
}

#[test]
fn flows_that_keep_running_empty_cannot_starve_their_peers_other_flows() {
    let now = Instant::now();
    let mut queue = with_backlogs(now, &[1], 3_000);
    let mut bulk = 0;
    for number in 0..1_000 {
        // Always exactly one packet, always as if its flow were new.
        let tag = 2 + number as u16 % 2;
        queue.push(now, key(1, tag), 1_400, (1, tag, number));
        while queue.pop(now).unwrap().1 == 1 {
            bulk += 1;
        }
    }
    assert!(bulk >= 450, "{bulk} against 1,000 of two flows");
}

#[test]
fn a_game_does_not_share_the_place_of_a_copy_whatever_the_low_bits_of_their_tags() {
    let now = Instant::now();
    let mut queue = FairQueue::new(roomy());
    for tag in 0..8 {
        for number in 0..100 {
            let key = bulk(1, tag * 1_024);
            queue.push(now, key, 1_400, (1, key.tag, number));
        }
    }
    for number in 0..100 {
        let game = key(1, 0xFC00);
        queue.push(now, game, 100, (1, game.tag, number));
        let position = (0..).find(|_| queue.pop(now).unwrap().1 == game.tag);
        assert!(
            position <= Some(1),
            "packet {number} waited for {position:?}"
        );
        for _ in 0..6 {
            queue.pop(now).unwrap();
        }
    }
}

#[test]
fn flows_beyond_those_told_apart_share_and_stay_in_order() {
    let now = Instant::now();
    let mut queue = FairQueue::new(roomy());
    for number in 0..10 {
        for tag in 0..300 {
            queue.push(now, bulk(1, tag), 1_000, (1, tag, number));
        }
    }
    let mut next: BTreeMap<u16, u32> = BTreeMap::new();
    // What comes meanwhile goes behind what waits, not beside it.
    for _ in 0..1_500 {
        let (_, tag, number) = queue.pop(now).unwrap();
        let expected = next.entry(tag).or_default();
        assert_eq!(number, *expected, "tag {tag}");
        *expected += 1;
        queue.push(now, bulk(1, tag), 1_000, (1, tag, number + 10));
    }
}

/// Pieces of frames, two each; every hundredth of a second one of them leaves.
fn pieces_that_left(queue: &mut FairQueue<(u16, u8)>) -> BTreeMap<u16, Vec<u8>> {
    let begin = Instant::now();
    let mut left: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    for frame in 0..2_000_u16 {
        let now = begin + Duration::from_millis(10) * frame.into();
        for piece in 0..2 {
            let key = FlowKey {
                part_of: Some(frame),
                ..key(1, 1)
            };
            queue.push(now, key, 700, (frame, piece));
        }
        if let Some((frame, piece)) = queue.pop(now) {
            left.entry(frame).or_default().push(piece);
        }
    }
    left
}

#[test]
fn a_frame_of_which_one_piece_is_dropped_loses_the_other_too() {
    let bounded = QueueLimits {
        bytes: 20_000,
        ..QueueLimits::default()
    };
    let by_age = QueueLimits {
        target: Duration::from_secs(3_600),
        ..roomy()
    };
    for limits in [QueueLimits::default(), bounded, by_age] {
        let mut queue = FairQueue::new(limits);
        let mut left = pieces_that_left(&mut queue);
        left.pop_last();
        assert!(left.len() > 900, "{}", left.len());
        let halves = left.values().filter(|pieces| pieces.len() != 2).count();
        // The bound does not ask whether the first piece has left already.
        assert!(halves * 20 <= left.len(), "{halves} of {}", left.len());
        assert!(queue.drops().total() > 500);
    }
}

#[test]
fn what_waits_for_a_slow_line_is_bounded_by_time() {
    let now = Instant::now();
    let mut queue = FairQueue::new(QueueLimits::default());
    let mut fill = |rate| {
        queue.set_rate(rate);
        for number in 0..2_000 {
            queue.push(now, key(1, 1), 1_386, number);
        }
        queue.bytes()
    };
    let rates = [Some(125_000_000), None, Some(2_500_000), Some(10_000)];
    let held = rates.map(&mut fill);
    let all = QueueLimits::default().bytes;
    let bounds = [all, all, 250_000, 128 * 1_024];
    for (held, bound) in held.into_iter().zip(bounds) {
        assert!((bound - 1_450..=bound).contains(&held), "{held} of {bound}");
    }
}

#[test]
fn a_peer_that_calls_everything_sparse_gets_no_more_than_its_share() {
    let now = Instant::now();
    let mut queue = FairQueue::new(roomy());
    for source in 1..=3 {
        for tag in 0..4 {
            let hint = if source == 2 {
                Hint::Sparse
            } else {
                Hint::Bulk
            };
            let key = FlowKey {
                hint,
                ..key(source, tag)
            };
            for _ in 0..20 {
                queue.push(now, key, 1_000, (key, 1_000));
            }
        }
    }
    let shares = shares(&mut queue, now, 6_000, |key| key.tag);
    assert_equal_within(&shares, 4 * 1_514 + 1_064);
}
