//! Bad luck of every kind, with any seed.
//!
//! `SEEDS=100 cargo nextest run --release -p lanparty-congestion --run-ignored only sweep --no-capture`
//! prints the worst of so many of each kind; `FROM` is the first seed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::path::{Line, MS, SECOND};
use crate::scenarios::{buffer, one};
use crate::sender::Kind;
use crate::simulation::Scenario;

const LOSSES: [f64; 5] = [0.0, 0.01, 0.02, 0.05, 0.10];
const STALLS: [u64; 4] = [0, 5, 30, 100];
/// Of either host and of the line, together.
const STALLS_A_SECOND: f64 = 6.0;

#[derive(Clone, Copy, Debug)]
struct Luck {
    /// Of both directions.
    loss: f64,
    rtt_ms: u64,
    mbit: f64,
    /// The longest stall.
    stall_ms: u64,
    seed: u64,
}

impl Luck {
    fn scenario(self) -> Scenario {
        let rate = self.mbit * 1e6;
        let delay = self.rtt_ms * MS / 2;
        let mut line = Line::new(rate, delay, buffer(rate, 100.0));
        line.loss = self.loss;
        let mut scenario = one(Kind::Ours, line, delay, 7 * SECOND).seeded(self.seed);
        scenario.back.loss = self.loss;
        if self.stall_ms > 0 {
            scenario.stalls = STALLS_A_SECOND;
            scenario.stall = (MS, self.stall_ms * MS);
        }
        scenario
    }

    /// Goodput of four seconds, of what the path could have carried.
    fn kept(self) -> f64 {
        let report = self.scenario().run();
        report.goodput(0, 3 * SECOND, 7 * SECOND) / (self.mbit * 1e6 * (1.0 - self.loss))
    }
}

#[test]
fn no_luck_with_losses_leads_to_a_dead_end() {
    for (loss, least) in [(0.01, 0.9), (0.05, 0.8)] {
        for rtt_ms in [20, 40] {
            for mbit in [10.0, 50.0] {
                for stall_ms in [0, 5] {
                    for seed in 1..=16 {
                        let luck = Luck {
                            loss,
                            rtt_ms,
                            mbit,
                            stall_ms,
                            seed,
                        };
                        let kept = luck.kept();
                        assert!(kept > least, "{kept:.3} with {luck:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_stall_while_the_rate_is_looked_for_does_not_leave_it_low() {
    for loss in [0.0, 0.05] {
        for seed in 1..=8 {
            let luck = Luck {
                loss,
                rtt_ms: 100,
                mbit: 50.0,
                stall_ms: 30,
                seed,
            };
            let kept = luck.kept();
            assert!(kept > 0.6, "{kept:.3} with {luck:?}");
        }
    }
}

/// A full buffer once confirmed any rate, and each stall multiplied it.
#[test]
fn stalls_before_a_full_buffer_do_not_let_the_rate_run_away() {
    let luck = Luck {
        loss: 0.0,
        rtt_ms: 40,
        mbit: 300.0,
        stall_ms: 100,
        seed: 102,
    };
    let kept = luck.kept();
    assert!(kept > 0.5, "{kept:.3} with {luck:?}");
}

fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|it| it.parse().ok()).unwrap_or(otherwise)
}

fn cases() -> Vec<Luck> {
    let first = number("FROM", 1);
    let mut cases = Vec::new();
    for seed in first..first + number("SEEDS", 2) {
        for loss in LOSSES {
            for rtt_ms in [1, 20, 40, 100] {
                for mbit in [5.0, 10.0, 50.0, 300.0] {
                    for stall_ms in STALLS {
                        cases.push(Luck {
                            loss,
                            rtt_ms,
                            mbit,
                            stall_ms,
                            seed,
                        });
                    }
                }
            }
        }
    }
    cases
}

#[test]
#[ignore = "takes minutes and prints figures"]
fn sweep() {
    let cases = cases();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(luck) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let kept = luck.kept();
                    found.lock().expect("no panic").push((kept, *luck));
                }
            });
        }
    });
    let mut found = found.into_inner().expect("no panic");
    found.sort_by(|one, other| one.0.total_cmp(&other.0));
    for (kept, luck) in found.iter().take(20) {
        println!("{kept:.3} {luck:?}");
    }
    println!("| loss | stalls up to | worst | 1 % are below | median |");
    for loss in LOSSES {
        for stall_ms in STALLS {
            let of: Vec<_> = found
                .iter()
                .filter(|(_, luck)| luck.loss == loss && luck.stall_ms == stall_ms)
                .map(|(kept, _)| *kept)
                .collect();
            let at = |part: f64| of[((of.len() - 1) as f64 * part) as usize];
            println!(
                "| {} % | {stall_ms} ms | {:.3} | {:.3} | {:.3} |",
                100.0 * loss,
                at(0.0),
                at(0.01),
                at(0.5)
            );
        }
    }
}
