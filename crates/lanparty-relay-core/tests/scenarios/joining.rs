//! Who gets in, under which id, and what the others hear of it.

use std::time::Duration;

use crate::support::*;
use lanparty_ctrl::{
    Admission, CloseCode, Disconnect, DisplayText, Message, Mode, PeerLeft, Ping, Remove, Role,
    Sealed, SealedBody, encode,
};
use lanparty_proto::{MacAddr, peer};
use lanparty_relay_core::Limits;

#[test]
fn a_player_alone_is_welcomed_into_a_room_of_players() {
    let mut relay = Relay::new();
    let guest = relay.join(&player(1));
    let welcome = &guest.welcome;
    assert_eq!((welcome.mode, welcome.gateway), (Mode::Players, None));
    assert_eq!(welcome.tap_mtu, Limits::default().tap_mtu);
    assert_eq!(welcome.observed_address, address(1));
    assert!(![peer::RELAY, peer::EVERYONE].contains(&welcome.peer_id.get()));
}

#[test]
fn the_others_hear_of_a_newcomer_before_it_is_welcomed_and_it_catches_up() {
    let mut relay = Relay::new();
    let host = relay.join(&gateway(1));
    let first = relay.join(&player(2));
    let newcomer = relay.try_join(&player(3)).unwrap();
    let order: Vec<_> = relay
        .sent
        .iter()
        .map(|(conn, message)| (*conn, message.name()))
        .collect();
    let told = |conn| (conn, "peer_joined");
    assert!(order[..2].contains(&told(host.conn)) && order[..2].contains(&told(first.conn)));
    assert_eq!(order[2], (newcomer.conn, "welcome"));
    assert_eq!(order[3..], [told(newcomer.conn), told(newcomer.conn)]);

    assert_eq!(
        (newcomer.welcome.mode, newcomer.welcome.gateway),
        (Mode::Lan, Some(host.id()))
    );
    let heard = relay.heard(newcomer.conn);
    let mut known: Vec<_> = joined(&heard)
        .iter()
        .map(|info| (info.peer, info.mac))
        .collect();
    known.sort();
    let mut expected = vec![(host.id(), None), (first.id(), Some(mac(2)))];
    expected.sort();
    assert_eq!(known, expected);
    let heard = relay.heard(host.conn);
    assert_eq!(joined(&heard)[0].key_card, player(3).key_card);
}

#[test]
fn two_rooms_never_hear_of_each_other() {
    let mut relay = Relay::new();
    let here = relay.join(&player(1));
    let mut elsewhere = player(1);
    elsewhere.room = "ROOM2".parse().unwrap();
    let there = relay.join(&elsewhere);
    assert!(relay.heard(here.conn).is_empty());
    assert_ne!(here.welcome.room_id, there.welcome.room_id);
    assert_eq!(relay.snapshot().rooms.len(), 2);
}

#[test]
fn a_connection_that_does_not_say_hello_in_time_is_closed() {
    let mut relay = Relay::new();
    let silent = relay.connect(1);
    let hello = encode(&Message::Hello(Box::new(player(2))));
    let slow = relay.connect(2);
    relay.wait_ms(4_900);
    relay.say_bytes(slow, &hello[..hello.len() - 1]);
    assert!(relay.closed.is_empty());
    relay.wait_ms(2_000);
    assert_eq!(relay.closed[&silent], CloseCode::JoinTimeout);
    assert_eq!(relay.closed[&slow], CloseCode::JoinTimeout);
    assert_eq!(relay.snapshot().relay.connections, 0);
}

#[test]
fn a_control_frame_that_never_ends_costs_the_member_its_seat() {
    let mut relay = Relay::new();
    let slow = relay.join(&player(1));
    let other = relay.join(&player(2));
    relay.say_bytes(slow.conn, &[0, 0]);
    relay.wait_ms(3_000);
    assert_eq!(relay.closed[&slow.conn], CloseCode::TooSlow);
    let heard = relay.heard(other.conn);
    assert_eq!(left(&heard)[0].reason, CloseCode::TooSlow);
}

#[test]
fn an_old_program_is_told_which_side_to_upgrade() {
    let mut relay = Relay::new();
    for (version, side) in [(0, "player or gateway"), (2, "operator")] {
        let mut hello = player(1);
        hello.version = version;
        let reject = relay.try_join(&hello).unwrap_err();
        assert_eq!(reject.code, CloseCode::VersionMismatch);
        assert!(reject.message.as_str().contains(side), "{}", reject.message);
    }
}

