//! Keyed rooms: who belongs gets in, and nobody else learns anything.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use lanparty_ctrl::{
    Access, CloseCode, CreateToken, Feature, Hello, Identity, Message, Reject, RoomId, feature,
};
use lanparty_relay_core::{Conn, Limits, RoomsPolicy};

use crate::support::*;

fn access(change: impl FnOnce(&mut Access)) -> Message {
    let mut access = Access::default();
    change(&mut access);
    Message::Access(Box::new(access))
}

/// What a stranger learns: the answer, and the code of the close after it.
fn answer(relay: &mut Relay, conn: Conn, hello: &Hello) -> (Reject, CloseCode) {
    let reject = relay.greet(conn, hello).expect_err("refused");
    relay.wait_ms(600);
    (reject, relay.closed[&conn])
}

#[test]
fn holders_of_the_key_meet_in_a_room_of_their_own() {
    let mut relay = Relay::new();
    let host = relay.join_keyed(&gateway(1), &key(1));
    let guest = relay.try_join_keyed(&player(2), &key(1)).unwrap();
    let public_key = key(1).admission().public_key();
    let room = RoomId::derive(&ROOM.parse().unwrap(), Some(&public_key));
    assert_eq!(host.welcome.room_id, room);
    assert_eq!(guest.welcome.room_id, room);
    assert!(feature::has_seal(&guest.welcome.features));
    assert_eq!(guest.welcome.gateway, Some(host.id()));
    assert_eq!(joined(&relay.heard(host.conn)).len(), 1);
    assert!(relay.snapshot().rooms[0].keyed);
    // The same name without a key, and with another one, are other rooms.
    let open = relay.join(&player(3));
    let other = relay.join_keyed(&gateway(4), &key(2));
    assert_ne!(open.welcome.room_id, room);
    assert_ne!(other.welcome.room_id, room);
    assert!(!feature::has_seal(&open.welcome.features));
    assert_eq!(relay.snapshot().rooms.len(), 3);
}

#[test]
fn a1_an_unknown_room_a_wrong_proof_and_a_ban_get_the_same_answer() {
    let mut relay = Relay::new();
    let host = relay.join_keyed(&gateway(1), &key(1));
    let banned = vec![Identity(identity(4))].try_into().unwrap();
    relay.say(host.conn, &access(|access| access.banned = banned));

    let conn = relay.connect(2);
    let unknown = answer(&mut relay, conn, &with_proof(&player(2), &key(9), conn));
    let conn = relay.connect(3);
    let mut hello = with_proof(&player(3), &key(1), conn);
    hello.admission.as_mut().unwrap().signature[0] ^= 1;
    let wrong = answer(&mut relay, conn, &hello);
    let conn = relay.connect(4);
    let shut_out = answer(&mut relay, conn, &with_proof(&player(4), &key(1), conn));
    let conn = relay.connect(5);
    let stolen_card = answer(&mut relay, conn, &with_proof(&player(6), &key(1), conn));

    assert_eq!(unknown.0.code, CloseCode::NotAdmitted);
    assert_eq!(unknown.0.retry_after_ms, None);
    assert_eq!(unknown, wrong);
    assert_eq!(unknown, shut_out);
    assert_eq!(unknown, stolen_card);
    assert_eq!(relay.snapshot().rooms[0].members.len(), 1);
}

#[test]
fn a1_a_network_gets_so_many_guesses_an_hour_and_is_not_told_when_they_are_over() {
    let mut relay = Relay::new();
    relay.join_keyed(&gateway(1), &key(1));
    let from = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
    let Limits {
        failed_joins,
        failed_joins_every,
        ..
    } = Limits::default();
    let burst = u64::from(failed_joins);
    let hour = Duration::from_secs(3_600);
    let back = hour.as_secs() / failed_joins_every.as_secs();
    // One guess a second, and at each moment the right one would do.
    let mut looks = BTreeSet::new();
    let mut allowed = 0;
    for _ in 0..hour.as_secs() {
        relay.wait(Duration::from_secs(1));
        let wrong = relay.try_join_from(from, &player(2), &key(7)).unwrap_err();
        looks.insert(format!("{wrong:?}"));
        match relay.try_join_from(from, &player(3), &key(1)) {
            Ok(guest) => {
                allowed += 1;
                relay.lose(&guest);
            }
            Err(held_up) => {
                looks.insert(format!("{held_up:?}"));
            }
        }
    }
    assert!(allowed >= burst - 1, "{allowed}");
    assert!(allowed <= burst + back, "{allowed}");
    assert_eq!(looks.len(), 1, "{looks:?}");
    // Elsewhere nobody notices.
    relay.try_join_keyed(&player(3), &key(1)).unwrap();
}

