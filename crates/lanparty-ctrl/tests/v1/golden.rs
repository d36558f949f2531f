//! The bytes of protocol version 1 never change: what an older program sent
//! must stay readable, and signatures cover exact bytes.
//!
//! Each fixture is the JSON of one message on one line. A change that breaks
//! this test is a change of the protocol.

use lanparty_ctrl::codec::{Decoder, Incoming, encode};
use lanparty_ctrl::{Message, RoomId};

use crate::samples;

const FIXTURES: &[(&str, &str)] = &[
    ("hello", include_str!("golden/hello.json")),
    ("welcome", include_str!("golden/welcome.json")),
    ("reject", include_str!("golden/reject.json")),
    ("peer_joined", include_str!("golden/peer_joined.json")),
    ("peer_left", include_str!("golden/peer_left.json")),
    ("stats", include_str!("golden/stats.json")),
    ("ping", include_str!("golden/ping.json")),
    ("pong", include_str!("golden/pong.json")),
    ("room_policy", include_str!("golden/room_policy.json")),
    ("access", include_str!("golden/access.json")),
    ("asking", include_str!("golden/asking.json")),
    ("remove", include_str!("golden/remove.json")),
    ("sealed", include_str!("golden/sealed.json")),
    ("restarting", include_str!("golden/restarting.json")),
    ("disconnect", include_str!("golden/disconnect.json")),
];

#[test]
fn every_message_has_a_fixture_and_a_sample() {
    let fixtures: Vec<_> = FIXTURES.iter().map(|(name, _)| *name).collect();
    assert_eq!(fixtures, Message::NAMES);
    let samples: Vec<_> = samples::all().iter().map(Message::name).collect();
    assert_eq!(samples, Message::NAMES);
}

#[test]
fn messages_encode_to_the_bytes_of_version_1() {
    for (message, (name, fixture)) in samples::all().iter().zip(FIXTURES) {
        let body = fixture.trim_end();
        let frame = encode(message);
        assert_eq!(std::str::from_utf8(&frame[4..]).unwrap(), body, "{name}");
        assert_eq!(frame[..4], u32::try_from(body.len()).unwrap().to_be_bytes());
    }
}

#[test]
fn the_bytes_of_version_1_decode_to_the_messages() {
    let mut decoder = Decoder::new();
    for (message, (name, fixture)) in samples::all().into_iter().zip(FIXTURES) {
        let body = fixture.trim_end().as_bytes();
        decoder.push(&u32::try_from(body.len()).unwrap().to_be_bytes());
        decoder.push(body);
        assert_eq!(
            decoder.next().unwrap(),
            Some(Incoming::Message(message)),
            "{name}"
        );
    }
}

#[test]
fn room_ids_of_version_1_are_pinned() {
    let code = "PARTY".parse().unwrap();
    let key = samples::public_key(&samples::ADMISSION_SEED);
    assert_eq!(
        RoomId::derive(&code, None).to_string(),
        include_str!("golden/room_id_open.txt").trim_end()
    );
    assert_eq!(
        RoomId::derive(&code, Some(&key)).to_string(),
        include_str!("golden/room_id_keyed.txt").trim_end()
    );
}
