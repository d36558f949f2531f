//! What members get from a running relay, and what a restart costs them.

use std::time::{Duration, Instant};

use lanparty_ctrl::{CloseCode, Message};
use lanparty_proto::MacAddr;
use lanparty_transport::CloseReason;
use rustix::process::Signal;

use crate::member::{Member, mac, magic_packet, until};
use crate::relay::{Home, Relay, output};

#[test]
fn two_members_exchange_frames_bit_for_bit() {
    let home = Home::new();
    let relay = Relay::start(&home);
    let mut alice = Member::join(&home, relay.address, 1, None);
    let alice_id = alice.welcome().peer_id;
    let mut bob = Member::join(&home, relay.address, 2, None);
    let bob_id = bob.welcome().peer_id;

    for (to, count) in [(mac(2), 50), (MacAddr::BROADCAST, 50)] {
        let sent = magic_packet(alice_id, mac(1), to);
        for _ in 0..count {
            alice.send(sent.clone());
        }
        let received = until("frames", &mut [&mut alice, &mut bob], |members| {
            let datagrams = &mut members[1].datagrams;
            (datagrams.len() == count).then(|| std::mem::take(datagrams))
        });
        assert!(received.iter().all(|datagram| *datagram == sent));
    }
    bob.send(magic_packet(bob_id, mac(2), mac(1)));
    until("a frame back", &mut [&mut alice, &mut bob], |members| {
        members[0].datagrams.pop_front()
    });
}

#[test]
fn a_killed_relay_that_comes_back_gives_the_same_ids_and_certificate() {
    let home = Home::new();
    let relay = Relay::start(&home);
    let address = relay.address;
    let mut before: Vec<Member> = (1..=3)
        .map(|n| Member::join(&home, address, n, None))
        .collect();
    let welcomes: Vec<_> = before.iter_mut().map(Member::welcome).collect();
    let certificate = std::fs::read(home.certificate()).unwrap();
    relay.kill();
    let _relay = Relay::start_on(&home, &address.to_string());
    assert_eq!(std::fs::read(home.certificate()).unwrap(), certificate);

    // Whoever still sends on an old connection hears at once that it is gone.
    let begin = Instant::now();
    let first = &mut before[0];
    let reason = until("a reset", &mut [first], |members| {
        let packet = magic_packet(welcomes[0].peer_id, mac(1), mac(2));
        members[0].send(packet);
        members[0].closed.clone()
    });
    assert_eq!(reason, CloseReason::Reset);
    assert!(begin.elapsed() < Duration::from_secs(5));

    for (n, welcome) in (1..).zip(&welcomes) {
        let mut back = Member::join(&home, address, n, Some(welcome.resume.clone()));
        assert_eq!(back.welcome().peer_id, welcome.peer_id);
    }
}

#[test]
fn on_sigterm_members_are_told_to_come_back_and_the_relay_ends_well() {
    let home = Home::new();
    let mut relay = Relay::start(&home);
    let mut member = Member::join(&home, relay.address, 1, None);
    member.welcome();
    relay.signal(Signal::TERM);
    let reason = until("a close", &mut [&mut member], |members| {
        members[0].closed.clone()
    });
    let notice = member
        .said
        .iter()
        .any(|said| matches!(said, Message::Restarting(_)));
    assert!(notice, "{:?}", member.said);
    let code = u64::from(CloseCode::Restarting);
    assert!(matches!(reason, CloseReason::Application { code: told, .. } if told == code));
    assert_eq!(relay.wait().code(), Some(0));
}

#[test]
fn a_replaced_member_hears_the_reason_and_the_code() {
    let home = Home::new();
    let relay = Relay::start(&home);
    let mut first = Member::join(&home, relay.address, 1, None);
    first.welcome();
    let mut again = Member::join(&home, relay.address, 1, None);
    again.welcome();
    let reason = until(
        "the replacement",
        &mut [&mut first, &mut again],
        |members| members[0].closed.clone(),
    );
    let code = u64::from(CloseCode::Replaced);
    assert!(matches!(reason, CloseReason::Application { code: told, .. } if told == code));
    assert!(
        matches!(first.said.last(), Some(Message::Disconnect(told)) if told.reason == CloseCode::Replaced)
    );
    assert_eq!(again.closed, None);
}

#[test]
fn the_operator_sees_rooms_and_members() {
    let home = Home::new();
    let relay = Relay::start(&home);
    let mut member = Member::join(&home, relay.address, 1, None);
    let peer = member.welcome().peer_id;
    let state = home.state();
    let state = state.to_str().unwrap();

    let json = output(&["rooms", "--json", "--state-dir", state]);
    assert!(json.status.success());
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let shown = &json["rooms"][0]["members"][0];
    assert_eq!(shown["peer"], peer.get());
    assert_eq!(shown["mac"], "02:00:00:00:00:01");
    assert!(shown["last_seen_ms"].is_u64());
    assert!(shown["link"]["rtt_us"].is_u64());

    let table = output(&["rooms", "--state-dir", state]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(
        table.contains("ROOM1") && table.contains("player 1"),
        "{table}"
    );
}

#[test]
fn each_decision_about_a_frame_is_recorded_where_the_target_is_on() {
    let home = Home::new();
    let relay = Relay::start_logging(&home, "127.0.0.1:0", "relay::frames=trace");
    let mut alice = Member::join(&home, relay.address, 1, None);
    let alice_id = alice.welcome().peer_id;
    let mut bob = Member::join(&home, relay.address, 2, None);
    bob.welcome();
    alice.send(magic_packet(alice_id, mac(1), mac(2)));
    alice.send(magic_packet(alice_id, mac(9), mac(2)));
    until("the frame", &mut [&mut alice, &mut bob], |members| {
        members[1].datagrams.pop_front()
    });
    let forwarded = relay.logged("action=forward");
    for part in [
        &*format!("peer={alice_id}"),
        "source=02:00:00:00:00:01",
        "destination=02:00:00:00:00:02",
        "ether_type=0x0842",
        "targets=1",
    ] {
        assert!(forwarded.contains(part), "{part} is not in {forwarded}");
    }
    assert!(relay.logged("action=drop").contains("reason=source_mac"));
}
