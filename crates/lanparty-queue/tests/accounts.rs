//! Whatever is done with the queue, its books balance.
#![expect(clippy::disallowed_methods, reason = "any moment will do as the start")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lanparty_queue::{FairQueue, FlowKey, Hint, QueueLimits};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Push { key: FlowKey, len: usize },
    Pop,
    Pass { millis: u64 },
}

fn key() -> impl Strategy<Value = FlowKey> {
    let hint = prop_oneof![Just(Hint::Normal), Just(Hint::Sparse), Just(Hint::Bulk)];
    (
        0..6_u16,
        prop_oneof![0..4_u16, 0..100_u16, any::<u16>()],
        hint,
    )
        .prop_map(|(source, tag, hint)| FlowKey {
            source,
            tag,
            hint,
            part_of: None,
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (key(), 0..2_000_usize).prop_map(|(key, len)| Step::Push { key, len }),
        5 => Just(Step::Pop),
        1 => (0..300_u64).prop_map(|millis| Step::Pass { millis }),
    ]
}

/// What must stay in order.
fn flow(key: FlowKey) -> (u16, u16) {
    (key.source, key.tag)
}

proptest! {
    #[test]
    fn nothing_is_lost_uncounted_nothing_overtakes_in_a_flow_and_the_bound_holds(
        steps in prop::collection::vec(step(), 1..600),
        bytes in 1_000..60_000_usize,
    ) {
        let limits = QueueLimits { bytes, ..QueueLimits::default() };
        let mut queue = FairQueue::new(limits);
        let mut now = Instant::now();
        let (mut pushed, mut popped) = (0_u64, 0_u64);
        let mut last_out: BTreeMap<(u16, u16), u64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Push { key, len } => {
                    pushed += 1;
                    let before = queue.drops().total();
                    let outcome = queue.push(now, key, len, (key, len, pushed));
                    prop_assert_eq!(queue.drops().total() - before, u64::from(outcome.dropped));
                }
                Step::Pop => {
                    let held = queue.len();
                    if let Some((key, _, number)) = queue.pop(now) {
                        popped += 1;
                        if let Some(previous) = last_out.insert(flow(key), number) {
                            prop_assert!(previous < number);
                        }
                    } else {
                        prop_assert_eq!(queue.len(), 0, "{} held before", held);
                    }
                }
                Step::Pass { millis } => now += Duration::from_millis(millis),
            }
            prop_assert!(queue.bytes() <= bytes);
            prop_assert_eq!(queue.bytes() == 0, queue.is_empty());
            prop_assert_eq!(pushed, popped + queue.drops().total() + queue.len() as u64);
        }
        while queue.pop(now).is_some() {
            popped += 1;
        }
        prop_assert_eq!(queue.bytes(), 0);
        prop_assert_eq!(pushed, popped + queue.drops().total());
    }
}
