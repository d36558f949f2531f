//! The host's say over who is in the room.

use std::time::Duration;

use lanparty_ctrl::{Access, Asking, CloseCode, Hello, Identity, Message, Remove};
use lanparty_relay_core::Limits;

use crate::support::*;

fn list(numbers: &[u8]) -> lanparty_ctrl::access::Identities {
    let identities = numbers.iter().map(|&n| Identity(identity(n)));
    identities.collect::<Vec<_>>().try_into().unwrap()
}

fn say_access(relay: &mut Relay, host: &Guest, approval: bool, banned: &[u8], approved: &[u8]) {
    let access = Access {
        approval,
        banned: list(banned),
        approved: list(approved),
    };
    relay.say(host.conn, &Message::Access(Box::new(access)));
}

fn asked(messages: &[Message]) -> Vec<Asking> {
    messages
        .iter()
        .filter_map(|message| match message {
            Message::Asking(asking) => Some((**asking).clone()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_newcomer_waits_outside_until_the_host_says_yes() {
    let mut relay = Relay::new();
    let host = relay.join_keyed(&gateway(1), &key(1));
    say_access(&mut relay, &host, true, &[], &[]);
    let pending = relay.try_join_keyed(&player(2), &key(1)).unwrap_err();
    assert_eq!(pending.code, CloseCode::ApprovalPending);
    assert_eq!(pending.retry_after_ms, Some(3_000));
    let heard = relay.heard(host.conn);
    assert!(joined(&heard).is_empty());
    let asking = asked(&heard);
    assert_eq!(asking.len(), 1);
    assert_eq!(asking[0].identity, Identity(identity(2)));
    assert_eq!(asking[0].mac, Some(mac(2)));
    // It keeps asking; the host is asked once.
    relay.try_join_keyed(&player(2), &key(1)).unwrap_err();
    assert!(relay.heard(host.conn).is_empty());
    say_access(&mut relay, &host, true, &[], &[2]);
    relay.try_join_keyed(&player(2), &key(1)).unwrap();
    // Waiting is no failed guess.
    for _ in 0..2 * Limits::default().failed_joins {
        let waiting = relay.try_join_keyed(&player(3), &key(1)).unwrap_err();
        assert_eq!(waiting.code, CloseCode::ApprovalPending);
    }
}

#[test]
fn a_gateway_that_comes_back_is_asked_again() {
    let mut relay = Relay::new();
    let host = relay.join_keyed(&gateway(1), &key(1));
    let guest = relay.join_keyed(&player(2), &key(1));
    say_access(&mut relay, &host, true, &[], &[2]);
    relay.try_join_keyed(&player(3), &key(1)).unwrap_err();
    relay.lose(&host);
    // The room keeps the host's word while its gateway is away.
    let waiting = relay.try_join_keyed(&player(3), &key(1)).unwrap_err();
    assert_eq!(waiting.code, CloseCode::ApprovalPending);
    let host = relay.join_keyed(&gateway(1), &key(1));
    relay.try_join_keyed(&player(3), &key(1)).unwrap_err();
    assert_eq!(asked(&relay.heard(host.conn)).len(), 1);
    assert!(!relay.closed.contains_key(&guest.conn));
}

#[test]
fn newcomers_without_end_cannot_fill_the_gateways_screen() {
    let mut relay = Relay::new();
    let host = relay.join_keyed(&gateway(1), &key(1));
    say_access(&mut relay, &host, true, &[], &[]);
    for n in 2..=255 {
        relay.try_join_keyed(&player(n), &key(1)).unwrap_err();
    }
    assert_eq!(asked(&relay.heard(host.conn)).len(), 64);
    // Who was not decided about is named again later, so nobody is lost.
    relay.wait(Limits::default().ask_again);
    relay.try_join_keyed(&player(255), &key(1)).unwrap_err();
    assert_eq!(asked(&relay.heard(host.conn)).len(), 1);
}

#[test]
fn with_approval_nobody_stays_who_was_not_approved_and_nobody_else_hosts() {
    let mut relay = Relay::new();
    let host = relay.join_keyed(&gateway(1), &key(1));
    let friend = relay.join_keyed(&player(2), &key(1));
    let early = relay.join_keyed(&player(3), &key(1));
    say_access(&mut relay, &host, true, &[], &[2]);
    assert_eq!(
        left(&relay.heard(friend.conn))[0].reason,
        CloseCode::ApprovalPending
    );
    relay.wait_ms(600);
    assert_eq!(relay.closed[&early.conn], CloseCode::ApprovalPending);
    // A holder of the key cannot take the host's place to let itself in.
    relay.lose(&host);
    let usurper = relay.try_join_keyed(&gateway(4), &key(1)).unwrap_err();
    assert_eq!(usurper.code, CloseCode::ApprovalPending);
    relay.join_keyed(&gateway(1), &key(1));
}

#[test]
fn a_member_that_is_put_out_hears_it_and_the_others_too() {
    let mut relay = Relay::new();
    let host = relay.join_keyed(&gateway(1), &key(1));
    let guest = relay.join_keyed(&player(2), &key(1));
    let witness = relay.join_keyed(&player(3), &key(1));
    let kick = Remove {
        peer: guest.id(),
        ban: false,
    };
    relay.say(host.conn, &Message::Remove(kick));
    assert_eq!(
        left(&relay.heard(witness.conn))[0].reason,
        CloseCode::Removed
    );
    assert!(CloseCode::Removed.is_final());
    let heard = relay.heard(guest.conn);
    assert!(
        matches!(&heard[..], [Message::Disconnect(bye)] if bye.reason == CloseCode::Removed),
        "{heard:?}"
    );
    relay.wait_ms(600);
    assert_eq!(relay.closed[&guest.conn], CloseCode::Removed);
    // A person may start the program again; peers that are gone are no error.
    relay.say(host.conn, &Message::Remove(kick));
    relay.join_keyed(&player(2), &key(1));
    assert!(!relay.closed.contains_key(&host.conn));
}

#[test]
fn a_ban_holds_also_for_the_token_of_better_days_until_it_is_lifted() {
    let mut relay = Relay::new();
    let host = relay.join_keyed(&gateway(1), &key(1));
    let guest = relay.join_keyed(&player(2), &key(1));
    let ban = Remove {
        peer: guest.id(),
        ban: true,
    };
    relay.say(host.conn, &Message::Remove(ban));
    let back = Hello {
        resume: Some(guest.welcome.resume.clone()),
        ..player(2)
    };
    let refused = relay.try_join_keyed(&back, &key(1)).unwrap_err();
    assert_eq!(refused.code, CloseCode::NotAdmitted);
    // Nor as another kind of member.
    relay.lose(&host);
    let witness = relay.try_join_keyed(&player(3), &key(1));
    assert!(witness.is_err(), "the room went with its last member");
    let host = relay.join_keyed(&gateway(1), &key(1));
    say_access(&mut relay, &host, false, &[2], &[]);
    let refused = relay.try_join_keyed(&back, &key(1)).unwrap_err();
    assert_eq!(refused.code, CloseCode::NotAdmitted);
    say_access(&mut relay, &host, false, &[], &[]);
    relay.join_keyed(&back, &key(1));
}

#[test]
fn a_list_that_bans_members_puts_them_out_and_never_the_host() {
    let mut relay = Relay::new();
    let host = relay.join(&gateway(1));
    let guest = relay.join(&player(2));
    say_access(&mut relay, &host, false, &[1, 2], &[]);
    relay.wait(Duration::from_secs(1));
    assert_eq!(relay.closed[&guest.conn], CloseCode::Removed);
    assert!(!relay.closed.contains_key(&host.conn));
    relay.lose(&host);
    relay.join(&gateway(1));
}
