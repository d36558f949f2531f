//! `docs/protocol.md` and the code say the same.

#![expect(clippy::unwrap_used, reason = "every function here serves tests")]

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use lanparty_ctrl::codec::{self, Incoming, decode, encode};
use lanparty_ctrl::version::EXPORTER_LABEL;
use lanparty_ctrl::{ALPN, CloseCode, ExtraEtherType, Message, PROTOCOL_VERSION, RoomId, timers};
use lanparty_l2::marker;
use lanparty_proto::bundle::{self, Frames};
use lanparty_proto::ethernet::{self, EtherType, EthernetHeader};
use lanparty_proto::fragment::{self, Fragment, split};
use lanparty_proto::overlay::{self, FrameCount, Header, Hint, Kind};
use lanparty_proto::probe::{self, Probe, ProbeOp};
use lanparty_proto::timing::{self, Timing};
use lanparty_proto::{MacAddr, PeerId, mtu, peer};
use serde_json::{Value, json};

#[path = "v1/samples.rs"]
mod samples;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md");
    std::fs::read_to_string(path).unwrap()
});

/// The text between a heading and the next one of its level or above.
fn section(heading: &str) -> &'static str {
    let level = heading.bytes().take_while(|&byte| byte == b'#').count();
    let start = DOCUMENT
        .find(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("no {heading}"));
    let body = &DOCUMENT[start + heading.len() + 2..];
    let end = (1..=level)
        .filter_map(|level| body.find(&format!("\n{} ", "#".repeat(level))))
        .min();
    &body[..end.unwrap_or(body.len())]
}

/// The cells of a section's tables, without heads and rulers.
fn rows(section: &str) -> Vec<Vec<&str>> {
    let lines: Vec<_> = section.lines().collect();
    let is_ruler = |line: &str| line.starts_with("|---");
    lines
        .iter()
        .enumerate()
        .filter(|(at, line)| {
            line.starts_with('|')
                && !is_ruler(line)
                && !lines.get(at + 1).is_some_and(|next| is_ruler(next))
        })
        .map(|(_, line)| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().trim_matches('`')).collect()
        })
        .collect()
}

fn fences<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let open = format!("```{language}\n");
    text.split(&open)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

