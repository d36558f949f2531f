//! Prints the table of the decision record:
//! `cargo nextest run -p lanparty-congestion --run-ignored only --no-capture`.
//! `KIND` is ours, rtt or cubic, `ONLY` a part of a scenario's name, `SEED` a
//! number.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use crate::path::{Line, MS, SECOND};
use crate::scenarios::{buffer, bulk, one};
use crate::sender::{Kind, Work};
use crate::simulation::Scenario;

const RATES: [f64; 5] = [2e6, 10e6, 50e6, 100e6, 1e9];

fn row(name: &str, scenario: Scenario, from: u64) {
    if std::env::var("ONLY").is_ok_and(|only| !name.contains(&only)) {
        return;
    }
    let to = scenario.time;
    let kind = scenario.flows[0].0;
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let scenario = scenario.seeded(seed.unwrap_or(1));
    let report = scenario.run();
    let startup = report.queue_ms(1.0, 0, SECOND);
    println!(
        "| {name} | {kind:?} | {:5.1} % | {:6.1} | {:6.1} | {:6.1} | {:5.1} % | {:4.1} % | {} |",
        100.0 * report.utilisation(from, to),
        report.queue_ms(0.5, from, to),
        report.queue_ms(0.99, from, to),
        startup,
        100.0 * report.share(0, from, to),
        100.0 * report.loss(0),
        report.flows[0].competing,
    );
}