#[test]
fn a_hello_with_fields_that_cannot_be_is_refused_with_its_own_code() {
    let mut relay = Relay::new();
    let mut refused = |change: fn(&mut lanparty_ctrl::Hello)| {
        let mut hello = player(1);
        change(&mut hello);
        relay.refusal(&hello)
    };
    assert_eq!(refused(|hello| hello.mac = None), CloseCode::MacNotAllowed);
    let burnt_in = |hello: &mut lanparty_ctrl::Hello| hello.mac = Some(MacAddr([0, 1, 2, 3, 4, 5]));
    assert_eq!(refused(burnt_in), CloseCode::MacNotAllowed);
    let group = |hello: &mut lanparty_ctrl::Hello| hello.mac = Some(MacAddr([3, 1, 2, 3, 4, 5]));
    assert_eq!(refused(group), CloseCode::MacNotAllowed);
    assert_eq!(
        refused(|hello| hello.datagram_budget = 100),
        CloseCode::InvalidHello
    );
    let without_sealing = |hello: &mut lanparty_ctrl::Hello| {
        hello.admission = Some(Admission {
            public_key: [0; 32],
            signature: [0; 64],
        });
    };
    assert_eq!(refused(without_sealing), CloseCode::InvalidHello);
    assert!(relay.snapshot().rooms.is_empty());
}

#[test]
fn a_key_card_of_another_identity_is_refused() {
    let mut relay = Relay::new();
    let conn = relay.connect(1);
    relay.say(conn, &Message::Hello(Box::new(player(2))));
    let heard = relay.heard(conn);
    assert!(matches!(&heard[0], Message::Reject(reject) if reject.code == CloseCode::NotAdmitted));
}

#[test]
fn a_refused_connection_hears_why_before_it_is_closed() {
    let mut relay = Relay::new();
    relay.join(&gateway(1));
    let reject = relay.try_join(&gateway(2)).unwrap_err();
    assert_eq!(reject.code, CloseCode::GatewayPresent);
    assert!(relay.closed.is_empty());
    relay.wait_ms(600);
    assert_eq!(
        relay.closed.values().collect::<Vec<_>>(),
        [&CloseCode::GatewayPresent]
    );
}

#[test]
fn what_is_not_a_members_to_say_ends_its_membership() {
    let mut relay = Relay::new();
    let host = relay.join(&gateway(9));
    let forbidden = [
        Message::Hello(Box::new(player(1))),
        Message::Welcome(Box::new(host.welcome.clone())),
        Message::PeerLeft(PeerLeft {
            peer: host.id(),
            reason: CloseCode::Removed,
        }),
        Message::RoomPolicy(Box::default()),
        Message::Access(Box::default()),
        Message::Remove(Remove {
            peer: host.id(),
            ban: true,
        }),
        Message::Sealed(Sealed {
            peer: None,
            body: SealedBody::try_from(vec![1]).unwrap(),
        }),
    ];
    for message in forbidden {
        let guest = relay.join(&player(1));
        relay.say(guest.conn, &message);
        let heard = relay.heard(host.conn);
        assert_eq!(
            left(&heard)[0].reason,
            CloseCode::ProtocolError,
            "{message:?}"
        );
        relay.wait_ms(600);
        assert_eq!(relay.closed[&guest.conn], CloseCode::ProtocolError);
    }
    let stranger = relay.connect(1);
    relay.say(stranger, &Message::Ping(Ping { nonce: 1 }));
    relay.wait_ms(600);
    assert_eq!(relay.closed[&stranger], CloseCode::ProtocolError);
}

#[test]
fn garbage_on_the_control_stream_ends_the_connection_and_nothing_else() {
    let mut relay = Relay::new();
    let other = relay.join(&player(1));
    for (garbage, code) in [
        (&b"\xff\xff\xff\xff"[..], CloseCode::ProtocolError),
        (b"\0\0\0\x02[]", CloseCode::ProtocolError),
        (b"\0\0\0\x0e{\"type\":\"new\"}", CloseCode::UnknownMessage),
    ] {
        let guest = relay.join(&player(2));
        relay.say_bytes(guest.conn, garbage);
        relay.wait_ms(600);
        assert_eq!(relay.closed[&guest.conn], code, "{garbage:?}");
    }
    assert!(!relay.closed.contains_key(&other.conn));
}

#[test]
fn an_unknown_message_that_is_optional_is_skipped() {
    let mut relay = Relay::new();
    let guest = relay.join(&player(1));
    let body = br#"{"type":"confetti","optional":true}"#;
    let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(body);
    relay.say_bytes(guest.conn, &frame);
    relay.say(guest.conn, &Message::Ping(Ping { nonce: 5 }));
    assert_eq!(relay.heard(guest.conn), [Message::Pong(Ping { nonce: 5 })]);
}

