//! Members come, go and are many; frames keep flowing.

use std::time::Duration;

use lanparty_ctrl::Role;
use lanparty_obs::DropReason;
use lanparty_seal::{KeyEvent, Opened, RoomKey, Standing};

use crate::party::{KEY, Party, peer};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn two_members_read_each_other_two_round_trips_after_they_meet() {
    let mut party = Party::new();
    let ann = party.join(Role::Client, KEY);
    party.pass(SECOND);
    let bob = party.join(Role::Client, KEY);
    party.pass(Duration::from_millis(250));
    party.converses().unwrap();
    assert_eq!(party.standing(bob, ann), Some(Standing::Verified));
    assert_eq!(party.standing(ann, bob), Some(Standing::Verified));
}

#[test]
fn a_newcomers_first_frames_wait_for_its_key() {
    let mut party = Party::of(2);
    let carol = party.join(Role::Client, KEY);
    let sealed: Vec<_> = (0..3).map(|n| party.seal(carol, &[n])).collect();
    for frame in &sealed {
        assert_eq!(party.open(peer(1), frame), Ok(Opened::Held));
    }
    party.pass(SECOND);
    let heard: Vec<_> = (0..3).map(|n| (carol, vec![n])).collect();
    assert_eq!(party.member(peer(1)).heard, heard);
}

#[test]
fn a_frame_whose_key_never_comes_is_counted() {
    let mut party = Party::of(2);
    party.passes = |_| false;
    let carol = party.join(Role::Client, KEY);
    let sealed = party.seal(carol, b"hello");
    for _ in 0..100 {
        let _ = party.open(peer(1), &sealed);
    }
    party.pass(2 * SECOND);
    let ann = party.member(peer(1));
    assert_eq!(ann.drops.get(DropReason::NoKey), 64);
    assert!(ann.heard.is_empty());
}

#[test]
fn thirty_members_that_join_at_once_all_read_each_other() {
    let mut party = Party::new();
    party.join(Role::Gateway, KEY);
    for _ in 1..30 {
        party.join(Role::Client, KEY);
    }
    party.pass(2 * SECOND);
    party.converses().unwrap();
    // One announcement to all and one in return, one roster, and a key each
    // way; a second key where a generation ended.
    assert!(
        party.capture.len() <= 30 * 29 * 5,
        "{}",
        party.capture.len()
    );
}

#[test]
fn frames_flow_without_a_loss_while_members_come_and_go() {
    let mut party = Party::of(4);
    let mut sent = 0;
    let mut leaving = Vec::new();
    for round in 0..400_u64 {
        match round % 40 {
            5 => leaving.push(party.join(Role::Client, KEY)),
            25 => drop(party.leave(leaving.pop().unwrap(), false)),
            _ => {}
        }
        for from in [peer(1), peer(2)] {
            let sealed = party.seal(from, &round.to_be_bytes());
            for at in [peer(1), peer(2), peer(3)] {
                if at != from {
                    party.open(at, &sealed).unwrap();
                    sent += 1;
                }
            }
        }
        party.pass(Duration::from_millis(50));
    }
    party.pass(SECOND);
    let heard: usize = (1..=3).map(|id| party.member(peer(id)).heard.len()).sum();
    assert_eq!(heard, sent);
}

#[test]
fn frames_flow_through_every_planned_change_of_keys() {
    let mut party = Party::of(3);
    let mut epochs = std::collections::BTreeSet::new();
    for _ in 0..5 * 60 {
        let sealed = party.seal(peer(1), b"still here");
        epochs.insert(sealed.header[0]);
        assert_eq!(party.open(peer(2), &sealed), Ok(Opened::Frame));
        assert_eq!(party.open(peer(3), &sealed), Ok(Opened::Frame));
        party.pass(60 * SECOND);
    }
    // A change every ten minutes for five hours, past the sixteen steps of a
    // generation.
    assert!(epochs.len() >= 29, "{epochs:?}");
}

#[test]
fn a_member_that_returns_is_read_again_and_its_counters_go_on() {
    let mut party = Party::of(3);
    let before = party.seal(peer(2), b"before");
    party.open(peer(1), &before).unwrap();
    let gone = party.leave(peer(2), false);
    party.pass(5 * SECOND);
    party.enter(gone);
    party.pass(SECOND);
    party.converses().unwrap();
    let after = party.seal(peer(2), b"after");
    assert_ne!(after.header[0], before.header[0]);
}

#[test]
fn everybody_returns_after_the_relay_was_restarted() {
    let mut party = Party::of(6);
    let mut members = std::mem::take(&mut party.members);
    party.pass(3 * SECOND);
    while let Some((_, member)) = members.pop_last() {
        party.enter(member);
        party.pass(Duration::from_millis(100));
    }
    party.pass(SECOND);
    party.converses().unwrap();
}

#[test]
fn a_lost_letter_is_asked_for_again() {
    let mut party = Party::of(2);
    // A relay that loses every letter with a key (its first byte is 2).
    party.passes = |letter| letter.body[0] != 2;
    let carol = party.join(Role::Client, KEY);
    party.pass(SECOND);
    assert!(party.converses().is_err());
    party.passes = |_| true;
    party.pass(4 * SECOND);
    party.converses().unwrap();
    assert_eq!(party.standing(carol, peer(1)), Some(Standing::Verified));
}

#[test]
fn the_hosts_next_room_key_reaches_who_is_here_and_nobody_who_comes_later() {
    let mut party = Party::new();
    let host = party.join(Role::Gateway, KEY);
    let ann = party.join(Role::Client, KEY);
    party.pass(SECOND);
    let next = RoomKey::from_bytes([0x5A; 32]);
    let now = party.now;
    party.member(host).keys.rotate_to(&next, now);
    party.pass(SECOND);
    let bob = party.join(Role::Client, KEY);
    party.pass(SECOND);
    let rotated = KeyEvent::RoomKeyRotated(next);
    assert!(party.member(ann).events.contains(&rotated));
    // Bob may be somebody whom the new key is to keep out.
    assert!(!party.member(bob).events.contains(&rotated));
}

#[test]
fn keys_are_renewed_every_hour_and_letters_still_arrive() {
    let mut party = Party::of(2);
    party.pass(3_700 * SECOND);
    party.join(Role::Client, KEY);
    party.pass(SECOND);
    party.leave(peer(1), false);
    party.pass(3 * SECOND);
    party.converses().unwrap();
}
