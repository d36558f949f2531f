//! What is refused, and with which close code.

use lanparty_ctrl::codec::{Decoder, Incoming, MAX_BODY_LEN, decode, encode};
use lanparty_ctrl::{CloseCode, ControlError, Message};
use serde_json::{Value, json};

use crate::samples;

fn sample(name: &str) -> Value {
    let message = samples::all()
        .into_iter()
        .find(|message| message.name() == name)
        .unwrap();
    serde_json::to_value(message).unwrap()
}

/// The close code for a sample in which one field has another value.
fn refusal(name: &str, field: &str, value: Value) -> Option<CloseCode> {
    let mut message = sample(name);
    message[field] = value;
    decode(message.to_string().as_bytes())
        .err()
        .map(|error| error.close_code())
}

#[test]
fn a_field_outside_its_limits_closes_with_the_code_that_names_it() {
    use CloseCode::{InvalidHello, MacNotAllowed, ProtocolError, VersionMismatch};
    let long = |n: usize| "x".repeat(n);
    let identities = |n: usize| json!(vec!["00".repeat(32); n]);
    for (name, field, value, code) in [
        ("hello", "version", json!(2), VersionMismatch),
        ("hello", "version", json!(0), VersionMismatch),
        ("hello", "version", json!("1"), InvalidHello),
        ("hello", "version", json!(65_536), InvalidHello),
        ("hello", "role", json!("admin"), InvalidHello),
        ("hello", "room", json!("no spaces"), InvalidHello),
        ("hello", "room", json!(long(33)), InvalidHello),
        ("hello", "create_token", json!(long(19)), InvalidHello),
        ("hello", "create_token", json!(long(65)), InvalidHello),
        ("hello", "mac", json!(null), MacNotAllowed),
        ("hello", "mac", json!("00:00:00:00:00:00"), MacNotAllowed),
        ("hello", "mac", json!("03:00:00:00:00:01"), MacNotAllowed),
        ("hello", "mac", json!("00:1b:21:00:00:01"), MacNotAllowed),
        ("hello", "mac", json!("02:00"), InvalidHello),
        ("hello", "name", json!(""), InvalidHello),
        ("hello", "name", json!(long(65)), InvalidHello),
        ("hello", "name", json!("a\u{202e}b"), InvalidHello),
        ("hello", "agent", json!("a\nb"), InvalidHello),
        ("hello", "datagram_budget", json!(1_161), InvalidHello),
        ("hello", "datagram_budget", json!(65_490), InvalidHello),
        ("hello", "features", json!(["A"]), InvalidHello),
        ("hello", "features", json!(vec!["a"; 17]), InvalidHello),
        ("hello", "resume", json!("abc"), InvalidHello),
        ("hello", "resume", json!(long(514)), InvalidHello),
        ("hello", "key_card", json!({}), InvalidHello),
        ("hello", "create", json!(1), InvalidHello),
        ("welcome", "version", json!(2), VersionMismatch),
        ("welcome", "peer_id", json!(0), ProtocolError),
        ("welcome", "peer_id", json!(65_535), ProtocolError),
        ("welcome", "tap_mtu", json!(1_279), ProtocolError),
        ("welcome", "tap_mtu", json!(1_501), ProtocolError),
        ("welcome", "mode", json!("players"), ProtocolError),
        ("welcome", "gateway", json!(null), ProtocolError),
        ("welcome", "room_id", json!("00"), ProtocolError),
        (
            "welcome",
            "observed_address",
            json!("nowhere"),
            ProtocolError,
        ),
        ("reject", "code", json!("because"), ProtocolError),
        ("reject", "message", json!(long(257)), ProtocolError),
        ("reject", "retry_after_ms", json!(3_600_001), ProtocolError),
        ("peer_joined", "peer", json!(65_535), ProtocolError),
        ("peer_joined", "mac", json!(null), MacNotAllowed),
        ("peer_left", "reason", json!(0), ProtocolError),
        ("stats", "uptime_s", json!(-1), ProtocolError),
        ("stats", "drops", json!({"runt": -1}), ProtocolError),
        ("ping", "nonce", json!(1.5), ProtocolError),
        ("room_policy", "vlans", json!([4_095]), ProtocolError),
        ("room_policy", "vlans", json!(vec![1; 33]), ProtocolError),
        ("room_policy", "ether_types", json!([2_048]), ProtocolError),
        (
            "room_policy",
            "allow_hosts",
            json!(vec!["::1"; 65]),
            ProtocolError,
        ),
        ("room_policy", "ipv6", json!("on"), ProtocolError),
        ("access", "approval", json!(null), ProtocolError),
        ("access", "banned", json!(["00"]), ProtocolError),
        ("access", "banned", identities(257), ProtocolError),
        ("access", "approved", identities(257), ProtocolError),
        ("asking", "identity", json!(long(64)), ProtocolError),
        ("asking", "name", json!("a\nb"), ProtocolError),
        ("asking", "mac", json!(null), MacNotAllowed),
        ("remove", "peer", json!(0), ProtocolError),
        ("remove", "ban", json!(1), ProtocolError),
        ("sealed", "peer", json!(65_535), ProtocolError),
        ("sealed", "body", json!(""), ProtocolError),
        ("sealed", "body", json!("abc"), ProtocolError),
        ("sealed", "body", json!("00".repeat(4_097)), ProtocolError),
        ("restarting", "try_for_ms", json!(3_600_001), ProtocolError),
        ("disconnect", "message", json!("\u{1b}[2J"), ProtocolError),
    ] {
        let shown = value.to_string();
        assert_eq!(
            refusal(name, field, value),
            Some(code),
            "{name}.{field} = {shown}"
        );
    }
}

