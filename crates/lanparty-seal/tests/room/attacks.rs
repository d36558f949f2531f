//! What the relay may try.

use std::time::Duration;

use lanparty_ctrl::{PeerInfo, Role};
use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;
use lanparty_seal::body::Body;
use lanparty_seal::keyring::Unbelievable;
use lanparty_seal::{KeyEvent, Opened, RoomKey, Standing};
use proptest::prelude::*;

use crate::party::{KEY, Letter, Party, Sealed, peer, signer};

const SECOND: Duration = Duration::from_secs(1);
/// First bytes of bodies (docs/protocol.md, section 13).
const ANNOUNCE: u8 = 1;
const KEY_LETTER: u8 = 2;
const HEARTBEAT: u8 = 5;

#[test]
fn a5_a_bit_that_the_relay_flips_drops_the_frame() {
    let mut party = Party::of(2);
    let sealed = party.seal(peer(1), b"move the queen");
    for bit in 0..sealed.frame.len() * 8 {
        let mut forged = sealed.clone();
        forged.frame[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            party.open(peer(2), &forged),
            Err(DropReason::SealForged),
            "{bit}"
        );
    }
    assert_eq!(party.open(peer(2), &sealed), Ok(Opened::Frame));
}

#[test]
fn a5_a_frame_under_another_members_name_is_forged() {
    let mut party = Party::of(3);
    let sealed = party.seal(peer(1), b"move the queen");
    let forged = Sealed {
        source: peer(3),
        ..sealed
    };
    assert_eq!(party.open(peer(2), &forged), Err(DropReason::SealForged));
}

#[test]
fn a6_a_frame_that_comes_twice_is_taken_once() {
    let mut party = Party::of(2);
    let frames: Vec<_> = (0..20).map(|n| party.seal(peer(1), &[n])).collect();
    for sealed in frames.iter().rev().chain(&frames).chain(&frames) {
        let _ = party.open(peer(2), sealed);
    }
    let mut heard: Vec<_> = party.member(peer(2)).heard.drain(..).collect();
    heard.sort();
    let expected: Vec<_> = (0..20).map(|n| (peer(1), vec![n])).collect();
    assert_eq!(heard, expected);
    assert_eq!(
        party.open(peer(2), &frames[7]),
        Err(DropReason::SealReplayed)
    );
}

/// The relay repeats all key messages of a session that ended, under the very
/// card of that session, and then the frames of that time.
#[test]
fn a6_a_session_that_left_cannot_be_played_again() {
    let mut party = Party::of(2);
    let old = party.seal(peer(1), b"yes");
    party.open(peer(2), &old).unwrap();
    let letters = party.capture.clone();
    let gone = party.leave(peer(1), false);
    party.pass(10 * SECOND);

    let now = party.now;
    party.member(peer(2)).keys.member_joined(&gone.info, now);
    for letter in letters.iter().filter(|letter| letter.to == peer(2)) {
        let _ = party.deliver(letter);
    }
    let replayed = party.open(peer(2), &old);
    party.pass(2 * SECOND);
    assert_ne!(replayed, Ok(Opened::Frame));
    assert_eq!(party.member(peer(2)).heard.len(), 1);
}

#[test]
fn a6_old_key_messages_change_nothing() {
    let mut party = Party::of(3);
    let old = party.seal(peer(1), b"yes");
    party.open(peer(2), &old).unwrap();
    let letters = party.capture.clone();
    drop(party.leave(peer(3), false));
    party.pass(5 * SECOND);
    party.converses().unwrap();
    for letter in &letters {
        let _ = party.deliver(letter);
    }
    party.pass(3 * SECOND);
    assert_eq!(party.open(peer(2), &old), Err(DropReason::NoKey));
    party.converses().unwrap();
}

