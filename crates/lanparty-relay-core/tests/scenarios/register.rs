//! Rows of the threat register that the relay's core answers for, where no
//! other file is about them.

use std::time::Duration;

use lanparty_ctrl::{CloseCode, Message, encode};
use lanparty_obs::DropReason;
use lanparty_proto::overlay::Kind;
use lanparty_proto::{MacAddr, PeerId};
use lanparty_relay_core::Limits;

use crate::support::*;

#[test]
fn a3_nobody_sends_under_another_members_id() {
    let mut relay = Relay::new();
    let alice = relay.join(&player(1));
    let bob = relay.join(&player(2));
    let frame = udp(alice.mac, bob.mac, 64);
    for raw in 1..u16::MAX {
        let claimed = PeerId::try_from(raw).unwrap();
        let datagram = in_overlay(claimed, Kind::Frame, &frame);
        // A fresh connection each time: false ids cost the membership.
        let result = relay.datagram(alice.conn, &datagram);
        if claimed == alice.id() {
            assert_eq!(result, Ok(vec![bob.conn]));
        } else {
            let refused = [DropReason::SourceId, DropReason::NotJoined];
            assert!(result.is_err_and(|reason| refused.contains(&reason)));
        }
        if relay.snapshot().rooms[0].members.len() < 2 {
            break;
        }
    }
    assert_eq!(relay.snapshot().rooms[0].members.len(), 1);
    relay.assert_balance();
}

#[test]
fn a8_a_flood_costs_its_sender_a_copy_for_each_receiver() {
    let spent = |players: u8| {
        let mut relay = Relay::new();
        let alice = relay.join(&player(1));
        for n in 2..=players {
            relay.join(&player(n));
        }
        let frame = udp(alice.mac, MacAddr::BROADCAST, 1_400);
        let datagram = in_overlay(alice.id(), Kind::Frame, &frame);
        let mut copies = 0;
        while let Ok(targets) = relay.datagram(alice.conn, &datagram) {
            copies += targets.len();
        }
        copies * datagram.len()
    };
    // With few receivers frames are what is over first, with many it is bytes:
    // whatever the size of the room, the relay sends no more than the budget.
    let limits = Limits::default().player;
    let burst = usize::try_from(limits.bytes.burst).unwrap();
    assert!(spent(3) < burst);
    for players in [10, 30, 60] {
        let spent = spent(players);
        assert!(spent <= burst, "{spent} of {burst}");
        assert!(spent > burst - 100_000, "{spent} of {burst}");
    }
}

#[test]
fn a11_a_member_that_does_not_read_loses_its_seat_and_nobody_elses() {
    let mut relay = Relay::new();
    let frozen = relay.join(&player(1));
    let other = relay.join(&player(2));
    relay.core.control_overflow(frozen.conn, relay.now);
    relay.send(&other, frozen.mac).unwrap_err();
    assert_eq!(relay.closed[&frozen.conn], CloseCode::TooSlow);
    assert!(!CloseCode::TooSlow.is_final());
    assert_eq!(left(&relay.heard(other.conn))[0].reason, CloseCode::TooSlow);
    assert_eq!(relay.snapshot().relay.connections, 1);
}

#[test]
fn a13_a_connection_that_is_slow_on_purpose_holds_its_place_for_seconds() {
    let mut relay = Relay::new();
    let hello = encode(&Message::Hello(Box::new(player(1))));
    // Never a word; a byte at a time from the start; the last byte missing.
    let silent = relay.connect(1);
    let dripping = relay.connect(2);
    let stuck = relay.connect(3);
    relay.say_bytes(stuck, &hello[..hello.len() - 1]);
    for at in 0..50 {
        relay.say_bytes(dripping, &hello[at..=at]);
        relay.wait_ms(100);
    }
    relay.wait_ms(600);
    for (conn, code) in [
        (silent, CloseCode::JoinTimeout),
        (dripping, CloseCode::JoinTimeout),
        (stuck, CloseCode::JoinTimeout),
    ] {
        assert_eq!(relay.closed[&conn], code);
    }
    // The same inside a room.
    let member = relay.join(&player(4));
    relay.say_bytes(member.conn, &[0, 0]);
    relay.wait(Duration::from_millis(2_600));
    assert_eq!(relay.closed[&member.conn], CloseCode::TooSlow);
    assert_eq!(relay.snapshot().relay.connections, 0);
}

