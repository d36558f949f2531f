//! Budgets and the table of LAN addresses.

use std::time::{Duration, Instant};

use lanparty_l2::Spread;
use lanparty_l2::buckets::{
    BucketLimits, LAN_FLOOD_DEFAULT, LanFloodBudget, PeerBuckets, Rate, TokenBucket,
};
use lanparty_l2::mac_table::{AGEING, CAPACITY, MacTable};
use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;
use lanparty_proto::overlay::FrameCount;
use proptest::prelude::*;

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    Instant::now()
}

#[test]
fn a_bucket_gives_its_burst_and_then_its_rate() {
    let now = start();
    let mut bucket = TokenBucket::new(Rate::new(10, 3), now);
    let taken = (0..5).filter(|_| bucket.take(1, now)).count();
    assert_eq!(taken, 3);
    assert!(!bucket.take(1, now + Duration::from_millis(99)));
    assert!(bucket.take(1, now + Duration::from_millis(100)));
    assert!(!bucket.take(1, now + Duration::from_millis(100)));
    let later = now + Duration::from_secs(3_600);
    assert!(!bucket.take(4, later), "never more than the burst");
    assert!(bucket.take(3, later));
}

#[test]
fn a_clock_that_stands_or_steps_back_gives_nothing() {
    let now = start() + Duration::from_secs(10);
    let mut bucket = TokenBucket::new(Rate::new(1_000, 1), now);
    assert!(bucket.take(1, now));
    assert!(!bucket.take(1, now - Duration::from_secs(5)));
    assert!(!bucket.take(1, now));
    assert!(bucket.take(1, now + Duration::from_millis(1)));
}

proptest! {
    #[test]
    fn no_split_of_time_gains_or_loses_a_token(
        rate in 1_u64..2_000_000_000,
        steps in proptest::collection::vec(1_u64..50_000_000, 1..50),
    ) {
        let now = start();
        let rate = Rate::new(rate, u64::MAX);
        let mut fine = TokenBucket::new(rate, now);
        let mut coarse = fine.clone();
        assert!(fine.take(u64::MAX, now) && coarse.take(u64::MAX, now));
        let mut at = now;
        for step in steps {
            at += Duration::from_nanos(step);
            fine.take(0, at);
        }
        let elapsed = (at - now).as_nanos();
        let earned = u64::try_from(elapsed * u128::from(rate.per_second) / 1_000_000_000).unwrap();
        for mut bucket in [fine, coarse] {
            prop_assert!(bucket.has(earned, at));
            prop_assert!(!bucket.has(earned + 1, at));
        }
    }

    #[test]
    fn the_mac_table_never_exceeds_its_capacity(
        seen in proptest::collection::vec((any::<u16>(), 0_u64..2_000), 0..3_000),
    ) {
        let mut table = MacTable::new();
        let mut now = start();
        for (host, pause) in seen {
            now += Duration::from_millis(pause);
            let [a, b] = host.to_be_bytes();
            let mac = MacAddr([0, 1, 2, 3, a, b]);
            table.learn(mac, now);
            prop_assert!(table.contains(mac, now));
            prop_assert!(table.len() <= CAPACITY);
        }
    }
}

fn small_limits() -> BucketLimits {
    BucketLimits {
        flood: Rate::new(1, 2),
        membership: Rate::new(1, 3),
        dhcp: Rate::new(1, 1),
        unknown_unicast: Rate::new(1, 2),
        bytes: Rate::new(100, 10_000),
    }
}

#[test]
fn each_budget_is_its_own() {
    let now = start();
    let mut buckets = PeerBuckets::new(&small_limits(), now);
    let mut send = |spread, unknown| buckets.admit(spread, FrameCount::ONE, 100, unknown, now);
    let flooded = Err(DropReason::FloodLimited);
    for _ in 0..3 {
        assert_eq!(send(Spread::Membership, false), Ok(()));
    }
    assert_eq!(send(Spread::Membership, false), flooded);
    assert_eq!(send(Spread::Dhcp, false), Ok(()));
    assert_eq!(send(Spread::Dhcp, false), flooded, "one request");
    assert_eq!(send(Spread::Flood, false), Ok(()));
    assert_eq!(send(Spread::Flood, false), flooded, "DHCP floods too");
    assert_eq!(send(Spread::Unicast, true), Ok(()));
    assert_eq!(send(Spread::Unicast, true), Ok(()));
    let unknown = Err(DropReason::UnknownUnicastLimited);
    assert_eq!(send(Spread::Unicast, true), unknown);
    assert_eq!(send(Spread::Unicast, false), Ok(()));
}

#[test]
fn frames_that_travel_together_are_charged_one_by_one() {
    let now = start();
    let mut buckets = PeerBuckets::new(&small_limits(), now);
    let two = FrameCount::ONE.next().unwrap();
    let three = two.next().unwrap();
    let mut send = |spread, frames, unknown| buckets.admit(spread, frames, 100, unknown, now);
    let flooded = Err(DropReason::FloodLimited);
    assert_eq!(send(Spread::Flood, three, false), flooded, "all or none");
    assert_eq!(send(Spread::Flood, two, false), Ok(()));
    assert_eq!(send(Spread::Flood, FrameCount::ONE, false), flooded);
    assert_eq!(send(Spread::Unicast, two, true), Ok(()));
    let unknown = Err(DropReason::UnknownUnicastLimited);
    assert_eq!(send(Spread::Unicast, FrameCount::ONE, true), unknown);
}

#[test]
fn every_byte_counts_and_a_refused_frame_costs_nothing() {
    let now = start();
    let mut buckets = PeerBuckets::new(&small_limits(), now);
    for _ in 0..50 {
        let _ = buckets.admit(Spread::Flood, FrameCount::ONE, 1_000, false, now);
    }
    // Two floods passed and paid; 48 did not.
    for _ in 0..8 {
        assert_eq!(
            buckets.admit(Spread::Unicast, FrameCount::ONE, 1_000, false, now),
            Ok(())
        );
    }
    assert_eq!(
        buckets.admit(Spread::Unicast, FrameCount::ONE, 1, false, now),
        Err(DropReason::BandwidthLimited)
    );
}

#[test]
fn a_storm_on_the_lan_is_cut_to_its_budget_and_unicast_is_not() {
    let now = start();
    let mut budget = LanFloodBudget::new(LAN_FLOOD_DEFAULT, now);
    let passed = (0..100_000)
        .filter(|_| budget.admit(Spread::Flood, now).is_ok())
        .count();
    assert_eq!(passed, 2_000);
    assert_eq!(budget.admit(Spread::Unicast, now), Ok(()));
}

#[test]
fn lan_addresses_age_and_the_longest_unseen_goes_first() {
    let now = start();
    let mac = |n: usize| {
        let [.., a, b] = n.to_be_bytes();
        MacAddr([0, 1, 2, 3, a, b])
    };
    let mut table = MacTable::new();
    for n in 0..CAPACITY {
        table.learn(
            mac(n),
            now + Duration::from_millis(u64::try_from(n).unwrap()),
        );
    }
    let later = now + Duration::from_secs(10);
    table.learn(mac(0), later);
    table.learn(mac(CAPACITY), later);
    assert!(table.contains(mac(0), later), "seen again");
    assert!(!table.contains(mac(1), later), "unseen for longest");
    assert!(!table.contains(mac(2), now + AGEING + Duration::from_secs(1)));
    table.learn(MacAddr::BROADCAST, later);
    assert!(!table.contains(MacAddr::BROADCAST, later));
}
