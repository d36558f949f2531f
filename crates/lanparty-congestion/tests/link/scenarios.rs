//! Each demand on the controller, as a simulation.

use crate::path::{Line, MS, Nanos, SECOND};
use crate::report::Report;
use crate::sender::{Kind, Work};
use crate::simulation::Scenario;

const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;
const OURS: [Kind; 2] = [Kind::Ours, Kind::OursByRoundTrip];

pub(crate) fn bulk() -> Work {
    Work::Bulk(0, Nanos::MAX)
}

pub(crate) fn one(kind: Kind, forward: Line, back_delay: Nanos, time: Nanos) -> Scenario {
    Scenario::new(forward, back_delay, vec![(kind, bulk())], time)
}

/// Bytes that a buffer of this many milliseconds holds.
pub(crate) fn buffer(rate: f64, ms: f64) -> u64 {
    (rate / 8e3 * ms) as u64
}

/// A home's uplink with the relay 40 ms away and a buffer of 100 ms.
fn home(rate: f64) -> Line {
    Line::new(rate, 20 * MS, buffer(rate, 100.0))
}

fn alone(forward: Line, time: Nanos) -> Scenario {
    one(Kind::Ours, forward, 20 * MS, time)
}

/// Ours against Cubic, each beginning then; the report of a minute.
fn beside_cubic(buffer_ms: f64, ours: Nanos, theirs: Nanos, seed: u64) -> Report {
    let line = Line::new(50e6, 20 * MS, buffer(50e6, buffer_ms));
    let flows = vec![
        (Kind::Ours, Work::Bulk(ours, Nanos::MAX)),
        (Kind::Cubic, Work::Bulk(theirs, Nanos::MAX)),
    ];
    Scenario::new(line, 20 * MS, flows, 60 * SECOND)
        .seeded(seed)
        .run()
}

#[track_caller]
fn is_full_with_a_short_queue(report: &Report, from: Nanos, used: f64, late_ms: f64) {
    let got = report.utilisation(from, report.time);
    let late = report.queue_ms(0.99, from, report.time);
    assert!(got > used, "used {got}");
    assert!(late < late_ms, "queue {late} ms");
}

#[test]
fn a_bulk_copy_fills_the_bottleneck_and_not_its_queue() {
    for rate in [10e6, 50e6, 100e6, 1e9] {
        for seed in SEEDS {
            let report = alone(home(rate), 6 * SECOND).seeded(seed).run();
            is_full_with_a_short_queue(&report, 2 * SECOND, 0.98, 5.0);
        }
    }
}

#[test]
fn a_queue_is_as_short_where_the_peer_tells_no_times() {
    for rate in [10e6, 50e6, 100e6] {
        let scenario = one(Kind::OursByRoundTrip, home(rate), 20 * MS, 6 * SECOND);
        is_full_with_a_short_queue(&scenario.run(), 2 * SECOND, 0.97, 12.0);
    }
}

#[test]
fn a_near_and_a_far_relay_are_served_alike() {
    for delay in [2, 60] {
        for rate in [10e6, 50e6] {
            let line = Line::new(rate, delay * MS, buffer(rate, 100.0));
            let report = one(Kind::Ours, line, delay * MS, 8 * SECOND).run();
            is_full_with_a_short_queue(&report, 3 * SECOND, 0.98, 9.0);
        }
    }
}

#[test]
fn start_up_finds_the_rate_within_a_second_and_overshoots_by_a_round_trip_at_most() {
    for rate in [10e6, 50e6, 100e6] {
        for seed in SEEDS {
            let report = alone(home(rate), 2 * SECOND).seeded(seed).run();
            let overshoot = report.queue_ms(1.0, 0, 2 * SECOND);
            assert!(overshoot < 42.0, "{rate}: {overshoot} ms");
            assert!(report.utilisation(SECOND, 2 * SECOND) > 0.97);
        }
    }
}

#[test]
fn random_loss_takes_what_it_loses_and_little_more() {
    for (loss, least) in [(0.01, 0.95), (0.05, 0.85)] {
        for kind in OURS {
            for seed in SEEDS {
                let mut line = home(50e6);
                line.loss = loss;
                let report = one(kind, line, 20 * MS, 8 * SECOND).seeded(seed).run();
                let got = report.utilisation(2 * SECOND, 8 * SECOND);
                assert!(got > least, "{kind:?} at {loss}: {got}");
            }
        }
    }
}

