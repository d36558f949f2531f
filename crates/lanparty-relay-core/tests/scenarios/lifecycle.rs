//! What members and operators learn while the relay runs, and its end.

use std::time::Duration;

use crate::support::*;
use lanparty_ctrl::{BoundedVec, CloseCode, ExtraEtherType, Message, Ping, RoomPolicy};
use lanparty_obs::stats::PeerStats;

fn policy() -> RoomPolicy {
    let listed = vec![ExtraEtherType::try_from(0x88B5).unwrap()];
    RoomPolicy {
        ether_types: BoundedVec::try_from(listed).unwrap(),
        ..RoomPolicy::default()
    }
}

#[test]
fn the_hosts_policy_reaches_everyone_now_and_later() {
    let mut relay = Relay::new();
    let host = relay.join(&gateway(1));
    let first = relay.join(&player(2));
    assert_eq!(first.welcome.policy, RoomPolicy::default());
    let message = Message::RoomPolicy(Box::new(policy()));
    relay.say(host.conn, &message);
    assert_eq!(relay.heard(first.conn), [message]);
    assert!(relay.heard(host.conn).is_empty());
    assert_eq!(relay.join(&player(3)).welcome.policy, policy());
    relay.lose(&host);
    assert_eq!(relay.join(&player(4)).welcome.policy, policy());
}

#[test]
fn the_last_report_of_each_member_is_kept() {
    let mut relay = Relay::new();
    let guest = relay.join(&player(1));
    for uptime_s in [10, 20] {
        let stats = PeerStats {
            uptime_s,
            ..PeerStats::default()
        };
        relay.say(guest.conn, &Message::Stats(Box::new(stats)));
    }
    relay.wait_ms(1_500);
    let member = &relay.snapshot().rooms[0].members[0];
    assert_eq!(member.stats.as_ref().unwrap().uptime_s, 20);
    assert_eq!(member.stats_age_ms, Some(1_500));
}

#[test]
fn last_seen_follows_datagrams_and_messages() {
    let mut relay = Relay::new();
    let guest = relay.join(&player(1));
    let other = relay.join(&player(2));
    let last_seen = |relay: &Relay, guest: &Guest| {
        let members = &relay.snapshot().rooms[0].members;
        let member = members.iter().find(|member| member.peer == guest.id());
        member.unwrap().last_seen_ms
    };
    relay.wait_ms(700);
    assert_eq!(last_seen(&relay, &guest), 700);
    relay.send(&guest, mac(2)).unwrap();
    assert_eq!(last_seen(&relay, &guest), 0);
    relay.wait_ms(300);
    relay.say(guest.conn, &Message::Pong(Ping { nonce: 0 }));
    assert_eq!(last_seen(&relay, &guest), 0);
    assert_eq!(last_seen(&relay, &other), 1_000);
}

#[test]
fn a_snapshot_survives_json_and_says_what_scripts_look_for() {
    let mut relay = Relay::new();
    relay.join(&gateway(1));
    let guest = relay.join(&player(2));
    relay.send(&guest, mac(2)).unwrap_err();
    let snapshot = relay.snapshot();
    let json = serde_json::to_value(&snapshot).unwrap();
    assert_eq!(
        serde_json::from_value::<lanparty_relay_core::RoomsSnapshot>(json.clone()).unwrap(),
        snapshot
    );
    let room = &json["rooms"][0];
    assert_eq!(room["room"], ROOM);
    assert_eq!(room["mode"], "lan");
    assert_eq!(room["drops"]["reflected"], 1);
    let members = room["members"].as_array().unwrap();
    let member = members
        .iter()
        .find(|member| member["role"] == "client")
        .unwrap();
    assert_eq!(member["peer"], guest.id().get());
    assert_eq!(member["mac"], "02:00:00:00:00:02");
    assert_eq!(member["name"], "player 2");
    assert_eq!(member["last_seen_ms"], 0);
    assert_eq!(member["drops"]["reflected"], 1);
}

#[test]
fn a_drain_asks_everyone_to_return_at_different_times_and_then_ends() {
    let mut relay = Relay::new();
    let guests: Vec<Guest> = (1..=20).map(|n| relay.join(&player(n))).collect();
    let waiting = relay.connect(21);
    relay.core.begin_drain(relay.now);
    relay.wait_ms(0);
    assert!(!relay.core.is_drained());
    // Frames still flow.
    relay.send(&guests[0], mac(2)).unwrap();
    assert_eq!(relay.refusal(&player(30)), CloseCode::Restarting);

    let delays: Vec<u32> = guests
        .iter()
        .map(|guest| match &relay.heard(guest.conn)[..] {
            [Message::Restarting(restarting)] => restarting.reconnect_in_ms,
            other => panic!("{other:?}"),
        })
        .collect();
    let earliest = *delays.iter().min().unwrap();
    let latest = *delays.iter().max().unwrap();
    assert!(
        earliest >= 300 && latest <= 1_500 && latest - earliest > 300,
        "{delays:?}"
    );

    relay.wait(Duration::from_millis(200));
    assert!(relay.core.is_drained());
    for conn in guests.iter().map(|guest| guest.conn).chain([waiting]) {
        assert_eq!(relay.closed[&conn], CloseCode::Restarting);
    }
    assert_eq!(relay.core.next_wakeup(), None);
}

#[test]
fn an_idle_relay_drains_at_once() {
    let mut relay = Relay::new();
    relay.core.begin_drain(relay.now);
    assert!(relay.core.is_drained());
}