#[test]
fn a14_a_promised_giant_is_refused_by_its_length_alone() {
    let mut relay = Relay::new();
    for length in [0, 1, 65_537, 0x7FFF_FFFF, u32::MAX] {
        let conn = relay.connect(1);
        relay.say_bytes(conn, &length.to_be_bytes());
        let heard = relay.heard(conn);
        assert!(
            matches!(&heard[..], [Message::Reject(no)] if no.code == CloseCode::ProtocolError),
            "{length}: {heard:?}"
        );
    }
    // As large as may be, nested and repeated as never meant.
    for body in [
        "[".repeat(65_536),
        format!(
            r#"{{"type":"hello","version":1,{}"#,
            r#""a":{"#.repeat(10_000)
        ),
        format!(
            r#"{{"type":"hello","version":1,"features":[{}"a"]}}"#,
            r#""a","#.repeat(16_000)
        ),
        format!(
            r#"{{"type":"hello","version":1,"name":"{}"}}"#,
            "x".repeat(60_000)
        ),
    ] {
        let conn = relay.connect(1);
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        relay.say_bytes(conn, &length);
        relay.say_bytes(conn, body.as_bytes());
        assert!(matches!(&relay.heard(conn)[..], [Message::Reject(_)]));
    }
    relay.wait_ms(600);
    assert_eq!(relay.snapshot().relay.connections, 0);
}

#[test]
fn a21_a_name_that_would_disturb_a_screen_or_a_log_never_gets_in() {
    let mut relay = Relay::new();
    let witness = relay.join(&player(1));
    for name in [
        "\u{1b}[2J",
        "a\nb",
        "a\r",
        "\u{202e}gpj.exe",
        "\u{2066}x",
        "\u{0}",
        "\u{7f}",
        "\u{feff}",
        " ",
        &"x".repeat(65),
    ] {
        for field in ["name", "agent"] {
            let mut hello = serde_json::to_value(Message::Hello(Box::new(player(2)))).unwrap();
            hello[field] = name.into();
            let body = hello.to_string();
            let conn = relay.connect(2);
            let length = u32::try_from(body.len()).unwrap().to_be_bytes();
            relay.say_bytes(conn, &[&length, body.as_bytes()].concat());
            let heard = relay.heard(conn);
            let [Message::Reject(no)] = &heard[..] else {
                panic!("{field} {name:?}: {heard:?}");
            };
            assert_eq!(no.code, CloseCode::InvalidHello);
            assert!(name == " " || !no.message.as_str().contains(name));
        }
    }
    assert!(relay.heard(witness.conn).is_empty());
}

#[test]
fn b8_a_member_has_one_address_and_nobody_elses() {
    let mut relay = Relay::new();
    let mut host = gateway(1);
    host.mac = Some(MacAddr([0x00, 0x1B, 0x21, 0, 0, 1]));
    let host = relay.join(&host);
    let alice = relay.join(&player(2));
    let bob = relay.join(&player(3));
    // At the door: nobody's, a group's, a vendor's, another member's.
    for (claimed, code) in [
        (MacAddr::ZERO, CloseCode::MacNotAllowed),
        (MacAddr::BROADCAST, CloseCode::MacNotAllowed),
        (MacAddr([3, 0, 0, 0, 0, 1]), CloseCode::MacNotAllowed),
        (MacAddr([0, 0x1B, 0x21, 0, 0, 2]), CloseCode::MacNotAllowed),
        (bob.mac, CloseCode::MacInUse),
    ] {
        let mut hello = player(4);
        hello.mac = Some(claimed);
        assert_eq!(relay.refusal(&hello), code, "{claimed}");
    }
    // Inside: every frame under any address but one's own.
    let lan_host = MacAddr([0x52, 0x54, 0, 0, 0, 9]);
    for source in [
        bob.mac,
        host.mac,
        lan_host,
        MacAddr::ZERO,
        MacAddr::BROADCAST,
    ] {
        let frame = udp(source, MacAddr::BROADCAST, 64);
        let datagram = in_overlay(alice.id(), Kind::Frame, &frame);
        assert_eq!(
            relay.datagram(alice.conn, &datagram),
            Err(DropReason::SourceMac),
            "{source}"
        );
    }
    // The gateway speaks for its LAN, and for no player.
    let from_lan = |source| in_overlay(host.id(), Kind::Frame, &udp(source, bob.mac, 64));
    assert!(relay.datagram(host.conn, &from_lan(lan_host)).is_ok());
    assert_eq!(
        relay.datagram(host.conn, &from_lan(alice.mac)),
        Err(DropReason::MemberMacFromLan)
    );
}