#[test]
#[ignore = "prints figures"]
fn table() {
    println!(
        "| scenario | controller | used | p50 ms | p99 ms | start ms | share | loss | competing ms |"
    );
    for kind in kinds() {
        for rate in RATES {
            for delay in [2, 20, 60] {
                let line = Line::new(rate, delay * MS, buffer(rate, 100.0));
                row(
                    &format!("{} Mbit/s, {} ms", rate / 1e6, 2 * delay),
                    one(kind, line, delay * MS, 8 * SECOND),
                    2 * SECOND,
                );
            }
        }
        let rate = 50e6;
        let base = Line::new(rate, 20 * MS, buffer(rate, 100.0));
        for loss in [0.01, 0.05] {
            let mut line = base.clone();
            line.loss = loss;
            row(
                &format!("loss {loss}"),
                one(kind, line, 20 * MS, 10 * SECOND),
                2 * SECOND,
            );
        }
        let mut line = base.clone();
        line.buffer = 4_000_000;
        line.policer = Some((rate, 30_000.0));
        line.rates = vec![(0, 1e9)];
        row(
            "policer 50",
            one(kind, line, 20 * MS, 10 * SECOND),
            2 * SECOND,
        );
        for buffer_ms in [1.0, 5.0, 20.0] {
            let line = Line::new(rate, 20 * MS, buffer(rate, buffer_ms));
            row(
                &format!("buffer {buffer_ms} ms"),
                one(kind, line, 20 * MS, 10 * SECOND),
                2 * SECOND,
            );
        }
        for jitter in [1, 5] {
            for reorders in [false, true] {
                let mut line = base.clone();
                line.jitter = jitter * MS;
                line.reorders = reorders;
                row(
                    &format!("jitter {jitter} {reorders}"),
                    one(kind, line, 20 * MS, 10 * SECOND),
                    2 * SECOND,
                );
            }
        }
        for buffer_ms in [40.0, 100.0] {
            let line = Line::new(rate, 20 * MS, buffer(rate, buffer_ms));
            for (start, name) in [(0, "together"), (3, "late rival"), (-3, "late we")] {
                let ours = Work::Bulk((-start).max(0) as u64 * SECOND, 100 * SECOND);
                let theirs = Work::Bulk(start.max(0) as u64 * SECOND, 100 * SECOND);
                row(
                    &format!("against Cubic, {buffer_ms} ms, {name}"),
                    Scenario::new(
                        line.clone(),
                        20 * MS,
                        vec![(kind, ours), (Kind::Cubic, theirs)],
                        40 * SECOND,
                    ),
                    10 * SECOND,
                );
            }
            row(
                &format!("Cubic left at 20 s, {buffer_ms} ms"),
                Scenario::new(
                    line.clone(),
                    20 * MS,
                    vec![(kind, bulk()), (Kind::Cubic, Work::Bulk(0, 20 * SECOND))],
                    40 * SECOND,
                ),
                25 * SECOND,
            );
        }
        for (start, from) in [(0, 5), (5, 10)] {
            row(
                &format!("two of a kind, second at {start}"),
                Scenario::new(
                    base.clone(),
                    20 * MS,
                    vec![
                        (kind, bulk()),
                        (kind, Work::Bulk(start * SECOND, 100 * SECOND)),
                    ],
                    20 * SECOND,
                ),
                from * SECOND,
            );
        }
        let mut line = base.clone();
        line.rates = vec![(0, 50e6), (5 * SECOND, 10e6)];
        row(
            "50 to 10, after 1 s",
            one(kind, line.clone(), 20 * MS, 10 * SECOND),
            6 * SECOND,
        );
        line.rates = vec![(0, 10e6), (5 * SECOND, 50e6)];
        row(
            "10 to 50, after 1 s",
            one(kind, line, 20 * MS, 10 * SECOND),
            6 * SECOND,
        );
        let mut line = base.clone();
        line.outages = vec![(5 * SECOND, 5 * SECOND + 20 * MS)];
        row(
            "burst drop",
            one(kind, line.clone(), 20 * MS, 6 * SECOND),
            5 * SECOND,
        );
        line.outages = vec![(5 * SECOND, 6 * SECOND)];
        row(
            "1 s outage, from the next second",
            one(kind, line, 20 * MS, 9 * SECOND),
            7 * SECOND,
        );
        let mut line = base.clone();
        line.delays = vec![(0, 20 * MS), (5 * SECOND, 60 * MS)];
        row(
            "longer way, after 1 s",
            one(kind, line, 20 * MS, 10 * SECOND),
            6 * SECOND,
        );
        let mut scenario = one(kind, base.clone(), 20 * MS, 10 * SECOND);
        scenario.back = Line::new(10e6, 20 * MS, buffer(10e6, 100.0));
        scenario.back_traffic = Some((10.2e6, SECOND));
        row("full way back", scenario, 4 * SECOND);
        for ppm in [100.0, -100.0] {
            let mut scenario = one(kind, base.clone(), 20 * MS, 20 * SECOND);
            scenario.drift_ppm = ppm;
            row(&format!("drift {ppm}"), scenario, 4 * SECOND);
        }
        for step in [500_000, -500_000] {
            let mut scenario = one(kind, base.clone(), 20 * MS, 10 * SECOND);
            scenario.clock_step = Some((5 * SECOND, step));
            row(&format!("clock step {step}"), scenario, 5 * SECOND);
        }
        let scenario = Scenario::new(
            base.clone(),
            20 * MS,
            vec![(kind, Work::TrickleThenBulk(0.3e6, 5 * SECOND))],
            6 * SECOND,
        );
        row("trickle, then bulk: its first second", scenario, 5 * SECOND);
        for stalls in [0.0, 30.0, 100.0] {
            let line = Line::new(3e9, MS / 10, 4_000_000);
            let mut scenario = one(kind, line, MS / 10, 2 * SECOND);
            scenario.stalls = stalls;
            row(&format!("3 Gbit/s, {stalls} stalls"), scenario, SECOND / 2);
        }
        println!();
    }
}

fn kinds() -> Vec<Kind> {
    match std::env::var("KIND").as_deref() {
        Ok("ours") => vec![Kind::Ours],
        Ok("rtt") => vec![Kind::OursByRoundTrip],
        Ok("cubic") => vec![Kind::Cubic],
        _ => vec![Kind::Ours, Kind::OursByRoundTrip, Kind::Cubic],
    }
}
