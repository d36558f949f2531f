//! Invariants I1 to I4, I10 and I11 over thousands of evenings, and proof that
//! broken relays would be noticed.

use lanparty_sim::{Outcome, Plan, Sabotage, run};

/// Set to play one evening again.
const SEED: &str = "LANPARTY_SIM_SEED";
const SEEDS: u64 = 2_000;

fn seeds() -> std::ops::Range<u64> {
    match std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..SEEDS,
    }
}

/// Plays a share of the seeds, so that the test runner can use every core.
fn evenings(share: u64) {
    let mut total = Outcome::default();
    for seed in seeds().filter(|seed| seed % SHARES == share) {
        let plan = Plan {
            keyed: (seed / SHARES).is_multiple_of(KEYED_EVERY),
            ..Plan::default()
        };
        let outcome = run(seed, plan);
        assert!(
            outcome.violations.is_empty(),
            "{SEED}={seed}: {:#?}",
            outcome.violations
        );
        total.frames_sent += outcome.frames_sent;
        total.frames_received += outcome.frames_received;
        total.hostile_datagrams += outcome.hostile_datagrams;
        total.relay_restarts += outcome.relay_restarts;
    }
    if std::env::var_os(SEED).is_none() {
        // An evening in which nothing happens proves nothing.
        assert!(total.frames_received > 10_000, "{total:?}");
        assert!(total.hostile_datagrams > 10_000, "{total:?}");
        assert!(total.relay_restarts > 100, "{total:?}");
    }
}

const SHARES: u64 = 4;
/// In one of so many evenings rooms have keys, and the relay is an adversary:
/// threats A5 and A6.
const KEYED_EVERY: u64 = 4;

#[test]
fn the_invariants_hold_in_the_first_quarter_of_the_seeds() {
    evenings(0);
}

#[test]
fn the_invariants_hold_in_the_second_quarter_of_the_seeds() {
    evenings(1);
}

#[test]
fn the_invariants_hold_in_the_third_quarter_of_the_seeds() {
    evenings(2);
}

#[test]
fn the_invariants_hold_in_the_fourth_quarter_of_the_seeds() {
    evenings(3);
}

fn is_caught(sabotage: Sabotage, invariant: &str) {
    let caught = (0..200).find(|seed| {
        let plan = Plan {
            sabotage: Some(sabotage),
            ..Plan::default()
        };
        run(*seed, plan)
            .violations
            .iter()
            .any(|violation| violation.invariant == invariant)
    });
    assert!(
        caught.is_some(),
        "{sabotage:?} went unnoticed in 200 evenings"
    );
}

#[test]
fn a_relay_that_reflects_frames_is_caught() {
    is_caught(Sabotage::NoReflectionCheck, "I1");
}

#[test]
fn a_relay_that_lets_forged_peer_ids_through_is_caught() {
    is_caught(Sabotage::NoIdCheck, "I2");
}

#[test]
fn a_relay_that_lets_forged_mac_addresses_through_is_caught() {
    is_caught(Sabotage::NoSourceMacCheck, "I3");
}

#[test]
fn a_relay_that_loses_datagrams_without_counting_is_caught() {
    is_caught(Sabotage::UncountedDrop, "I11");
}

#[test]
fn the_same_seed_plays_the_same_evening() {
    let figures = |outcome: Outcome| {
        (
            outcome.frames_sent,
            outcome.frames_received,
            outcome.hostile_datagrams,
        )
    };
    assert_eq!(
        figures(run(7, Plan::default())),
        figures(run(7, Plan::default()))
    );
}
