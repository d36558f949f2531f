//! What one member can make the relay do to the others.

use std::time::Duration;

use lanparty_ctrl::CloseCode;
use lanparty_l2::buckets::Rate;
use lanparty_obs::DropReason;
use lanparty_proto::overlay::Kind;
use lanparty_proto::probe::ProbeOp;
use lanparty_proto::{MacAddr, fragment};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

use crate::support::*;

const HOST: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 100]);

fn passed(
    relay: &mut Relay,
    from: &Guest,
    to: MacAddr,
    times: usize,
) -> (usize, Option<DropReason>) {
    let results: Vec<_> = (0..times).map(|_| relay.send(from, to)).collect();
    let passed = results.iter().filter(|result| result.is_ok()).count();
    (passed, results.into_iter().find_map(Result::err))
}

#[test]
fn broadcasts_pass_up_to_the_players_budget() {
    let mut relay = Relay::with(|limits| limits.player.flood = Rate::new(10, 20));
    let storm = relay.join(&player(1));
    relay.join(&player(2));
    let flooded = passed(&mut relay, &storm, MacAddr::BROADCAST, 100);
    assert_eq!(flooded, (20, Some(DropReason::FloodLimited)));
    // Unicast is not affected, and time restores the budget.
    assert_eq!(passed(&mut relay, &storm, mac(2), 100).0, 100);
    relay.wait_ms(1_000);
    assert_eq!(passed(&mut relay, &storm, MacAddr::BROADCAST, 100).0, 10);
    relay.assert_balance();
}

#[test]
fn one_players_storm_leaves_the_others_budget_alone() {
    let mut relay = Relay::with(|limits| limits.player.flood = Rate::new(10, 20));
    let storm = relay.join(&player(1));
    let calm = relay.join(&player(2));
    passed(&mut relay, &storm, MacAddr::BROADCAST, 1_000);
    assert_eq!(passed(&mut relay, &calm, MacAddr::BROADCAST, 5).0, 5);
}

#[test]
fn later_fragments_are_no_way_round_the_flood_budget() {
    let mut relay = Relay::with(|limits| limits.player.flood = Rate::new(10, 20));
    let storm = relay.join(&player(1));
    relay.join(&player(2));
    let frame = udp(storm.mac, MacAddr::BROADCAST, 1_400);
    let datagram = in_overlay(storm.id(), Kind::Frame, &frame);
    let mut last = Vec::new();
    for piece in fragment::split(&datagram, 700, 5, false).unwrap() {
        last.clear();
        piece.write_to(&mut last);
    }
    let passed = (0..100)
        .filter(|_| relay.datagram(storm.conn, &last).is_ok())
        .count();
    assert_eq!(passed, 20);
}

#[test]
fn the_lan_has_a_flood_budget_too() {
    let flood = Rate::new(10, 20);
    let mut relay =
        Relay::with(|limits| limits.gateway = lanparty_relay_core::gateway_budgets(flood));
    let mut host = gateway(1);
    host.mac = Some(HOST);
    let host = relay.join(&host);
    relay.join(&player(2));
    let flooded = passed(&mut relay, &host, MacAddr::BROADCAST, 100);
    assert_eq!(flooded, (20, Some(DropReason::FloodLimited)));
    assert_eq!(passed(&mut relay, &host, mac(2), 100).0, 100);
}

#[test]
fn unknown_destinations_are_limited_until_the_lan_shows_them() {
    let mut relay = Relay::with(|limits| limits.player.unknown_unicast = Rate::new(10, 20));
    let host = relay.join(&gateway(1));
    let scanner = relay.join(&player(2));
    let limited = passed(&mut relay, &scanner, HOST, 100);
    assert_eq!(limited, (20, Some(DropReason::UnknownUnicastLimited)));
    let answer = in_overlay(host.id(), Kind::Frame, &udp(HOST, scanner.mac, 64));
    relay.datagram(host.conn, &answer).unwrap();
    assert_eq!(passed(&mut relay, &scanner, HOST, 100).0, 100);
    // What another gateway's LAN has is not known.
    relay.lose(&host);
    relay.join(&gateway(9));
    assert_eq!(passed(&mut relay, &scanner, HOST, 100).0, 0);
}

