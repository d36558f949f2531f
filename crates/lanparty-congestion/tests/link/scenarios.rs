//! Each demand on the controller, as a simulation.

use crate::path::{Line, MS, Nanos, SECOND};
use crate::sender::{Kind, Work};
use crate::simulation::Scenario;

pub fn bulk() -> Work {
    Work::Bulk(0, Nanos::MAX)
}

pub fn one(kind: Kind, forward: Line, back_delay: Nanos, time: Nanos) -> Scenario {
    Scenario::new(forward, back_delay, vec![(kind, bulk())], time)
}

/// Bytes that a buffer of this many milliseconds holds.
pub fn buffer(rate: f64, ms: f64) -> u64 {
    (rate / 8e3 * ms) as u64
}

#[test]
fn a_bulk_copy_fills_the_bottleneck_and_not_its_queue() {
    for rate in [10e6, 50e6, 100e6] {
        for seed in 1..=3 {
            let line = Line::new(rate, 20 * MS, buffer(rate, 100.0));
            let report = one(Kind::Ours, line, 20 * MS, 10 * SECOND)
                .seeded(seed)
                .run();
            let used = report.utilisation(2 * SECOND, 10 * SECOND);
            let late = report.queue_ms(0.99, 2 * SECOND, 10 * SECOND);
            assert!(used > 0.98, "{rate}: {used}");
            assert!(late < 5.0, "{rate}: {late}");
        }
    }
}
