//! What our congestion control makes of a slow line, through the real QUIC on
//! both sides, in virtual time.

use std::time::Duration;

use super::line::{Line, Outcome, World};
use crate::Congestion;

const MS: Duration = Duration::from_millis(1);

/// Bulk and a sparse flow from the client over a line as given, after a second
/// and a half of start-up, for four seconds.
fn bulk(congestion: Congestion, up: Line) -> Outcome {
    let mut world = World::new(up, Line::fast(up.delay), &[congestion]);
    world.start_bulk(0);
    world.start_sparse();
    world.run(Duration::from_millis(1_500));
    world.measure_from_here();
    world.run(Duration::from_secs(4));
    world.outcome()
}

#[test]
#[ignore = "prints a table"]
fn figures_of_all_controllers() {
    println!(
        "| line | controller | use | goodput | wait p50 | wait p99 | sparse p99 | lost | rate |"
    );
    for (mbit, delay, loss) in [
        (10.0, 10, 0),
        (50.0, 5, 0),
        (50.0, 20, 0),
        (100.0, 10, 0),
        (300.0, 5, 0),
        (50.0, 20, 10_000),
        (50.0, 20, 50_000),
    ] {
        for congestion in Congestion::ALL {
            let line = Line {
                loss,
                ..Line::slow(mbit, MS * delay)
            };
            let outcome = bulk(congestion, line);
            println!(
                "| {mbit} Mbit/s, {} ms, {} % | {congestion} | {:.1} % | {:.1} % | {:.1?} | {:.1?} | {:.1?} of {} | {} | {:?} {:?} |",
                2 * delay,
                f64::from(loss) / 1e4,
                outcome.use_of_line * 100.0,
                outcome.goodput * 100.0,
                outcome.wait_p50,
                outcome.wait_p99,
                outcome.sparse_p99,
                outcome.sparse_count,
                outcome.dropped,
                outcome.stats.rate,
                outcome.stats.regulation,
            );
        }
    }
}

#[test]
fn a_copy_uses_the_whole_line_and_nothing_waits_long() {
    for (mbit, delay) in [(10.0, 10), (50.0, 20)] {
        let outcome = bulk(Congestion::Delay, Line::slow(mbit, MS * delay));
        let told = format!("{mbit} Mbit/s: {outcome:?}");
        assert!(outcome.use_of_line > 0.95, "{told}");
        assert!(outcome.wait_p99 < MS * 10, "{told}");
        assert!(outcome.sparse_p99 < MS * 15, "{told}");
        assert!(outcome.sparse_count > 200, "{told}");
    }
}

#[test]
fn a_line_that_loses_at_random_still_carries_most_of_what_it_can() {
    for (loss, least) in [(10_000, 0.80), (50_000, 0.50)] {
        let line = Line {
            loss,
            ..Line::slow(50.0, MS * 20)
        };
        let outcome = bulk(Congestion::Delay, line);
        assert!(outcome.goodput > least, "{outcome:?}");
    }
}

#[test]
fn a_line_that_reorders_is_not_taken_for_a_full_one() {
    let line = Line {
        jitter: MS * 5,
        ..Line::slow(50.0, MS * 20)
    };
    let outcome = bulk(Congestion::Delay, line);
    assert_eq!(outcome.dropped, 0, "{outcome:?}");
    assert!(outcome.stats.packets_lost < 10, "{outcome:?}");
    assert!(outcome.goodput > 0.85, "{outcome:?}");
}

/// What arrives in a second, of what the line carries.
fn second(world: &mut World) -> f64 {
    world.measure_from_here();
    world.run(Duration::from_secs(1));
    world.outcome().goodput
}