#[test]
fn a_member_that_floods_the_control_stream_is_cut_off() {
    let mut relay = Relay::new();
    let noisy = relay.join(&player(1));
    for _ in 0..200 {
        relay.say(noisy.conn, &Message::Ping(Ping { nonce: 0 }));
    }
    let pongs = relay.heard(noisy.conn).len();
    assert!(pongs <= 51, "{pongs}");
    relay.wait_ms(600);
    assert_eq!(relay.closed[&noisy.conn], CloseCode::ProtocolError);
}

#[test]
fn a_mac_address_belongs_to_one_identity_at_a_time() {
    let mut relay = Relay::new();
    let owner = relay.join(&player(1));
    let mut thief = player(2);
    thief.mac = Some(mac(1));
    assert_eq!(relay.refusal(&thief), CloseCode::MacInUse);
    relay.leave(&owner, CloseCode::Normal);
    relay.join(&thief);
}

#[test]
fn nobody_takes_the_address_that_the_gateway_announced() {
    let mut relay = Relay::new();
    let mut host = gateway(1);
    host.mac = Some(mac(7));
    let host = relay.join(&host);
    assert_eq!(relay.refusal(&player(7)), CloseCode::MacInUse);
    relay.leave(&host, CloseCode::Normal);
    relay.join(&player(7));
}

#[test]
fn the_same_identity_replaces_its_ghost_at_once_under_the_same_id() {
    let mut relay = Relay::new();
    let other = relay.join(&player(1));
    let ghost = relay.join(&player(2));
    let mut again = player(2);
    again.key_card.session = [9; 16];
    let guest = relay.try_join(&again).unwrap();
    assert_eq!(guest.id(), ghost.id());

    let heard = relay.heard(other.conn);
    assert_eq!(left(&heard)[0].reason, CloseCode::Replaced);
    assert_eq!(joined(&heard)[0].key_card.session, [9; 16]);
    assert!(matches!(heard[0], Message::PeerLeft(_)));
    let replaced = Message::Disconnect(Disconnect {
        reason: CloseCode::Replaced,
        message: DisplayText::try_from(CloseCode::Replaced.sentence().to_owned()).unwrap(),
    });
    assert_eq!(relay.heard(ghost.conn), [replaced]);

    // The ghost's end changes nothing any more.
    relay.wait_ms(600);
    assert_eq!(relay.closed[&ghost.conn], CloseCode::Replaced);
    relay.core.disconnected(ghost.conn, None, relay.now);
    assert_eq!(relay.send(&other, mac(2)), Ok(vec![guest.conn]));
    assert_eq!(relay.snapshot().rooms[0].members.len(), 2);
}

#[test]
fn a_gateway_replaces_its_own_ghost_only() {
    let mut relay = Relay::new();
    let ghost = relay.join(&gateway(1));
    assert_eq!(relay.refusal(&gateway(2)), CloseCode::GatewayPresent);
    assert_eq!(relay.join(&gateway(1)).id(), ghost.id());
}

#[test]
fn a_host_may_play_on_the_computer_of_its_gateway() {
    let mut relay = Relay::new();
    let host = relay.join(&gateway(1));
    let guest = relay.join(&player(1));
    assert_ne!(host.id(), guest.id());
    assert_eq!(relay.snapshot().rooms[0].members.len(), 2);
}

#[test]
fn a_ghost_that_returns_with_another_mac_gives_its_old_one_free() {
    let mut relay = Relay::new();
    relay.join(&player(1));
    let mut moved = player(1);
    moved.mac = Some(mac(8));
    relay.join(&moved);
    relay.join(&{
        let mut next = player(2);
        next.mac = Some(mac(1));
        next
    });
}

#[test]
fn a_returning_ghost_cannot_take_the_mac_of_another() {
    let mut relay = Relay::new();
    let first = relay.join(&player(1));
    relay.join(&player(2));
    let mut greedy = player(1);
    greedy.mac = Some(mac(2));
    assert_eq!(relay.refusal(&greedy), CloseCode::MacInUse);
    assert!(
        !relay.closed.contains_key(&first.conn),
        "the refused join cost the old one"
    );
    assert_eq!(relay.snapshot().rooms[0].members.len(), 2);
}