/// A member that only the relay knows: it has a card, and no room key.
#[test]
fn a5_a_planted_ghost_is_shown_and_learns_nothing() {
    let mut party = Party::of(2);
    let before = party.capture.len();
    let guess = RoomKey::from_bytes([0x11; 32]);
    let ghost = party.join(Role::Client, guess);
    party.pass(6 * SECOND);
    for at in [peer(1), peer(2)] {
        assert_eq!(party.standing(ghost, at), Some(Standing::Unverified));
        assert!(
            party
                .member(at)
                .events
                .contains(&KeyEvent::Unverified(ghost))
        );
        let to_ghost = |letter: &&Letter| letter.from == at && letter.to == ghost;
        let sent = party.capture[before..].iter().filter(to_ghost);
        // Nothing but announcements, and heartbeats to all.
        for letter in sent {
            let body = Body::decode(&letter.body).unwrap();
            assert!(
                !matches!(body, Body::Key(_) | Body::Rotation(_)),
                "{body:?}"
            );
        }
        let sealed = party.seal(at, b"secret");
        assert_eq!(party.open(ghost, &sealed), Err(DropReason::NoKey));
        let forged = party.seal(ghost, b"hi");
        assert_eq!(party.open(at, &forged), Err(DropReason::NoKey));
    }
}

#[test]
fn a5_a_stolen_card_does_not_verify_a_ghost() {
    let mut party = Party::of(2);
    let honest = party.member(peer(1)).info.clone();
    let ghost = PeerInfo {
        peer: peer(99),
        mac: Some(MacAddr([2, 0, 0, 0, 0, 99])),
        ..honest
    };
    let now = party.now;
    party.member(peer(2)).keys.member_joined(&ghost, now);
    let announcement = party.capture.iter().find(|l| l.body[0] == 1).cloned();
    let stolen = Letter {
        from: peer(99),
        to: peer(2),
        ..announcement.unwrap()
    };
    assert_eq!(party.deliver(&stolen), Err(Unbelievable::Proof));
}

#[test]
fn a5_a_name_that_the_relay_changed_does_not_verify() {
    let mut party = Party::new();
    let ann = party.join(Role::Client, KEY);
    party.member(ann).info.name = "the host".parse().unwrap();
    let bob = party.join(Role::Client, KEY);
    party.pass(6 * SECOND);
    assert_eq!(party.standing(ann, bob), Some(Standing::Unverified));
}

#[test]
fn whoever_the_host_kicked_reads_nothing_more() {
    let mut party = Party::new();
    let host = party.join(Role::Gateway, KEY);
    let ann = party.join(Role::Client, KEY);
    let bob = party.join(Role::Client, KEY);
    party.pass(2 * SECOND);
    party.converses().unwrap();
    let now = party.now;
    party.member(host).keys.kick(bob, now);
    // The relay colludes: it keeps passing everything on.
    party.pass(Duration::from_millis(200));
    for from in [host, ann] {
        let sealed = party.seal(from, b"now without Bob");
        assert_eq!(party.open(bob, &sealed), Ok(Opened::Held), "{from:?}");
        let other = if from == host { ann } else { host };
        assert_eq!(party.open(other, &sealed), Ok(Opened::Frame));
        let from_bob = party.seal(bob, b"me again");
        assert_eq!(party.open(from, &from_bob), Err(DropReason::NoKey));
    }
    assert_eq!(party.standing(bob, ann), Some(Standing::Removed));
    assert!(party.member(ann).events.contains(&KeyEvent::Removed(bob)));
    party.pass(60 * SECOND);
    assert_eq!(party.member(bob).heard.len(), 2);
}

#[test]
fn a_newcomer_reads_nothing_from_before_it_came() {
    let mut party = Party::of(2);
    let before: Vec<_> = [1, 2]
        .map(|id| party.seal(peer(id), b"before Carol"))
        .into();
    let carol = party.join(Role::Client, KEY);
    party.pass(SECOND);
    for sealed in &before {
        assert_eq!(party.open(carol, sealed), Err(DropReason::NoKey));
    }
    party.converses().unwrap();
}

#[test]
fn who_left_reads_nothing_two_seconds_later() {
    let mut party = Party::of(3);
    let mut gone = party.leave(peer(3), false);
    party.pass(2 * SECOND);
    let sealed = party.seal(peer(1), b"after Carol");
    let now = party.now;
    assert_eq!(party.open(peer(2), &sealed), Ok(Opened::Frame));
    assert_ne!(gone.open(&sealed, now), Ok(Opened::Frame));
}