/// The bytes of the hexadecimal example of this name.
fn example(name: &str) -> Vec<u8> {
    let found = fences(&DOCUMENT, &format!("hex {name}"));
    assert_eq!(found.len(), 1, "example {name}");
    found[0]
        .lines()
        .flat_map(|line| line.split('#').next().unwrap().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn sample(name: &str) -> Value {
    let message = samples::all()
        .into_iter()
        .find(|message| message.name() == name)
        .unwrap();
    serde_json::to_value(message).unwrap()
}

fn peer(raw: u16) -> PeerId {
    raw.try_into().unwrap()
}

#[test]
fn every_message_has_its_section() {
    let names: Vec<_> = section("## 4 Messages")
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .collect();
    assert_eq!(names, Message::NAMES);
}

#[test]
fn every_field_is_listed_and_required_exactly_where_it_says_so() {
    for name in Message::NAMES {
        check_fields(&format!("### `{name}`"), name, &[]);
    }
    for (object, message, path) in [
        ("key_card", "hello", &["key_card"][..]),
        ("admission", "hello", &["admission"]),
        ("policy", "welcome", &["policy"]),
        ("tunnel", "stats", &["tunnel"]),
        ("tap", "stats", &["tap"]),
        ("address", "stats", &["tap", "address"]),
        ("lan", "stats", &["lan"]),
    ] {
        check_fields(&format!("#### `{object}`"), message, path);
    }
}

/// Compares the table under a heading with the object at `path` in a sample
/// that has every field.
fn check_fields(heading: &str, message: &str, path: &[&str]) {
    let mut full = sample(message);
    // In Welcome mode and gateway depend on each other.
    if message == "welcome" {
        full["mode"] = json!("players");
        full.as_object_mut().unwrap().remove("gateway");
    }
    // Only a gateway may leave out its MAC address.
    if matches!(message, "hello" | "peer_joined" | "asking") {
        full["role"] = json!("gateway");
    }
    let object = |value: &'_ Value| {
        let found = path.iter().fold(value.clone(), |at, key| at[key].clone());
        found.as_object().unwrap().clone()
    };
    let mut fields: Vec<_> = object(&sample(message)).keys().cloned().collect();
    fields.retain(|field| field != "type" || !path.is_empty());
    let table = rows(section(heading));
    let mut listed: Vec<_> = table.iter().map(|row| row[0].to_owned()).collect();
    fields.sort();
    listed.sort();
    assert_eq!(listed, fields, "{heading}");

    for row in &table {
        let mut without = full.clone();
        let holder = path.iter().fold(&mut without, |at, key| &mut at[*key]);
        holder.as_object_mut().unwrap().remove(row[0]);
        let is_required = decode(without.to_string().as_bytes()).is_err();
        assert_eq!(row[2] == "yes", is_required, "{heading}: {}", row[0]);
    }
}

#[test]
fn every_example_message_is_valid_and_named_as_its_section() {
    for name in Message::NAMES {
        let examples = fences(section(&format!("### `{name}`")), "json");
        assert!(!examples.is_empty(), "{name} has no example");
        for example in examples {
            let Incoming::Message(message) = decode(example.as_bytes()).unwrap() else {
                panic!("{example}");
            };
            assert_eq!(message.name(), *name);
            let given: Value = serde_json::from_str(example).unwrap();
            let encoded = serde_json::to_value(&message).unwrap();
            assert_covers(&encoded, &given);
        }
    }
}

/// Every member of `given` is in `encoded`: nothing in an example is ignored.
fn assert_covers(encoded: &Value, given: &Value) {
    let Value::Object(members) = given else {
        assert_eq!(encoded, given);
        return;
    };
    for (key, value) in members {
        assert_covers(&encoded[key], value);
    }
}

#[test]
fn the_close_codes_are_the_tables_rows() {
    let table = rows(section("## 14 Leaving and close codes"));
    let expected: Vec<_> = CloseCode::ALL
        .iter()
        .map(|code| {
            let again = if code.is_final() { "no" } else { "yes" };
            let row = [
                &code.number().to_string(),
                code.name(),
                again,
                code.sentence(),
            ];
            row.map(str::to_owned).to_vec()
        })
        .collect();
    assert_eq!(table, expected);
}

#[test]
fn the_constants_are_the_tables_rows() {
    let constants: BTreeMap<&str, usize> = [
        ("overlay::VERSION", overlay::VERSION.into()),
        ("overlay::HEADER_LEN", overlay::HEADER_LEN),
        ("overlay::SEALED_LEN", overlay::SEALED_LEN),
        ("overlay::TAG_LEN", overlay::TAG_LEN),
        ("FrameCount::MAX", FrameCount::MAX.get().into()),
        ("bundle::LENGTH_LEN", bundle::LENGTH_LEN),
        ("fragment::HEADER_LEN", fragment::HEADER_LEN),
        ("fragment::OFFSET_UNIT", fragment::OFFSET_UNIT),
        ("fragment::MAX_OFFSET", fragment::MAX_OFFSET.into()),
        ("probe::LEN", probe::LEN),
        ("timing::FIRST_BYTE", timing::FIRST_BYTE.into()),
        ("timing::MAX_LEN", timing::MAX_LEN),
        ("ethernet::HEADER_LEN", ethernet::HEADER_LEN),
        ("ethernet::MAX_FRAME_LEN", ethernet::MAX_FRAME_LEN),
        (
            "ethernet::MAX_TAGGED_FRAME_LEN",
            ethernet::MAX_TAGGED_FRAME_LEN,
        ),
        ("peer::RELAY", peer::RELAY.into()),
        ("peer::EVERYONE", peer::EVERYONE.into()),
        ("mtu::QUIC_OVERHEAD", mtu::QUIC_OVERHEAD),
        ("mtu::MIN_DATAGRAM_BUDGET", mtu::MIN_DATAGRAM_BUDGET.into()),
        ("mtu::MAX_DATAGRAM_BUDGET", mtu::MAX_DATAGRAM_BUDGET.into()),
        ("mtu::MIN_TAP_MTU", mtu::MIN_TAP_MTU.into()),
        ("mtu::DEFAULT_TAP_MTU", mtu::DEFAULT_TAP_MTU.into()),
        ("mtu::MAX_TAP_MTU", mtu::MAX_TAP_MTU.into()),
        ("codec::LENGTH_LEN", codec::LENGTH_LEN),
        ("codec::MAX_BODY_LEN", codec::MAX_BODY_LEN),
    ]
    .into();
    let listed: BTreeMap<&str, usize> = rows(section("### Constants"))
        .iter()
        .map(|row| (row[0], row[1].parse().unwrap()))
        .collect();
    assert_eq!(listed, constants);
}

#[test]
fn the_timers_are_the_tables_rows() {
    let timers: BTreeMap<&str, Duration> = [
        ("HELLO_DEADLINE", timers::HELLO_DEADLINE),
        ("JOIN_DEADLINE", timers::JOIN_DEADLINE),
        ("FRAME_DEADLINE", timers::FRAME_DEADLINE),
        ("STATS_INTERVAL", timers::STATS_INTERVAL),
        ("PEER_ID_QUARANTINE", timers::PEER_ID_QUARANTINE),
        ("REASSEMBLY_TIMEOUT", timers::REASSEMBLY_TIMEOUT),
    ]
    .into();
    let listed: BTreeMap<&str, Duration> = rows(section("## 16 Timers"))
        .iter()
        .map(|row| {
            let seconds = row[1].strip_suffix(" s").unwrap().parse().unwrap();
            (row[0], Duration::from_secs_f64(seconds))
        })
        .collect();
    assert_eq!(listed, timers);
}

#[test]
fn the_path_table_follows_from_the_arithmetic() {
    let table = rows(section("## 8 MTU"));
    assert_eq!(table.len(), 8);
    for row in table {
        let payload: usize = row[1].parse().unwrap();
        let budget = mtu::datagram_budget(payload);
        assert_eq!(
            row[2],
            mtu::tap_mtu(budget, false).to_string(),
            "{}",
            row[0]
        );
        assert_eq!(row[3], mtu::tap_mtu(budget, true).to_string(), "{}", row[0]);
    }
}

#[test]
fn the_kinds_are_the_tables_rows() {
    let kinds = [
        (Kind::Frame, "frame"),
        (Kind::Fragment, "fragment"),
        (Kind::SealedFrame, "sealed frame"),
        (Kind::SealedFragment, "sealed fragment"),
        (Kind::Probe, "probe"),
    ];
    let table: Vec<_> = rows(section("## 7 Datagrams"))
        .into_iter()
        .filter(|row| row[0].parse::<u8>().is_ok())
        .collect();
    assert_eq!(table.len(), kinds.len());
    for (row, (kind, name)) in table.iter().zip(kinds) {
        let header = Header {
            kind,
            hint: Hint::Normal,
            source: peer(1),
            flow_tag: 0,
            frames: FrameCount::ONE,
        };
        let number = header.encode()[0] & 0x0F;
        assert_eq!((row[0], row[1]), (&*number.to_string(), name));
    }
}

#[test]
fn versions_and_labels_are_the_codes() {
    let alpn = std::str::from_utf8(ALPN).unwrap();
    let exporter = std::str::from_utf8(EXPORTER_LABEL).unwrap();
    let connection = section("## 2 Connection");
    assert!(connection.contains(&format!("`{alpn}`")));
    assert!(connection.contains(&format!("`{exporter}`")));
    assert!(DOCUMENT.starts_with(&format!(
        "# The lanparty protocol, version {PROTOCOL_VERSION}\n"
    )));
}

#[test]
fn ether_types_with_rules_of_their_own_are_all_named() {
    let policy = section("#### `policy`");
    for raw in 0x0600..=u16::MAX {
        let is_named = policy.contains(&format!("0x{raw:04x},")) && raw != 0x0600;
        assert_eq!(
            ExtraEtherType::try_from(raw).is_err(),
            is_named,
            "0x{raw:04x}"
        );
    }
}

#[test]
fn the_control_frame_example_is_a_ping() {
    let Ok(Incoming::Message(ping)) = decode(br#"{"type":"ping","nonce":7}"#) else {
        panic!("not a message");
    };
    assert_eq!(encode(&ping), example("control-frame"));
}

#[test]
fn the_frame_example_is_an_arp_request() {
    let bytes = example("frame");
    assert_eq!(bytes.len(), 48);
    let (header, frame) = Header::decode(&bytes).unwrap();
    assert_eq!(
        header,
        Header {
            kind: Kind::Frame,
            hint: Hint::Sparse,
            source: peer(0x1234),
            flow_tag: 0xBEEF,
            frames: FrameCount::ONE,
        }
    );
    assert_eq!(header.encode(), bytes[..6]);
    let (ethernet, _) = EthernetHeader::parse(frame).unwrap();
    assert_eq!(ethernet.source, samples::MAC);
    assert_eq!(ethernet.destination, MacAddr::BROADCAST);
    assert_eq!(ethernet.ether_type, EtherType::ARP);
}

#[test]
fn the_fragment_examples_are_one_frame_split() {
    let examples = [example("fragment-1"), example("fragment-2")];
    let header = Header {
        kind: Kind::Frame,
        hint: Hint::Bulk,
        source: peer(0x1234),
        flow_tag: 7,
        frames: FrameCount::ONE,
    };
    let (_, body) = Header::decode(&examples[0]).unwrap();
    let first = Fragment::parse(body).unwrap();
    let mut whole = header.encode().to_vec();
    whole.extend_from_slice(first.ethernet);
    whole.extend(0..40);
    let pieces: Vec<_> = split(&whole, 48, 1, false)
        .unwrap()
        .map(|piece| {
            let mut bytes = Vec::new();
            piece.write_to(&mut bytes);
            bytes
        })
        .collect();
    assert_eq!(pieces, examples);
}

#[test]
fn the_bundle_example_is_two_frames() {
    let mut bytes = example("bundle");
    let (header, body) = bytes.split_at_mut(overlay::HEADER_LEN);
    let (header, _) = Header::decode(header).unwrap();
    assert_eq!((header.kind, header.flow_tag), (Kind::Frame, 7));
    let mut frames = Frames::parse(body, header.frames).unwrap();
    for payload in [&b"one"[..], b"three"] {
        let frame = frames.next().unwrap();
        let (ethernet, found) = EthernetHeader::parse(frame).unwrap();
        assert_eq!((ethernet.source, found), (samples::MAC, payload));
    }
    assert!(frames.next().is_none());
}

#[test]
fn the_probe_examples_are_a_request_and_its_reply() {
    let request = example("probe-request");
    let (header, body) = Header::decode(&request).unwrap();
    let probe = Probe::decode(body).unwrap();
    assert_eq!((header.kind, header.source), (Kind::Probe, peer(0x1234)));
    assert_eq!((probe.op, probe.target), (ProbeOp::Request, 0x4711));
    let source = peer(probe.target);
    let reply = Header { source, ..header }
        .encode()
        .into_iter()
        .chain(probe.reply_to(header.source, 250).encode());
    assert_eq!(reply.collect::<Vec<_>>(), example("probe-reply"));
}

#[test]
fn the_timing_examples_are_a_mark_and_its_echo() {
    assert_eq!(
        Timing::decode(&example("timing-mark")),
        Ok(Timing::Mark(1_000_000))
    );
    let both = Timing::decode(&example("timing-both")).unwrap();
    let echo = both.echo().unwrap();
    assert_eq!(echo.mark, 1_000_000);
    assert_eq!(both.mark(), Some(echo.arrived + 4_096));
}

#[test]
fn the_loop_probe_example_is_a_gateways() {
    let bytes = example("loop-probe");
    let nonce = marker::loop_probe_nonce(&bytes).unwrap();
    let (header, _) = EthernetHeader::parse(&bytes).unwrap();
    let frame = marker::loop_probe_frame(header.source, nonce);
    assert_eq!(bytes, frame);
}

#[test]
fn the_sealed_examples_follow_the_layout() {
    let bytes = example("sealed-header");
    let (header, rest) = Header::decode(&bytes).unwrap();
    assert_eq!(header.kind, Kind::SealedFrame);
    let (counter, ethernet) = rest.split_at(overlay::SEALED_LEN);
    assert_eq!(ethernet.len(), ethernet::HEADER_LEN);
    let associated_data = [
        b"lp1",
        &example("room-id")[..],
        &header.source.get().to_be_bytes(),
        counter,
        &[header.frames.get()],
        ethernet,
    ];
    assert_eq!(associated_data.concat(), example("associated-data"));
}

#[test]
fn the_room_id_example_is_the_hash_of_its_input() {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &example("room-id-input"));
    let id = RoomId::derive(&"PARTY".parse().unwrap(), None);
    assert_eq!(digest.as_ref()[..16], id.0);
    assert_eq!(example("room-id"), id.0);
}

#[test]
fn the_key_card_example_is_what_the_hello_example_signs() {
    let hello = fences(section("### `hello`"), "json")[0];
    let Ok(Incoming::Message(Message::Hello(hello))) = decode(hello.as_bytes()) else {
        panic!("not a hello");
    };
    let card = hello.key_card;
    assert_eq!(card.verify(hello.mac, hello.role), Ok(()));
    assert_eq!(
        card.signed_bytes(hello.mac, hello.role),
        example("key-card-input")
    );
}