#[test]
fn a_room_holds_so_many_players_and_one_gateway() {
    let mut relay = Relay::with(|limits| limits.max_players_per_room = 2);
    relay.join(&player(1));
    let second = relay.join(&player(2));
    assert_eq!(relay.refusal(&player(3)), CloseCode::RoomFull);
    relay.join(&gateway(4));
    relay.join(&player(2));
    relay.leave(&second, CloseCode::Normal);
    assert_eq!(
        relay.refusal(&player(3)),
        CloseCode::RoomFull,
        "only the ghost left"
    );
}

#[test]
fn a_full_relay_opens_no_room_and_serves_those_that_are_open() {
    let mut relay = Relay::with(|limits| limits.max_rooms = 1);
    let first = relay.join(&player(1));
    let mut elsewhere = player(2);
    elsewhere.room = "ROOM2".parse().unwrap();
    assert_eq!(relay.refusal(&elsewhere), CloseCode::RelayFull);
    relay.join(&player(2));
    relay.leave(&first, CloseCode::Normal);
}

#[test]
fn connections_that_never_join_cannot_fill_the_relay() {
    let mut relay = Relay::with(|limits| limits.max_unjoined = 3);
    let member = relay.join(&player(1));
    let waiting: Vec<_> = (0..3).map(|_| relay.connect(2)).collect();
    let refused = relay.connect(3);
    assert_eq!(relay.closed[&refused], CloseCode::RelayFull);
    assert!(waiting.iter().all(|conn| !relay.closed.contains_key(conn)));
    assert!(!relay.closed.contains_key(&member.conn));
}

#[test]
fn an_id_goes_to_nobody_else_for_ten_minutes() {
    let mut relay = Relay::start(Limits::default(), Duration::ZERO, TestRng::Stuck(500));
    let gone = relay.join(&player(1));
    let stays = relay.join(&player(2));
    assert_eq!((gone.id().get(), stays.id().get()), (500, 1));
    relay.lose(&gone);
    assert_eq!(relay.join(&player(3)).id().get(), 2);
    relay.wait(Duration::from_secs(599));
    assert_eq!(relay.join(&player(4)).id().get(), 3);
    relay.wait(Duration::from_secs(1));
    assert_eq!(relay.join(&player(5)).id().get(), 500);
}

#[test]
fn a_quarantined_id_waits_for_its_owner_also_without_a_token() {
    let mut relay = Relay::new();
    relay.join(&player(1));
    let guest = relay.join(&player(2));
    relay.leave(&guest, CloseCode::Normal);
    assert_eq!(relay.join(&player(2)).id(), guest.id());
}

#[test]
fn the_reason_for_leaving_reaches_the_others() {
    let mut relay = Relay::new();
    let host = relay.join(&gateway(1));
    type Exit = fn(&mut Relay, &Guest);
    let cases: [(Exit, CloseCode); 6] = [
        (|relay, guest| relay.lose(guest), CloseCode::ConnectionLost),
        (
            |relay, guest| relay.leave(guest, CloseCode::Normal),
            CloseCode::Normal,
        ),
        (
            |relay, guest| relay.leave(guest, CloseCode::LoopDetected),
            CloseCode::LoopDetected,
        ),
        // Only a relay or host can kick.
        (
            |relay, guest| relay.leave(guest, CloseCode::Removed),
            CloseCode::Normal,
        ),
        (
            |relay, guest| relay.core.disconnected(guest.conn, Some(0), relay.now),
            CloseCode::Normal,
        ),
        (
            |relay, guest| relay.core.control_overflow(guest.conn, relay.now),
            CloseCode::TooSlow,
        ),
    ];
    for (go, reason) in cases {
        let guest = relay.join(&player(2));
        go(&mut relay, &guest);
        relay.wait_ms(1);
        relay.say(host.conn, &Message::Ping(Ping { nonce: 0 }));
        let heard = relay.heard(host.conn);
        let expected = PeerLeft {
            peer: guest.id(),
            reason,
        };
        assert_eq!(left(&heard), [expected]);
    }
}

#[test]
fn a_room_outlives_its_gateway_and_vanishes_with_its_last_member() {
    let mut relay = Relay::new();
    let host = relay.join(&gateway(1));
    let guest = relay.join(&player(2));
    relay.lose(&host);
    let snapshot = relay.snapshot();
    assert_eq!(snapshot.rooms[0].mode, Mode::Players);
    assert_eq!(snapshot.rooms[0].members[0].role, Role::Client);
    relay.lose(&guest);
    assert!(relay.snapshot().rooms.is_empty());
    assert_eq!(relay.snapshot().relay.connections, 0);
    assert!(
        relay.core.next_wakeup().is_none() || {
            relay.wait(Duration::from_secs(10));
            relay.core.next_wakeup().is_none()
        }
    );
}