#[test]
fn a_banned_identity_is_out_in_every_session() {
    let mut party = Party::new();
    let host = party.join(Role::Gateway, KEY);
    let ann = party.join(Role::Client, KEY);
    let now = party.now;
    let banned = [signer(77).identity()];
    party.member(host).keys.set_banned(banned, now);
    let eve = party.join_as(77, Role::Client, KEY);
    party.pass(2 * SECOND);
    let sealed = party.seal(ann, b"without Eve");
    assert_ne!(party.open(eve, &sealed), Ok(Opened::Frame));
    party.leave(eve, false);
    let again = party.join_as(77, Role::Client, KEY);
    party.pass(2 * SECOND);
    assert_eq!(party.standing(again, ann), Some(Standing::Removed));
    party.member(host).keys.set_banned([], now);
    party.leave(again, false);
    let pardoned = party.join_as(77, Role::Client, KEY);
    party.pass(2 * SECOND);
    assert_eq!(party.standing(pardoned, ann), Some(Standing::Verified));
}

#[test]
fn only_the_host_removes_members() {
    let mut party = Party::new();
    party.join(Role::Gateway, KEY);
    let ann = party.join(Role::Client, KEY);
    let bob = party.join(Role::Client, KEY);
    party.pass(2 * SECOND);
    let mut roster = party
        .capture
        .iter()
        .find(|l| l.body[0] == 4)
        .cloned()
        .unwrap();
    roster.from = bob;
    roster.to = ann;
    assert_eq!(party.deliver(&roster), Err(Unbelievable::NotTheHost));
    // The relay cannot change one either.
    let mut forged = party
        .capture
        .iter()
        .find(|l| l.body[0] == 4)
        .cloned()
        .unwrap();
    forged.body[8] += 1;
    assert_eq!(party.deliver(&forged), Err(Unbelievable::Proof));
}

#[test]
fn a_room_that_the_relay_splits_shows() {
    let mut party = Party::of(3);
    // It hides the third from the first and tells the second of both.
    let now = party.now;
    party.member(peer(1)).keys.member_left(peer(3), false, now);
    party.pass(120 * SECOND);
    let split =
        |party: &mut Party, at, with| party.member(at).events.contains(&KeyEvent::Split(with));
    assert!(split(&mut party, peer(1), peer(2)));
    assert!(split(&mut party, peer(2), peer(1)));
    let third = party.leave(peer(3), false);
    party.enter(third);
    party.pass(120 * SECOND);
    let ended = KeyEvent::SplitEnded(peer(2));
    assert!(party.member(peer(1)).events.contains(&ended));
}

#[test]
fn a_hosts_decision_that_the_relay_withholds_shows() {
    let mut party = Party::new();
    let host = party.join(Role::Gateway, KEY);
    let ann = party.join(Role::Client, KEY);
    party.pass(30 * SECOND);
    assert_eq!(party.member(ann).events, []);
    party.passes = |letter| letter.body[0] != 4;
    let now = party.now;
    party.member(host).keys.set_banned([[9; 32]], now);
    party.pass(120 * SECOND);
    assert_eq!(party.member(ann).events, [KeyEvent::Split(host)]);
}

#[test]
fn heartbeats_that_the_relay_withholds_are_missed() {
    let mut party = Party::of(3);
    party.pass(30 * SECOND);
    assert_eq!(party.member(peer(1)).events, []);
    party.passes = |letter| letter.body[0] != HEARTBEAT;
    party.pass(120 * SECOND);
    let events = &party.member(peer(1)).events;
    assert!(events.contains(&KeyEvent::Split(peer(2))));
    assert!(events.contains(&KeyEvent::Split(peer(3))));
}

