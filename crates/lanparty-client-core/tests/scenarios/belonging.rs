//! Rooms with a key: what a member proves, and what it insists on.

use std::time::Duration;

use lanparty_client_core::session::KNOCK_FOR;
use lanparty_client_core::{DisconnectCause, End, SessionEvent};
use lanparty_ctrl::{
    Access, Asking, CloseCode, Feature, Hello, Identity, Message, Reject, Remove, Role, Welcome,
    feature,
};

use crate::harness::{EXPORTER, Member, mac, peer, welcome};

const SECOND: Duration = Duration::from_secs(1);

fn hello(member: &Member) -> Hello {
    let mut sent = member.sent.iter().rev();
    let is_hello = |message: &&Message| matches!(message, Message::Hello(_));
    let Some(Message::Hello(hello)) = sent.find(is_hello) else {
        unreachable!()
    };
    (**hello).clone()
}

/// The answer of a relay that lets this member into the room of its key.
fn keyed_welcome(member: &Member, id: u8, change: impl FnOnce(&mut Welcome)) -> Message {
    let Message::Welcome(mut welcome) = welcome(id, None) else {
        unreachable!()
    };
    welcome.room_id = member.session.config().room_id();
    welcome.features = vec![Feature::seal()].try_into().unwrap();
    change(&mut welcome);
    Message::Welcome(welcome)
}

fn joined(role: Role, key: u8) -> Member {
    let mut member = Member::keyed(role, 1, key);
    member.connect();
    let welcome = keyed_welcome(&member, 1, |_| {});
    member.relay(&welcome);
    assert!(member.session.is_joined());
    member
}

fn refuse(member: &mut Member, code: CloseCode) {
    member.relay(&Message::Reject(Reject {
        code,
        message: "no".parse().unwrap(),
        retry_after_ms: None,
        relay_version: 1,
    }));
}

/// Waits for the next dial and connects.
fn redial(member: &mut Member) {
    let dials = member.dials.len();
    while member.dials.len() == dials {
        member.pass(Duration::from_millis(50));
    }
    member.connect();
}

#[test]
fn a_member_proves_its_key_for_this_connection_and_offers_to_seal() {
    let mut member = Member::keyed(Role::Client, 1, 7);
    member.connect();
    let hello = hello(&member);
    let proof = hello.admission.unwrap();
    assert!(proof.verify(&EXPORTER, &hello.key_card.identity, &hello));
    assert!(!proof.verify(&[0; 32], &hello.key_card.identity, &hello));
    assert!(feature::has_seal(&hello.features));
    assert!(!hello.create);
    let mut host = Member::keyed(Role::Gateway, 2, 7);
    host.connect();
    let hello = self::hello(&host);
    assert!(hello.create);
    assert_eq!(hello.admission.unwrap().public_key, proof.public_key);
}

#[test]
fn without_a_key_nothing_is_proved_or_offered() {
    let mut member = Member::player(1);
    member.connect();
    let hello = hello(&member);
    assert_eq!(hello.admission, None);
    assert!(!feature::has_seal(&hello.features));
}

#[test]
fn a17_a_keyed_member_stays_in_no_other_room_and_in_none_without_seals() {
    type Change = fn(&mut Welcome);
    let changes: [Change; 2] = [
        |welcome| welcome.room_id.0[0] ^= 1,
        |welcome| welcome.features = Default::default(),
    ];
    for change in changes {
        let mut member = Member::keyed(Role::Client, 1, 7);
        member.connect();
        let welcome = keyed_welcome(&member, 1, change);
        member.relay(&welcome);
        assert!(!member.session.is_joined());
        assert_eq!(member.closes, [CloseCode::ProtocolError]);
        let last = member.events.last();
        assert!(matches!(
            last,
            Some(SessionEvent::Ended(End::Protocol { .. }))
        ));
        member.pass(SECOND * 600);
        assert_eq!(member.dials.len(), 1);
    }
}