#[test]
fn a_gateway_may_announce_its_own_network_interface_or_nothing() {
    let with_mac = |mac: Value| {
        let mut hello = sample("hello");
        hello["role"] = json!("gateway");
        hello["mac"] = mac;
        decode(hello.to_string().as_bytes())
            .err()
            .map(|error| error.close_code())
    };
    assert_eq!(with_mac(json!(null)), None);
    assert_eq!(with_mac(json!("00:1b:21:00:00:01")), None);
    assert_eq!(with_mac(json!("02:00:00:00:00:01")), None);
    for mac in [
        "00:00:00:00:00:00",
        "01:00:5e:00:00:01",
        "ff:ff:ff:ff:ff:ff",
    ] {
        assert_eq!(
            with_mac(json!(mac)),
            Some(CloseCode::MacNotAllowed),
            "{mac}"
        );
    }
}

#[test]
fn the_version_is_read_even_where_another_version_changed_every_other_field() {
    let hello = br#"{"type":"hello","version":9,"room":{"name":7}}"#;
    let error = decode(hello).unwrap_err();
    assert_eq!(error.close_code(), CloseCode::VersionMismatch);
    assert!(
        error
            .to_string()
            .contains("ask the relay's operator to upgrade"),
        "{error}"
    );
}

#[test]
fn unknown_fields_are_ignored_and_repeated_ones_refused() {
    let known = br#"{"type":"ping","nonce":1,"colour":[{}]}"#;
    assert!(matches!(
        decode(known),
        Ok(Incoming::Message(Message::Ping(_)))
    ));
    for repeated in [
        &br#"{"type":"ping","nonce":1,"nonce":2}"#[..],
        br#"{"type":"ping","type":"pong","nonce":1}"#,
    ] {
        assert!(decode(repeated).is_err());
    }
}

#[test]
fn unknown_messages_are_skipped_only_where_they_say_that_they_are_optional() {
    let skipped = decode(br#"{"type":"song","optional":true,"notes":[1,[2,[3]]]}"#);
    assert!(matches!(skipped, Ok(Incoming::Skipped)));
    for mandatory in [
        &br#"{"type":"song"}"#[..],
        br#"{"type":"song","optional":false}"#,
        br#"{"type":"HELLO"}"#,
    ] {
        let error = decode(mandatory).unwrap_err();
        assert_eq!(error.close_code(), CloseCode::UnknownMessage);
    }
}

#[test]
fn what_is_not_a_tagged_object_is_a_protocol_error() {
    for body in [
        &b"{}"[..],
        b"[]",
        b"null",
        b"\xff\xff",
        br#"{"type":1}"#,
        br#"{"type":"ping","nonce":1} x"#,
        br#"{"type":"ping","nonce":1"#,
        br#"{"type":"song","optional":1}"#,
    ] {
        let error = decode(body).unwrap_err();
        assert_eq!(error.close_code(), CloseCode::ProtocolError, "{error}");
    }
}

#[test]
fn deep_nesting_ends_in_an_error_and_not_in_a_full_stack() {
    let body = format!(r#"{{"type":"ping","nonce":{}"#, "[".repeat(60_000));
    assert!(decode(body.as_bytes()).is_err());
}

#[test]
fn a_length_out_of_range_is_refused_before_its_body_arrives() {
    for length in [0, 1, 65_537, u32::MAX] {
        let mut decoder = Decoder::new();
        decoder.push(&length.to_be_bytes());
        let error = decoder.next().unwrap_err();
        assert!(matches!(error, ControlError::FrameLength(refused) if refused == length));
        assert_eq!(error.close_code(), CloseCode::ProtocolError);
    }
}

#[test]
fn a_message_of_the_greatest_length_passes() {
    let mut body = br#"{"type":"ping","nonce":1}"#.to_vec();
    body.resize(MAX_BODY_LEN, b' ');
    let mut decoder = Decoder::new();
    decoder.push(&65_536_u32.to_be_bytes());
    decoder.push(&body[..MAX_BODY_LEN - 1]);
    assert!(decoder.next().unwrap().is_none());
    assert!(decoder.is_mid_frame());
    decoder.push(&body[MAX_BODY_LEN - 1..]);
    assert!(decoder.next().unwrap().is_some());
    assert!(!decoder.is_mid_frame());
}

#[test]
fn nothing_comes_out_behind_an_error() {
    let mut decoder = Decoder::new();
    let ping = encode(&samples::all().remove(6));
    decoder.push(&[0, 0, 0, 2, b'[', b']']);
    decoder.push(&ping);
    assert!(decoder.next().is_err());
    decoder.push(&ping);
    assert!(decoder.next().unwrap().is_none());
    assert!(!decoder.is_mid_frame());
}