#[test]
fn a_false_alarm_about_the_mtu_costs_at_most_a_second() {
    let line = Line::slow(50.0, MS * 20);
    let mut world = World::new(line, Line::fast(line.delay), &[Congestion::Delay]);
    let whole = world.stats().mtu;
    world.cut_in_halves();
    world.start_bulk(0);
    world.run(Duration::from_secs(2));
    let before = second(&mut world);

    // Nothing longer than QUIC's least gets through, until the alarm.
    world.set_path_mtu(1_200);
    while world.stats().black_holes == 0 {
        world.run(MS);
    }
    world.set_path_mtu(usize::MAX);
    assert_eq!(world.stats().mtu, 1_200);
    let during = second(&mut world);
    assert_eq!(world.stats().mtu, whole);
    let after = second(&mut world);
    assert!(during > before / 4.0, "{before} {during} {after}");
    assert!(after > before * 0.9, "{before} {during} {after}");
}

/// Part of the line that ours has beside a copy under Cubic.
fn share_beside_cubic() -> f64 {
    let line = Line::slow(50.0, MS * 20);
    let clients = [Congestion::Delay, Congestion::Cubic];
    let mut world = World::new(line, Line::fast(line.delay), &clients);
    world.cut_in_halves();
    world.start_bulk(0);
    world.run(Duration::from_secs(2));
    world.start_bulk(1);
    // Cubic comes out of its start far ahead, and both need some of its sawteeth.
    world.run(Duration::from_secs(10));
    world.measure_from_here();
    world.run(Duration::from_secs(30));
    let outcome = world.outcome();
    assert!(outcome.use_of_line > 0.95, "{outcome:?}");

    // And the queue is short again once the other has ended.
    world.stop_bulk(1);
    world.run(Duration::from_secs(8));
    world.measure_from_here();
    world.run(Duration::from_secs(2));
    let after = world.outcome();
    assert!(after.wait_p50 < MS * 10, "{after:?}");
    assert!(after.use_of_line > 0.95, "{after:?}");
    outcome.shares[0]
}

#[test]
fn beside_a_copy_under_cubic_ours_gets_a_fair_part() {
    // Which of them loses a packet when the line is full is chance: one in
    // some 60 half minutes gave 0.33, and 0.46 is usual.
    let shares = [(); 3].map(|()| share_beside_cubic());
    let mean = shares.iter().sum::<f64>() / 3.0;
    assert!((0.35..0.65).contains(&mean), "{shares:?}");
}

#[test]
fn a_flood_that_never_waits_here_does_not_fill_the_lines_queue() {
    // 16 Mbit/s are tried at first, and 12.5 offered to a line of 10.
    let line = Line::slow(10.0, MS * 10);
    let mut world = World::new(line, Line::fast(line.delay), &[Congestion::Delay]);
    world.start_flood(Duration::from_micros(768));
    world.run(Duration::from_secs(2));
    world.measure_from_here();
    world.run(Duration::from_secs(4));
    let outcome = world.outcome();
    assert!(outcome.wait_p99 < MS * 20, "{outcome:?}");
    assert!(outcome.use_of_line > 0.95, "{outcome:?}");
}

#[test]
fn a_burst_that_is_dropped_is_soon_forgotten() {
    let line = Line::slow(50.0, MS * 20);
    let mut world = World::new(line, Line::fast(line.delay), &[Congestion::Delay]);
    world.start_bulk(0);
    world.run(Duration::from_secs(2));
    let before = second(&mut world);
    world.lose_next(100);
    let during = second(&mut world);
    let after = second(&mut world);
    assert_eq!(world.stats().black_holes, 0);
    assert!(during > before * 0.7, "{before} {during} {after}");
    assert!(after > before * 0.95, "{before} {during} {after}");
}

#[test]
fn a_connection_that_has_nothing_to_send_is_left_alone() {
    let line = Line::slow(50.0, MS * 20);
    let mut world = World::new(line, Line::fast(line.delay), &[Congestion::Delay]);
    world.start_bulk(0);
    world.run(Duration::from_secs(1));
    world.stop_bulk(0);
    world.run(Duration::from_secs(2));
    // A keep-alive each ten seconds, with its acknowledgement, seen from both
    // sides and by the line.
    assert!(world.run_counted(Duration::from_secs(60)) < 200);
}