#[test]
fn a_stranger_that_is_not_admitted_is_told_so_once_and_for_all() {
    let mut member = Member::keyed(Role::Client, 1, 7);
    member.connect();
    refuse(&mut member, CloseCode::NotAdmitted);
    let last = member.events.last();
    assert!(matches!(
        last,
        Some(SessionEvent::Ended(End::Rejected { .. }))
    ));
}

#[test]
fn a_member_whose_relay_lost_its_memory_knocks_until_the_host_can_be_back() {
    let mut member = joined(Role::Client, 7);
    member.lose(DisconnectCause::Reset);
    let refused_for = |member: &mut Member, time: Duration| {
        let until = member.now + time;
        while member.now < until && !matches!(member.events.last(), Some(SessionEvent::Ended(_))) {
            redial(member);
            refuse(member, CloseCode::NotAdmitted);
        }
    };
    refused_for(&mut member, KNOCK_FOR - SECOND * 30);
    redial(&mut member);
    let welcome = keyed_welcome(&member, 1, |_| {});
    member.relay(&welcome);
    assert!(member.session.is_joined());
    // Each time anew, and never for ever.
    member.lose(DisconnectCause::Reset);
    refused_for(&mut member, KNOCK_FOR + SECOND * 60);
    assert!(matches!(member.events.last(), Some(SessionEvent::Ended(_))));
}

#[test]
fn a_newcomer_waits_for_the_hosts_word_and_says_so_once() {
    let mut member = Member::keyed(Role::Client, 1, 7);
    member.connect();
    for _ in 0..200 {
        member.relay(&Message::Reject(Reject {
            code: CloseCode::ApprovalPending,
            message: "wait".parse().unwrap(),
            retry_after_ms: Some(3_000),
            relay_version: 1,
        }));
        let refused = member.now;
        redial(&mut member);
        let waited = member.now - refused;
        assert!((SECOND * 3..SECOND * 4).contains(&waited), "{waited:?}");
    }
    assert_eq!(member.events, [SessionEvent::AwaitingApproval]);
    let welcome = keyed_welcome(&member, 1, |_| {});
    member.relay(&welcome);
    assert!(member.session.is_joined());
}

#[test]
fn a_gateway_hands_its_hosts_lists_to_the_relay_before_anything_else() {
    let mut host = Member::keyed(Role::Gateway, 1, 7);
    let access = |n: u8| Access {
        approval: true,
        banned: vec![Identity([n; 32])].try_into().unwrap(),
        approved: Default::default(),
    };
    host.session.set_access(access(1), host.now);
    host.connect();
    let welcome = keyed_welcome(&host, 1, |_| {});
    host.relay(&welcome);
    let after_hello = host.sent.get(1);
    assert_eq!(after_hello, Some(&Message::Access(Box::new(access(1)))));
    host.session.set_access(access(2), host.now);
    host.session.remove(peer(9), true, host.now);
    host.pass(Duration::ZERO);
    let said = host
        .sent
        .iter()
        .rev()
        .take(2)
        .rev()
        .cloned()
        .collect::<Vec<_>>();
    let remove = Remove {
        peer: peer(9),
        ban: true,
    };
    assert_eq!(
        said,
        [
            Message::Access(Box::new(access(2))),
            Message::Remove(remove)
        ]
    );
    // And again after each return.
    host.lose(DisconnectCause::Reset);
    redial(&mut host);
    host.relay(&welcome);
    assert!(
        host.sent
            .iter()
            .rev()
            .take(3)
            .any(|message| *message == Message::Access(Box::new(access(2))))
    );
}

#[test]
fn a_gateway_hears_who_asks_and_a_player_is_never_asked() {
    let asking = || {
        Box::new(Asking {
            identity: Identity([3; 32]),
            name: "Käthe".parse().unwrap(),
            role: Role::Client,
            mac: Some(mac(3)),
        })
    };
    let mut host = joined(Role::Gateway, 7);
    host.relay(&Message::Asking(asking()));
    assert_eq!(host.events.last(), Some(&SessionEvent::Asking(asking())));
    let mut player = joined(Role::Client, 7);
    player.relay(&Message::Asking(asking()));
    assert!(!player.session.is_joined());
}