#[test]
fn a1_guessers_from_everywhere_cannot_lock_members_out() {
    let mut relay = Relay::new();
    relay.join_keyed(&gateway(1), &key(1));
    let guest = relay.join_keyed(&player(2), &key(1));
    let limits = Limits::default();
    // They know the room: one of them was in it and left the public key.
    for n in 0..limits.failed_joins_per_room {
        let from = IpAddr::V6(Ipv6Addr::from(0x2001_0DB8_u128 << 96 | u128::from(n) << 80));
        let conn = relay.connect_from(9, from);
        let mut hello = with_proof(&player(9), &key(1), conn);
        hello.admission.as_mut().unwrap().signature[0] ^= 1;
        assert_eq!(
            relay.greet(conn, &hello).unwrap_err().code,
            CloseCode::NotAdmitted
        );
    }
    // Strangers with the key wait until that is over; members come and go.
    let newcomer = relay.try_join_keyed(&player(3), &key(1));
    assert_eq!(newcomer.unwrap_err().code, CloseCode::NotAdmitted);
    relay.lose(&guest);
    let back = Hello {
        resume: Some(guest.welcome.resume.clone()),
        ..player(2)
    };
    assert_eq!(relay.join_keyed(&back, &key(1)).id(), guest.id());
    relay.wait(limits.failed_joins_per_room_every);
    relay.try_join_keyed(&player(3), &key(1)).unwrap();
}

#[test]
fn only_a_join_that_says_so_opens_a_keyed_room() {
    let mut relay = Relay::new();
    let early = relay.try_join_keyed(&player(2), &key(1)).unwrap_err();
    assert_eq!(early.code, CloseCode::NotAdmitted);
    assert!(relay.snapshot().rooms.is_empty());
    relay.join_keyed(&gateway(1), &key(1));
    relay.try_join_keyed(&player(2), &key(1)).unwrap();
}

#[test]
fn members_find_their_room_on_a_restarted_relay_before_the_gateway_is_back() {
    let mut relay = Relay::new();
    relay.join_keyed(&gateway(1), &key(1));
    let guest = relay.join_keyed(&player(2), &key(1));
    let mut relay = Relay::start(
        Limits::default(),
        Duration::from_secs(5),
        TestRng::seeded(2),
    );
    let back = Hello {
        resume: Some(guest.welcome.resume.clone()),
        ..player(2)
    };
    // The token is for this room and this member, and no proof by itself.
    let stranger = Hello {
        resume: back.resume.clone(),
        ..player(3)
    };
    for (hello, key) in [(&back, key(2)), (&stranger, key(1))] {
        let refused = relay.try_join_keyed(hello, &key).unwrap_err();
        assert_eq!(refused.code, CloseCode::NotAdmitted);
    }
    assert_eq!(relay.join_keyed(&back, &key(1)).id(), guest.id());
}

#[test]
fn a4_a_captured_proof_is_refused_on_another_connection() {
    let mut relay = Relay::new();
    relay.join_keyed(&gateway(1), &key(1));
    let first = relay.connect(2);
    let proof = with_proof(&player(2), &key(1), first);
    // The very same bytes, by the same member, on its next connection.
    let second = relay.connect(2);
    let replayed = relay.greet(second, &proof).unwrap_err();
    assert_eq!(replayed.code, CloseCode::NotAdmitted);
    relay.greet(first, &proof).unwrap();
    // By somebody else, with a card of its own, on a connection that the
    // relay between them made to look the same.
    let thief = relay.connect(3);
    let mut hello = with_proof(&player(2), &key(1), thief);
    hello.key_card = player(3).key_card;
    let stolen = relay.greet(thief, &hello).unwrap_err();
    assert_eq!(stolen.code, CloseCode::NotAdmitted);
}

#[test]
fn a17_what_was_offered_cannot_be_stripped_on_the_way() {
    let mut relay = Relay::new();
    relay.join_keyed(&gateway(1), &key(1));
    type Change = fn(&mut Hello);
    let changes: [(Change, CloseCode); 4] = [
        (
            |hello| hello.features = Default::default(),
            CloseCode::InvalidHello,
        ),
        (
            |hello| {
                let features = vec!["seal-2".parse().unwrap(), Feature::seal()];
                hello.features = features.try_into().unwrap();
            },
            CloseCode::NotAdmitted,
        ),
        (|hello| hello.version = 0, CloseCode::VersionMismatch),
        (|hello| hello.create = true, CloseCode::NotAdmitted),
    ];
    for (change, code) in changes {
        let conn = relay.connect(2);
        let mut hello = with_proof(&player(2), &key(1), conn);
        change(&mut hello);
        assert_eq!(relay.greet(conn, &hello).unwrap_err().code, code);
    }
    // Without the proof it is a join of the open room of that name, which a
    // member with a key refuses to be in.
    let conn = relay.connect(2);
    let mut hello = with_proof(&player(2), &key(1), conn);
    hello.admission = None;
    let open = relay.greet(conn, &hello).unwrap();
    assert!(!feature::has_seal(&open.welcome.features));
}