#[test]
fn a_dropped_burst_costs_what_was_dropped() {
    for gone in [5, 20, 60] {
        let mut line = home(50e6);
        line.outages = vec![(3 * SECOND, 3 * SECOND + gone * MS)];
        let report = alone(line, 5 * SECOND).run();
        let got = report.utilisation(3 * SECOND, 4 * SECOND);
        let possible = 1.0 - gone as f64 / 1e3;
        assert!(got > possible - 0.10, "{gone} ms: {got}");
    }
}

#[test]
fn after_a_black_out_the_rate_is_back_within_a_second() {
    for gone in [200, 1_000, 3_000] {
        let mut line = home(50e6);
        let end = 3 * SECOND + gone * MS;
        line.outages = vec![(3 * SECOND, end)];
        let report = alone(line, end + 3 * SECOND).run();
        let got = report.utilisation(end + SECOND, end + 2 * SECOND);
        assert!(got > 0.9, "{gone} ms: {got}");
    }
}

#[test]
fn a_hole_that_lets_little_through_is_left_behind_at_once() {
    let mut line = home(50e6);
    line.holes = vec![(3 * SECOND, 3 * SECOND + 600 * MS, 0.95)];
    let report = alone(line, 7 * SECOND).run();
    let got = report.utilisation(4_600 * MS, 6 * SECOND);
    assert!(got > 0.9, "{got}");
}

#[test]
fn a_policer_is_not_overrun_for_long() {
    let mut line = home(1e9);
    line.policer = Some((50e6, 30_000.0));
    let report = alone(line, 10 * SECOND).run();
    let got = report.goodput(0, 2 * SECOND, 10 * SECOND);
    assert!(got > 0.95 * 50e6, "{got}");
    assert!(report.loss(0) < 0.10, "{}", report.loss(0));
}

#[test]
fn a_link_that_gets_slower_is_followed_within_a_second() {
    let mut line = home(50e6);
    line.rates = vec![(0, 50e6), (3 * SECOND, 10e6)];
    let report = alone(line, 8 * SECOND).run();
    is_full_with_a_short_queue(&report, 4 * SECOND, 0.98, 6.0);
}

#[test]
fn a_link_that_gets_faster_is_filled_within_two_seconds() {
    let mut line = home(10e6);
    line.rates = vec![(0, 10e6), (3 * SECOND, 50e6)];
    let report = alone(line, 8 * SECOND).run();
    is_full_with_a_short_queue(&report, 5 * SECOND, 0.98, 5.0);
}

#[test]
fn a_longer_way_is_not_taken_for_a_queue() {
    for delay in [40, 60] {
        let mut line = home(50e6);
        line.delays = vec![(0, 20 * MS), (3 * SECOND, delay * MS)];
        let report = alone(line, 8 * SECOND).run();
        is_full_with_a_short_queue(&report, 5 * SECOND, 0.95, 13.0);
    }
}

#[test]
fn jitter_and_reordering_cost_no_rate() {
    for jitter in [1, 5] {
        for reorders in [false, true] {
            for seed in SEEDS {
                let mut line = home(50e6);
                line.jitter = jitter * MS;
                line.reorders = reorders;
                let report = alone(line, 8 * SECOND).seeded(seed).run();
                is_full_with_a_short_queue(&report, 3 * SECOND, 0.97, 10.0);
            }
        }
    }
}

#[test]
fn beside_cubic_each_gets_about_a_half() {
    for buffer_ms in [40.0, 100.0] {
        for (ours, theirs) in [(0, 0), (0, 3 * SECOND), (3 * SECOND, 0)] {
            let shares: Vec<_> = SEEDS
                .map(|seed| {
                    beside_cubic(buffer_ms, ours, theirs, seed).share(0, 15 * SECOND, 60 * SECOND)
                })
                .collect();
            let mean = shares.iter().sum::<f64>() / shares.len() as f64;
            assert!((0.35..0.65).contains(&mean), "{buffer_ms}: {shares:?}");
        }
    }
}

#[test]
fn when_cubic_leaves_the_queue_is_short_again() {
    for buffer_ms in [40.0, 100.0] {
        for seed in SEEDS {
            let line = Line::new(50e6, 20 * MS, buffer(50e6, buffer_ms));
            let flows = vec![
                (Kind::Ours, bulk()),
                (Kind::Cubic, Work::Bulk(0, 15 * SECOND)),
            ];
            let report = Scenario::new(line, 20 * MS, flows, 25 * SECOND)
                .seeded(seed)
                .run();
            is_full_with_a_short_queue(&report, 20 * SECOND, 0.98, 5.0);
        }
    }
}

