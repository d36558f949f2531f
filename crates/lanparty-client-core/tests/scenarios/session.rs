//! Joining, staying, losing and returning.

use std::time::Duration;

use crate::harness::{Member, gateway_info, mac, peer, player_info, welcome};
use lanparty_client_core::{
    DisconnectCause, End, LostCause, PATIENT_DIAL_TIMEOUT, SessionEvent, backoff,
};
use lanparty_ctrl::{CloseCode, Message, PeerLeft, Ping, Reject, Restarting, Role};
use lanparty_obs::ExitCode;

const SECOND: Duration = Duration::from_secs(1);

fn reject(code: CloseCode, retry_after_ms: Option<u32>) -> Message {
    Message::Reject(Reject {
        code,
        message: "no".parse().unwrap(),
        retry_after_ms,
        relay_version: 1,
    })
}

#[test]
fn hello_says_who_joins_what() {
    let mut member = Member::player(7);
    assert_eq!(member.dials.len(), 1);
    member.connect();
    let [Message::Hello(hello)] = &member.sent[..] else {
        panic!("{:?}", member.sent)
    };
    assert_eq!(hello.role, Role::Client);
    assert_eq!(hello.mac, Some(mac(7)));
    assert_eq!(hello.datagram_budget, 1_434);
    assert_eq!(hello.resume, None);
    assert_eq!(hello.validate(), Ok(()));
}

#[test]
fn a_gateway_announces_its_policy_once_it_is_in() {
    let member = Member::gateway(1).joined(1);
    let expected = Message::RoomPolicy(Box::default());
    assert_eq!(member.sent.last(), Some(&expected));
    let player = Member::player(2).joined(2);
    assert!(!player.sent.contains(&expected));
}

#[test]
fn a_final_rejection_ends_with_its_reason() {
    let mut member = Member::gateway(1);
    member.connect();
    member.relay(&reject(CloseCode::GatewayPresent, None));
    let Some(SessionEvent::Ended(end)) = member.events.last() else {
        panic!("{:?}", member.events)
    };
    assert_eq!(end.exit_code(), ExitCode::Rejected);
    assert!(end.to_string().contains("already has a gateway"), "{end}");
    member.pass(SECOND * 600);
    assert_eq!(member.dials.len(), 1);
}

#[test]
fn a_member_that_follows_its_host_knocks_until_the_room_is_there() {
    let mut member = Member::keyed(Role::Client, 1, 7);
    member.session.expect_room();
    for _ in 0..3 {
        member.connect();
        member.relay(&reject(CloseCode::NotAdmitted, None));
        member.pass(SECOND * 2);
    }
    assert!(member.dials.len() > 3, "{:?}", member.events);
    member.connect();
    member.relay(&reject(CloseCode::Removed, None));
    assert!(matches!(member.events.last(), Some(SessionEvent::Ended(_))));
}

#[test]
fn a_relay_of_another_version_names_the_side_to_upgrade() {
    let mut member = Member::player(1);
    member.connect();
    member.relay(&Message::Reject(Reject {
        code: CloseCode::VersionMismatch,
        message: "no".parse().unwrap(),
        retry_after_ms: None,
        relay_version: 9,
    }));
    let Some(SessionEvent::Ended(end)) = member.events.last() else {
        panic!("{:?}", member.events)
    };
    assert!(end.to_string().contains("upgrade the player"), "{end}");
    assert_eq!(end.exit_code(), ExitCode::VersionMismatch);
}

#[test]
fn a_full_room_is_tried_again_when_the_relay_says() {
    let mut member = Member::player(1);
    member.connect();
    member.relay(&reject(CloseCode::RoomFull, Some(20_000)));
    member.pass(SECOND * 19);
    assert_eq!(member.dials.len(), 1);
    member.pass(SECOND * 2);
    assert_eq!(member.dials.len(), 2);
}

