//! Steady traffic through the queue allocates nothing.
#![expect(clippy::disallowed_methods, reason = "any moment will do as the start")]

use std::time::{Duration, Instant};

use lanparty_queue::{FairQueue, FlowKey, Hint, QueueLimits};

/// Pushes and pops in a pattern that fills and empties the queue, with sparse
/// and bulk flows of `sources` peers; what it allocates in its last rounds.
fn allocations(sources: u16, limits: QueueLimits) -> u64 {
    let mut queue = FairQueue::new(limits);
    let mut now = Instant::now();
    let mut round = |queue: &mut FairQueue<u32>| {
        for burst in 0..8_u16 {
            for source in 1..=sources {
                for tag in 0..1 + source % 5 {
                    let hint = if tag == 0 { Hint::Sparse } else { Hint::Bulk };
                    let key = FlowKey {
                        source,
                        tag,
                        hint,
                        part_of: None,
                    };
                    let len = if tag == 0 { 100 } else { 1_400 };
                    queue.push(now, key, len, u32::from(burst));
                }
            }
            now += Duration::from_micros(200);
            queue.pop(now);
        }
        while queue.pop(now).is_some() {
            now += Duration::from_micros(20);
        }
    };
    for _ in 0..50 {
        round(&mut queue);
    }
    allocation_counter::measure(|| {
        for _ in 0..50 {
            round(&mut queue);
        }
    })
    .count_total
}

#[test]
fn peers_and_flows_that_come_and_go_allocate_nothing() {
    assert_eq!(allocations(1, QueueLimits::default()), 0);
    assert_eq!(allocations(50, QueueLimits::default()), 0);
    assert_eq!(allocations(500, QueueLimits::default()), 0);
}

#[test]
fn dropping_allocates_nothing() {
    let limits = QueueLimits {
        bytes: 30_000,
        target: Duration::ZERO,
        interval: Duration::from_millis(1),
        ..QueueLimits::default()
    };
    assert_eq!(allocations(50, limits), 0);
}