#[test]
fn a_relay_for_rooms_with_keys_has_no_others() {
    let mut relay = Relay::with(|limits| limits.rooms = RoomsPolicy::Keyed);
    assert_eq!(relay.refusal(&gateway(1)), CloseCode::RoomPolicy);
    assert_eq!(relay.refusal(&player(2)), CloseCode::RoomPolicy);
    relay.join_keyed(&gateway(1), &key(1));
    relay.join_keyed(&player(2), &key(1));
}

#[test]
fn where_the_operator_gives_tokens_only_their_holders_open_rooms() {
    let token: CreateToken = "handed-out-by-hand-1".parse().unwrap();
    let wrong: CreateToken = "handed-out-by-hand-2".parse().unwrap();
    let digests = BTreeSet::from([token.digest()]);
    let mut relay = Relay::with(|limits| limits.rooms = RoomsPolicy::Token(digests));
    let host = |token: Option<&CreateToken>| Hello {
        create_token: token.cloned(),
        ..gateway(1)
    };
    for hello in [host(None), host(Some(&wrong))] {
        assert_eq!(relay.refusal(&hello), CloseCode::RoomPolicy);
        let keyed = relay.try_join_keyed(&hello, &key(1)).unwrap_err();
        assert_eq!(keyed.code, CloseCode::RoomPolicy);
    }
    relay.join_keyed(&host(Some(&token)), &key(1));
    relay.join_keyed(&player(2), &key(1));
    relay.join(&host(Some(&token)));
    relay.join(&player(2));

    // Guesses of a token are counted like guesses of a room.
    let thief = Hello {
        create_token: Some(wrong),
        room: "OTHER".parse().unwrap(),
        ..gateway(9)
    };
    let mut codes = Vec::new();
    for _ in 0..=Limits::default().failed_joins {
        codes.push(relay.refusal(&thief));
    }
    assert_eq!(codes.first(), Some(&CloseCode::RoomPolicy));
    assert_eq!(codes.last(), Some(&CloseCode::NotAdmitted));
}

#[test]
fn a23_a_full_relay_still_serves_old_rooms() {
    let mut relay = Relay::with(|limits| limits.max_rooms = 2);
    relay.join_keyed(&gateway(1), &key(1));
    relay.join_keyed(&gateway(2), &key(2));
    let third = relay.try_join_keyed(&gateway(3), &key(3)).unwrap_err();
    assert_eq!(third.code, CloseCode::RelayFull);
    relay.join_keyed(&player(4), &key(1));
    relay.join_keyed(&player(5), &key(2));
}

#[test]
fn a23_one_network_opens_so_many_rooms_and_joins_any() {
    let mut relay = Relay::with(|limits| limits.max_rooms_per_prefix = 2);
    let at =
        |subnet: u16, host: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xDB8, 7, subnet, 0, 0, 0, host));
    let mut open = |from, n| relay.try_join_from(from, &gateway(n), &key(n)).map(drop);
    open(at(1, 1), 1).unwrap();
    open(at(1, 2), 2).unwrap();
    let third = open(at(1, 3), 3).unwrap_err();
    assert_eq!(third.code, CloseCode::RelayFull);
    // Its /56 may have four, its /48 eight.
    for n in 3..=4 {
        open(at(n.into(), 1), n).unwrap();
    }
    assert!(open(at(5, 1), 5).is_err());
    for n in 5..=8 {
        open(at(u16::from(n) << 8, 1), n).unwrap();
    }
    assert!(open(at(0xFF00, 1), 9).is_err());
    open(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77)), 9).unwrap();
    relay.try_join_from(at(1, 9), &player(20), &key(9)).unwrap();
}

#[test]
fn a23_rooms_in_which_nothing_moves_give_way_to_new_ones() {
    let mut relay = Relay::with(|limits| limits.max_rooms = 2);
    let squatter = relay.join_keyed(&gateway(1), &key(1));
    let host = relay.join(&gateway(2));
    let guest = relay.join(&player(3));
    relay.wait(Limits::default().room_idle / 2);
    relay.send(&guest, host.mac).unwrap();
    let early = relay.try_join_keyed(&gateway(4), &key(4)).unwrap_err();
    assert_eq!(early.code, CloseCode::RelayFull);
    relay.wait(Limits::default().room_idle / 2);
    relay.join_keyed(&gateway(4), &key(4));
    relay.wait_ms(600);
    assert_eq!(relay.closed[&squatter.conn], CloseCode::RelayFull);
    assert!(!relay.closed.contains_key(&host.conn));
    assert_eq!(relay.snapshot().rooms.len(), 2);
}