#[test]
fn a_wrong_certificate_is_final() {
    let mut member = Member::player(1);
    member.lose(DisconnectCause::Certificate {
        reason: "not signed by anyone; check --relay-ca-cert".to_owned(),
    });
    let Some(SessionEvent::Ended(end)) = member.events.last() else {
        panic!("{:?}", member.events)
    };
    assert_eq!(end.exit_code(), ExitCode::Certificate);
    assert!(end.to_string().contains("--relay-ca-cert"));
}

#[test]
fn an_unreachable_relay_is_dialled_often_at_first_and_rarely_later() {
    let mut member = Member::player(1);
    member.pass(SECOND * 60);
    let gap = PATIENT_DIAL_TIMEOUT + backoff::EAGER_CAP;
    assert!(member.dials.windows(2).all(|pair| pair[1] - pair[0] <= gap));
    let before = member.dials.len();
    assert!(before >= 12, "{before}");
    member.pass(SECOND * 3_600);
    let later = member.dials.len() - before;
    assert!((100..300).contains(&later), "{later}");
    assert!(!member.session.is_joined());
}

#[test]
fn a_killed_relay_is_joined_again_with_the_resume_token() {
    let mut member = Member::player(7).joined(7);
    member.lose(DisconnectCause::Reset);
    let lost = SessionEvent::Lost {
        cause: LostCause::Restarted,
        was_joined: true,
    };
    assert!(member.events.contains(&lost));
    member.pass(SECOND);
    assert_eq!(member.dials.len(), 2, "within a second of the reset");
    member.connect();
    let Some(Message::Hello(hello)) = member.sent.last() else {
        panic!("{:?}", member.sent)
    };
    assert!(hello.resume.is_some());
    member.relay(&welcome(7, None));
    let Some(SessionEvent::Joined(membership)) = member.events.last() else {
        panic!("{:?}", member.events)
    };
    assert!(membership.resumed);
}

#[test]
fn a_silent_relay_is_given_up_after_five_seconds() {
    let mut member = Member::player(1).joined(1);
    member.pass(SECOND * 4);
    assert!(!member.lost());
    assert!(member.pings() >= 3);
    member.pass(SECOND);
    assert!(member.lost());
    assert_eq!(member.closes, [CloseCode::TooSlow]);
}

#[test]
fn a_relay_that_answers_pings_is_never_given_up() {
    let mut member = Member::player(1).joined(1);
    for _ in 0..100 {
        member.pass(SECOND);
        let nonce = match member.sent.last() {
            Some(Message::Ping(Ping { nonce })) => *nonce,
            _ => continue,
        };
        member.relay(&Message::Pong(Ping { nonce }));
    }
    assert!(!member.lost());
    assert!(member.pings() > 40);
}

#[test]
fn a_ping_is_answered_with_its_nonce() {
    let mut member = Member::player(1).joined(1);
    member.relay(&Message::Ping(Ping { nonce: 42 }));
    assert_eq!(member.sent.last(), Some(&Message::Pong(Ping { nonce: 42 })));
}

#[test]
fn comings_and_goings_are_told_in_order() {
    let mut member = Member::player(1).joined(1);
    member.events.clear();
    member.introduce(player_info(2));
    member.introduce(gateway_info(3));
    member.relay(&Message::PeerLeft(PeerLeft {
        peer: peer(3),
        reason: CloseCode::Normal,
    }));
    assert_eq!(
        member.events,
        [
            SessionEvent::PeerJoined(Box::new(player_info(2))),
            SessionEvent::PeerJoined(Box::new(gateway_info(3))),
            SessionEvent::GatewayPresent(peer(3)),
            SessionEvent::PeerLeft {
                peer: Box::new(gateway_info(3)),
                reason: CloseCode::Normal,
            },
            SessionEvent::GatewayGone,
        ]
    );
    assert_eq!(member.session.roster().len(), 1);
}

