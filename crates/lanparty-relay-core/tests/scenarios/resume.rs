//! Coming back: after a lost connection, and to a relay that has restarted.

use std::time::Duration;

use crate::support::*;
use lanparty_ctrl::{CloseCode, Hello, ResumeToken};
use lanparty_relay_core::Limits;

/// Another process of the same relay, so much later.
fn restarted(later: Duration) -> Relay {
    Relay::start(Limits::default(), later, TestRng::seeded(99))
}

fn with_token(hello: Hello, guest: &Guest) -> Hello {
    Hello {
        resume: Some(guest.welcome.resume.clone()),
        ..hello
    }
}

#[test]
fn a_restarted_relay_gives_everyone_the_same_id_back() {
    let mut before = Relay::new();
    let guests: Vec<(Hello, Guest)> = (1..=20)
        .map(player)
        .chain([gateway(21)])
        .map(|hello| (hello.clone(), before.join(&hello)))
        .collect();
    let mut after = restarted(Duration::from_secs(60));
    for (hello, guest) in &guests {
        let back = after.join(&with_token(hello.clone(), guest));
        assert_eq!(back.id(), guest.id());
    }
}

#[test]
fn a_token_of_another_member_or_room_or_mac_gives_a_fresh_id() {
    let mut before = Relay::new();
    let guest = before.join(&player(1));
    let mut after = restarted(Duration::from_secs(1));
    let thief = after.join(&with_token(player(2), &guest));
    assert_ne!(thief.id(), guest.id());

    let mut elsewhere = player(1);
    elsewhere.room = "ROOM2".parse().unwrap();
    assert_ne!(after.join(&with_token(elsewhere, &guest)).id(), guest.id());

    let mut moved = player(1);
    moved.mac = Some(mac(9));
    assert_ne!(after.join(&with_token(moved, &guest)).id(), guest.id());
}

#[test]
fn a_token_expires_and_nonsense_is_no_token_but_no_reason_to_refuse_either() {
    let mut before = Relay::new();
    let guest = before.join(&player(1));
    let mut after = restarted(Limits::default().resume_lifetime);
    assert_ne!(after.join(&with_token(player(1), &guest)).id(), guest.id());

    let mut after = restarted(Duration::from_secs(1));
    let mut nonsense = player(1);
    nonsense.resume = Some(ResumeToken::try_from(vec![1; 200]).unwrap());
    assert_ne!(after.join(&nonsense).id(), guest.id());
}

#[test]
fn a_token_cannot_take_an_id_that_somebody_has() {
    let mut before = Relay::start(Limits::default(), Duration::ZERO, TestRng::Stuck(500));
    let guest = before.join(&player(1));
    let mut after = Relay::start(
        Limits::default(),
        Duration::from_secs(1),
        TestRng::Stuck(500),
    );
    let other = after.join(&player(2));
    assert_eq!(other.id(), guest.id());
    let back = after.join(&with_token(player(1), &guest));
    assert_ne!(back.id(), other.id());
}

#[test]
fn each_welcome_renews_the_token() {
    let mut relay = Relay::new();
    let first = relay.join(&player(1));
    relay.wait(Duration::from_secs(6 * 24 * 3_600));
    relay.leave(&first, CloseCode::Normal);
    let second = relay.join(&with_token(player(1), &first));
    assert_eq!(second.id(), first.id());
    let mut after = restarted(Duration::from_secs(12 * 24 * 3_600));
    assert_eq!(after.join(&with_token(player(1), &second)).id(), first.id());
}