#[test]
fn two_of_ours_share_and_keep_the_queue_short() {
    for start in [0, 5] {
        for seed in SEEDS {
            let flows = vec![
                (Kind::Ours, bulk()),
                (Kind::Ours, Work::Bulk(start * SECOND, Nanos::MAX)),
            ];
            let report = Scenario::new(home(50e6), 20 * MS, flows, 25 * SECOND)
                .seeded(seed)
                .run();
            let from = 12 * SECOND;
            let share = report.share(0, from, report.time);
            assert!((0.3..0.7).contains(&share), "from {start} s: {share}");
            is_full_with_a_short_queue(&report, from, 0.98, 8.0);
        }
    }
}

#[test]
fn a_full_way_back_does_not_matter() {
    let mut scenario = alone(home(50e6), 8 * SECOND);
    scenario.back = Line::new(10e6, 20 * MS, buffer(10e6, 100.0));
    scenario.back_traffic = Some((10.2e6, SECOND));
    is_full_with_a_short_queue(&scenario.run(), 4 * SECOND, 0.97, 8.0);
}

#[test]
fn a_clock_that_drifts_is_survived() {
    for ppm in [100.0, -100.0] {
        let mut scenario = alone(home(50e6), 30 * SECOND);
        scenario.drift_ppm = ppm;
        is_full_with_a_short_queue(&scenario.run(), 3 * SECOND, 0.97, 5.0);
    }
}

#[test]
fn a_clock_that_is_set_is_survived() {
    for step in [500_000, -500_000, 40_000, -40_000] {
        let mut scenario = alone(home(50e6), 8 * SECOND);
        scenario.clock_step = Some((3 * SECOND, step));
        is_full_with_a_short_queue(&scenario.run(), 3 * SECOND, 0.95, 25.0);
    }
}

#[test]
fn a_trickle_does_not_make_the_copy_after_it_slow() {
    let flows = vec![(Kind::Ours, Work::TrickleThenBulk(0.3e6, 3 * SECOND))];
    let report = Scenario::new(home(50e6), 20 * MS, flows, 5 * SECOND).run();
    assert!(report.utilisation(3 * SECOND, 4 * SECOND) > 0.8);
    let idle = report.queue_ms(1.0, 0, 3 * SECOND);
    assert!(idle < 1.0, "{idle}");
}

#[test]
fn a_fast_path_with_stalling_hosts_is_not_throttled() {
    for (stalls, part) in [(0.0, 0.97), (30.0, 0.9)] {
        for seed in SEEDS {
            let run = |kind| {
                let line = Line::new(3e9, MS / 10, 4_000_000);
                let mut scenario = one(kind, line, MS / 10, 2 * SECOND).seeded(seed);
                scenario.stalls = stalls;
                scenario.run().utilisation(SECOND / 2, 2 * SECOND)
            };
            let (ours, cubic) = (run(Kind::Ours), run(Kind::Cubic));
            assert!(ours > part * cubic.min(1.0), "{ours} and Cubic {cubic}");
        }
    }
}

#[test]
fn a_buffer_that_start_up_fills_on_a_short_path_is_no_rivals_queue() {
    for rate in [1e9, 3e9] {
        for buffer_ms in [10.0, 30.0] {
            for seed in 1..=4 {
                let line = Line::new(rate, MS / 10, buffer(rate, buffer_ms));
                let scenario = one(Kind::Ours, line, MS / 10, 2 * SECOND).seeded(seed);
                let report = scenario.run();
                let competing = report.flows[0].competing;
                assert_eq!(competing, 0, "{rate}, {buffer_ms} ms");
                let queue = report.queue_ms(0.5, SECOND / 2, report.time);
                assert!(queue < 3.0, "{rate}, {buffer_ms} ms: {queue} ms");
            }
        }
    }
}

#[test]
fn a_shallow_buffer_is_learnt_within_a_second() {
    for rate in [1e8, 1e9] {
        for rtt_us in [200, 2_000, 10_000] {
            for buffer_ms in [0.5, 1.0, 2.0, 5.0] {
                let way = rtt_us * MS / 2_000;
                let line = Line::new(rate, way, buffer(rate, buffer_ms));
                let report = one(Kind::Ours, line, way, 5 * SECOND).run();
                let used = report.utilisation(SECOND, report.time);
                let lost = report.loss(0);
                let name = format!("{rate}, {rtt_us} us, {buffer_ms} ms");
                assert!(used > 0.95, "{name}: {used}");
                assert!(lost < 0.14, "{name}: {lost} lost");
            }
        }
    }
}