#[test]
fn members_that_return_after_an_outage_never_left() {
    let mut member = Member::player(1).joined(1);
    member.introduce(player_info(2));
    member.introduce(player_info(3));
    member.lose(DisconnectCause::Reset);
    member.pass(SECOND);
    member.join(1);
    member.events.clear();
    member.introduce(player_info(2));
    assert_eq!(member.events, []);
    for _ in 0..20 {
        member.pass(SECOND);
        member.relay(&Message::Pong(Ping { nonce: 0 }));
    }
    assert_eq!(
        member.events,
        [SessionEvent::PeerLeft {
            peer: Box::new(player_info(3)),
            reason: CloseCode::ConnectionLost,
        }]
    );
}

#[test]
fn a_restart_that_was_announced_is_waited_for() {
    let mut member = Member::player(1).joined(1);
    member.relay(&Message::Restarting(Restarting {
        reconnect_in_ms: 3_000,
        try_for_ms: 30_000,
    }));
    member.lose(DisconnectCause::Application {
        code: CloseCode::Restarting.into(),
        message: String::new(),
    });
    member.pass(Duration::from_millis(2_990));
    assert_eq!(member.dials.len(), 1);
    member.pass(Duration::from_millis(20));
    assert_eq!(member.dials.len(), 2);
}

#[test]
fn a_kick_is_final_and_a_slow_reader_may_return() {
    for (code, returns) in [(CloseCode::Removed, false), (CloseCode::TooSlow, true)] {
        let mut member = Member::player(1).joined(1);
        member.lose(DisconnectCause::Application {
            code: code.into(),
            message: String::new(),
        });
        member.pass(SECOND * 2);
        assert_eq!(member.dials.len() > 1, returns, "{code}");
    }
}

#[test]
fn stats_go_out_every_ten_seconds() {
    let mut member = Member::player(1).joined(1);
    for _ in 0..35 {
        member.pass(SECOND);
        member.relay(&Message::Pong(Ping { nonce: 0 }));
    }
    let mut uptimes = Vec::new();
    for message in &member.sent {
        if let Message::Stats(stats) = message {
            uptimes.push(stats.uptime_s);
        }
    }
    assert_eq!(uptimes, [10, 20, 30]);
}

#[test]
fn leaving_tells_the_relay_and_ends() {
    let mut member = Member::player(1).joined(1);
    member.leave();
    member.pass(SECOND * 60);
    let is_farewell = |message: &Message| matches!(message, Message::Disconnect(_));
    assert!(member.sent.last().is_some_and(is_farewell));
    assert_eq!(member.closes, [CloseCode::Normal]);
    assert_eq!(member.events.last(), Some(&SessionEvent::Ended(End::Left)));
    assert_eq!(member.dials.len(), 1);
}

#[test]
fn a_message_at_the_wrong_time_ends_the_session() {
    let mut member = Member::player(1);
    member.connect();
    member.introduce(player_info(2));
    assert_eq!(member.closes, [CloseCode::ProtocolError]);
    let is_end = |event: &SessionEvent| matches!(event, SessionEvent::Ended(End::Protocol { .. }));
    assert!(member.events.last().is_some_and(is_end));
}

#[test]
fn a_slow_path_gets_a_patient_dial_now_and_then() {
    let mut member = Member::player(1);
    let mut longest = Duration::ZERO;
    for _ in 0..8 {
        let dialled = *member.dials.last().unwrap();
        member.closes.clear();
        while member.closes.is_empty() {
            member.pass(Duration::from_millis(100));
        }
        longest = longest.max(member.now - dialled);
        let attempts = member.dials.len();
        while member.dials.len() == attempts {
            member.pass(Duration::from_millis(100));
        }
    }
    assert!(longest >= PATIENT_DIAL_TIMEOUT);
}

#[test]
fn a_join_without_an_answer_is_tried_again() {
    let mut member = Member::player(1);
    member.connect();
    member.pass(SECOND * 12);
    assert_eq!(member.closes.first(), Some(&CloseCode::JoinTimeout));
    assert!(member.dials.len() >= 2);
}
