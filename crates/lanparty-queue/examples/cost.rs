//! Prints what the queue costs a datagram: `cargo run --release --example cost`.

#![expect(clippy::print_stdout, reason = "it prints")]
#![expect(clippy::disallowed_methods, reason = "it measures")]

use std::time::{Duration, Instant};

use lanparty_queue::{FairQueue, FlowKey, Hint, QueueLimits};

const ROUNDS: u32 = 2_000_000;

/// As large as a `Bytes`.
type Item = [usize; 4];

fn key(number: u32, sources: u32, flows: u32) -> FlowKey {
    let tag = (number / sources % flows).wrapping_mul(0x9E37);
    FlowKey {
        source: 1 + (number % sources) as u16,
        tag: tag as u16,
        hint: Hint::Bulk,
        ..FlowKey::default()
    }
}

/// Bursts of `burst` datagrams, each emptied before the next.
fn bursts(name: &str, burst: u32, sources: u32, flows: u32) {
    let mut queue: FairQueue<Item> = FairQueue::new(QueueLimits::default());
    let mut now = Instant::now();
    let begin = Instant::now();
    let mut number = 0;
    for _ in 0..ROUNDS / burst {
        for _ in 0..burst {
            queue.push(now, key(number, sources, flows), 1_386, [1; 4]);
            number += 1;
        }
        while queue.pop(now).is_some() {}
        now += Duration::from_micros(10);
    }
    report(name, begin, number);
}

/// A standing backlog; `overload` pushes come to one pop.
fn backlog(name: &str, sources: u32, flows: u32, overload: u32) {
    let limits = QueueLimits {
        target: Duration::from_secs(60),
        ..QueueLimits::default()
    };
    let mut queue: FairQueue<Item> = FairQueue::new(limits);
    let mut now = Instant::now();
    for number in 0..400 {
        queue.push(now, key(number, sources, flows), 1_386, [1; 4]);
    }
    let begin = Instant::now();
    for number in 0..ROUNDS {
        queue.push(now, key(number, sources, flows), 1_386, [1; 4]);
        if number % overload == 0 {
            queue.pop(now);
            now += Duration::from_micros(10);
        }
    }
    report(name, begin, ROUNDS);
}

fn report(name: &str, begin: Instant, count: u32) {
    let nanos = begin.elapsed().as_nanos() as f64 / f64::from(count);
    println!("{nanos:7.1} ns  {name}");
}

fn main() {
    bursts("one at a time", 1, 1, 1);
    bursts("bursts of 8 of one flow", 8, 1, 1);
    bursts("bursts of 64 of one flow", 64, 1, 1);
    bursts("bursts of 64 of 10 flows", 64, 1, 10);
    bursts("bursts of 64 of 50 peers", 64, 50, 1);
    backlog("backlog, one flow", 1, 1, 1);
    backlog("backlog, 10 flows", 1, 10, 1);
    backlog("backlog, 50 peers with 4 flows", 50, 4, 1);
    backlog("overload 4x, one flow", 1, 1, 4);
    backlog("overload 4x, 50 peers with 4 flows", 50, 4, 4);
}