#[test]
fn bytes_are_charged_for_every_copy() {
    let mut relay = Relay::with(|limits| {
        limits.player.bytes = Rate::new(1_000, 100_000);
        limits.player.flood = Rate::new(100_000, 100_000);
    });
    let sender = relay.join(&player(1));
    for n in 2..=11 {
        relay.join(&player(n));
    }
    let len = in_overlay(sender.id(), Kind::Frame, &udp(mac(1), mac(2), 64)).len();
    let (broadcasts, reason) = passed(&mut relay, &sender, MacAddr::BROADCAST, 2_000);
    assert_eq!(broadcasts, 100_000 / (10 * len));
    assert_eq!(reason, Some(DropReason::BandwidthLimited));
    relay.assert_balance();
}

#[test]
fn probes_are_limited_to_ten_a_second_for_each_pair_and_way() {
    let mut relay = Relay::new();
    let [a, b, c] = [1, 2, 3].map(|n| relay.join(&player(n)));
    let burst = |relay: &mut Relay, from: &Guest, to: u16, op: ProbeOp| {
        (0..50)
            .filter(|_| relay.probe(from, to, op).is_ok())
            .count()
    };
    assert_eq!(burst(&mut relay, &a, b.id().get(), ProbeOp::Request), 10);
    assert_eq!(burst(&mut relay, &a, b.id().get(), ProbeOp::Reply), 10);
    assert_eq!(burst(&mut relay, &a, c.id().get(), ProbeOp::Request), 10);
    assert_eq!(burst(&mut relay, &a, 0, ProbeOp::Request), 10);
    assert_eq!(burst(&mut relay, &b, a.id().get(), ProbeOp::Request), 10);
    relay.wait_ms(500);
    assert_eq!(burst(&mut relay, &a, b.id().get(), ProbeOp::Request), 5);
}

#[test]
fn too_many_malformed_datagrams_cost_the_membership() {
    let mut relay = Relay::new();
    let broken = relay.join(&player(1));
    let other = relay.join(&player(2));
    for _ in 0..20 {
        assert_eq!(
            relay.datagram(broken.conn, &[0xFF; 40]),
            Err(DropReason::OverlayHeader)
        );
    }
    assert!(relay.heard(other.conn).is_empty());
    relay.datagram(broken.conn, &[0xFF; 40]).unwrap_err();
    assert_eq!(
        left(&relay.heard(other.conn))[0].reason,
        CloseCode::ProtocolError
    );
    relay.wait_ms(600);
    assert_eq!(relay.closed[&broken.conn], CloseCode::ProtocolError);
    assert_eq!(
        relay.datagram(broken.conn, &[0xFF; 40]),
        Err(DropReason::NotJoined)
    );
    relay.assert_balance();
}

#[test]
fn rare_malformed_datagrams_and_policy_drops_never_do() {
    let mut relay = Relay::new();
    let member = relay.join(&player(1));
    for _ in 0..100 {
        relay.datagram(member.conn, &[0xFF; 40]).unwrap_err();
        relay.wait(Duration::from_secs(30));
    }
    for _ in 0..1_000 {
        let forged = in_overlay(member.id(), Kind::Frame, &udp(mac(9), HOST, 64));
        assert_eq!(
            relay.datagram(member.conn, &forged),
            Err(DropReason::SourceMac)
        );
    }
    assert!(relay.closed.is_empty());
}

#[test]
fn any_bytes_are_accounted_for_and_harm_nobody() {
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut relay = Relay::new();
        let victim = relay.join(&player(1));
        let host = relay.join(&gateway(2));
        for step in 0..100 {
            let hostile = relay.join(&player(3));
            let kind = [Kind::Frame, Kind::Fragment, Kind::SealedFrame, Kind::Probe];
            let mut bytes = in_overlay(
                hostile.id(),
                kind[rng.random_range(0..4)],
                &udp(
                    hostile.mac,
                    [victim.mac, HOST, MacAddr::BROADCAST][step % 3],
                    64,
                ),
            );
            for _ in 0..rng.random_range(0..6) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] = rng.random();
            }
            bytes.truncate(rng.random_range(0..=bytes.len()));
            if let Ok(targets) = relay.datagram(hostile.conn, &bytes) {
                assert!(
                    !targets.contains(&hostile.conn) || bytes[6] == 1,
                    "reflected"
                );
            }
            let mut control = vec![0; rng.random_range(0..40)];
            rng.fill_bytes(&mut control);
            relay.say_bytes(hostile.conn, &control);
            relay.wait_ms(rng.random_range(0..200));
        }
        relay.assert_balance();
        assert!(!relay.closed.contains_key(&victim.conn));
        assert!(!relay.closed.contains_key(&host.conn));
    }
}