#[test]
fn an_honest_room_never_looks_split() {
    let mut party = Party::new();
    party.join(Role::Gateway, KEY);
    for _ in 0..6 {
        party.join(Role::Client, KEY);
        party.pass(7 * SECOND);
    }
    party.leave(peer(3), false);
    party.pass(300 * SECOND);
    for member in party.members.values() {
        assert_eq!(member.events, []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The relay delivers, repeats, drops, reorders and redirects letters as
    /// it likes; then it behaves. No frame is heard twice, and the room comes
    /// back to itself.
    #[test]
    fn a6_no_order_of_deliveries_opens_a_frame_twice(
        actions in prop::collection::vec((0..6_u8, any::<u16>(), 1..4_u16), 1..60),
    ) {
        let mut party = Party::of(3);
        let mut frames = Vec::new();
        let mut sent = 0_u64;
        for (action, pick, from) in actions {
            let pick = usize::from(pick);
            match action {
                0 => {
                    sent += 1;
                    frames.push(party.seal(peer(from), &sent.to_be_bytes()));
                }
                1 if !party.capture.is_empty() => {
                    let letter = party.capture[pick % party.capture.len()].clone();
                    let _ = party.deliver(&letter);
                }
                2 if !frames.is_empty() => {
                    let sealed = frames[pick % frames.len()].clone();
                    let _ = party.open(peer(from), &sealed);
                }
                3 => {
                    let now = party.now;
                    let info = party.member(peer(from)).info.clone();
                    for at in (1..4).filter(|at| *at != from) {
                        let keys = &mut party.member(peer(at)).keys;
                        keys.member_left(peer(from), false, now);
                        keys.member_joined(&info, now);
                    }
                }
                4 => party.pass(Duration::from_millis(pick as u64)),
                _ => {
                    let gone = party.leave(peer(from), false);
                    party.enter(gone);
                }
            }
        }
        for member in party.members.values() {
            let mut heard = member.heard.clone();
            heard.sort();
            let before = heard.len();
            heard.dedup();
            prop_assert_eq!(heard.len(), before);
        }
        for id in 1..4 {
            let back = party.leave(peer(id), false);
            party.enter(back);
        }
        party.pass(3 * SECOND);
        prop_assert_eq!(party.converses(), Ok(()));
    }

    #[test]
    fn whatever_the_relay_writes_is_refused(
        kind in 0..8_u8,
        rest in prop::collection::vec(any::<u8>(), 0..250),
        mutate in any::<(u16, u8)>(),
    ) {
        let mut party = Party::of(2);
        let body = [&[kind], &rest[..]].concat();
        let (from, to) = (peer(1), peer(2));
        let refused = party.deliver(&Letter { from, to, body: body.clone() });
        // A request is the one message without a proof; it costs its sender a
        // letter that only its reader can open.
        let is_request = matches!(Body::decode(&body), Ok(Body::Request(_)));
        prop_assert!(refused.is_err() || is_request);

        let letters = party.capture.len();
        let mut letter = party.capture[usize::from(mutate.0) % letters].clone();
        let at = usize::from(mutate.1) % letter.body.len();
        letter.body[at] ^= 1 + mutate.1 % 255;
        let is_request = matches!(Body::decode(&letter.body), Ok(Body::Request(_)));
        // An announcement's wish to be answered is no secret and no proof.
        let is_wish = letter.body[0] == 1 && at == 1;
        let refused = party.deliver(&letter);
        prop_assert!(refused.is_err() || is_request || is_wish);
        party.pass(3 * SECOND);
        prop_assert_eq!(party.converses(), Ok(()));
    }
}

#[test]
fn a_heartbeat_that_the_relay_changed_is_not_believed() {
    let mut party = Party::of(2);
    party.pass(30 * SECOND);
    let to_bob = |letter: &&Letter| letter.body[0] == 5 && letter.to == peer(2);
    let mut beat = party.capture.iter().rfind(to_bob).cloned().unwrap();
    assert_eq!(party.deliver(&beat), Err(Unbelievable::Old));
    beat.body[1] = 1;
    assert_eq!(party.deliver(&beat), Err(Unbelievable::Proof));
}

#[test]
fn an_older_decision_of_the_host_does_not_come_back() {
    let mut party = Party::new();
    let host = party.join(Role::Gateway, KEY);
    let ann = party.join(Role::Client, KEY);
    party.pass(2 * SECOND);
    let first = party.capture.iter().find(|l| l.body[0] == 4).cloned();
    let now = party.now;
    party.member(host).keys.set_banned([[9; 32]], now);
    party.pass(2 * SECOND);
    let first = first.unwrap();
    assert_eq!((first.from, first.to), (host, ann));
    assert_eq!(party.deliver(&first), Err(Unbelievable::Old));
}

#[test]
fn a_second_gateway_has_no_say_even_with_the_key() {
    let mut party = Party::new();
    party.join(Role::Gateway, KEY);
    let ann = party.join(Role::Client, KEY);
    let bob = party.join(Role::Client, KEY);
    party.pass(2 * SECOND);
    let mallory = party.join(Role::Gateway, KEY);
    party.pass(2 * SECOND);
    let banned = party.member(bob).info.key_card.identity;
    let next = RoomKey::from_bytes([0x5A; 32]);
    let now = party.now;
    let keys = &mut party.member(mallory).keys;
    keys.set_banned([banned], now);
    keys.rotate_to(&next, now);
    party.pass(2 * SECOND);
    assert_eq!(party.standing(bob, ann), Some(Standing::Verified));
    let events = &party.member(ann).events;
    assert!(!events.contains(&KeyEvent::RoomKeyRotated(next)));
}

#[test]
fn the_word_of_the_hosts_former_session_does_not_come_back() {
    let mut party = Party::new();
    let first = party.join_as(99, Role::Gateway, KEY);
    let ann = party.join(Role::Client, KEY);
    let bob = party.join(Role::Client, KEY);
    party.pass(2 * SECOND);
    let former = party.leave(first, false);
    let host = party.join_as(99, Role::Gateway, KEY);
    party.pass(2 * SECOND);
    let banned = party.member(bob).info.key_card.identity;
    let now = party.now;
    party.member(host).keys.set_banned([banned], now);
    party.pass(2 * SECOND);
    assert_eq!(party.standing(bob, ann), Some(Standing::Removed));
    // The relay lists the session from before the ban again.
    party.enter(former);
    party.pass(5 * SECOND);
    assert_eq!(party.standing(bob, ann), Some(Standing::Removed));
    // Once: it was never taken back.
    let events = party.member(ann).events.iter();
    let removed = events.filter(|event| **event == KeyEvent::Removed(bob));
    assert_eq!(removed.count(), 1);
}

#[test]
fn who_asks_without_end_is_answered_once_a_second() {
    let mut party = Party::of(2);
    party.pass(5 * SECOND);
    let asking = party
        .capture
        .iter()
        .find(|l| l.body[0] == ANNOUNCE && l.to == peer(1) && l.body[1] != 0)
        .cloned()
        .unwrap();
    let before = party.capture.len();
    for _ in 0..500 {
        let _refused_or_not = party.deliver(&asking);
        party.pass(Duration::from_millis(2));
    }
    let answers = party.capture[before..].iter();
    let answers = answers.filter(|l| l.body[0] == ANNOUNCE && l.from == peer(1));
    assert!((1..=2).contains(&answers.count()));
}

#[test]
fn departures_that_the_relay_makes_up_change_no_keys() {
    let mut party = Party::of(2);
    party.pass(5 * SECOND);
    let mut ghost = party.member(peer(2)).info.clone();
    ghost.peer = peer(77);
    ghost.key_card.session = [0x77; 16];
    let before = party.capture.len();
    for _ in 0..5 {
        let now = party.now;
        let keys = &mut party.member(peer(1)).keys;
        keys.member_joined(&ghost, now);
        keys.member_left(peer(77), true, now);
        party.pass(SECOND);
    }
    let letters = party.capture[before..].iter();
    assert_eq!(letters.filter(|l| l.body[0] == KEY_LETTER).count(), 0);
}

#[test]
fn a_new_x25519_key_is_announced_every_hour() {
    let mut party = Party::of(2);
    party.pass(3_700 * SECOND);
    let numbers = party.capture.iter().filter(|l| l.body[0] == 1);
    let numbers: Vec<_> = numbers.map(|l| l.body[5]).collect();
    assert_eq!(numbers.iter().filter(|number| **number == 1).count(), 2);
}
