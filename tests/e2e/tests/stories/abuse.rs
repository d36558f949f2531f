//! Broken and hostile uses of the protocol itself: each ends the connection
//! that made it, with the code and words of docs/protocol.md, and no other.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_ctrl::{CloseCode, Hello, Message, PROTOCOL_VERSION, Ping, Role, encode};
use lanparty_lab::packet::ipx_ethernet_ii;
use lanparty_lab::party::{HOST1, TAP};
use lanparty_lab::{RawMember, sandbox, traffic, wait};
use lanparty_proto::overlay::{FrameCount, Header, Hint, Kind};
use lanparty_proto::{MacAddr, PeerId};
use serde::de::DeserializeOwned;

use crate::mallory::{At, MAC, Stage};

/// Longer than any deadline of the control stream.
const PATIENCE: Duration = Duration::from_secs(10);
/// Malformed datagrams that the relay forgives at once.
const FORGIVEN: usize = 20;

fn datagram(kind: Kind, source: PeerId, body: &[u8]) -> Vec<u8> {
    let header = Header {
        kind,
        hint: Hint::Sparse,
        source,
        flow_tag: 1,
        frames: FrameCount::ONE,
    };
    [&header.encode(), body].concat()
}

/// A control frame around any bytes.
fn control(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), body].concat()
}

/// One field of a member, as the relay's operator sees it.
fn field<T: DeserializeOwned>(stage: &Stage, name: &str, field: &str) -> Result<T> {
    let rooms = stage.party.rooms()?;
    let members = rooms.pointer("/rooms/0/members");
    let members = members.and_then(|members| members.as_array());
    let member = members
        .into_iter()
        .flatten()
        .find(|member| member["name"] == name)
        .with_context(|| format!("{name} is not in {rooms}"))?;
    Ok(serde_json::from_value(member[field].clone())?)
}

fn peer_of(stage: &Stage, name: &str) -> Result<PeerId> {
    field(stage, name, "peer")
}

#[test]
fn datagrams_that_claim_what_is_not_so_reach_nobody() {
    sandbox::test(|| {
        let mut stage = Stage::set(&[])?;
        let mallory = stage.mallory()?;
        let (own, bob) = (mallory.peer_id()?, peer_of(&stage, "bob")?);
        let frame = ipx_ethernet_ii(MAC, 300);
        let mut future = datagram(Kind::Frame, own, &frame);
        future[0] ^= 0x80;
        for (number, (name, datagram, reason)) in [
            ("bob's id", datagram(Kind::Frame, bob, &frame), "source_id"),
            ("another version", future, "overlay_header"),
            (
                "a sealed frame",
                datagram(Kind::SealedFrame, own, &frame),
                "sealed_in_clear_room",
            ),
            (
                "a sealed fragment",
                datagram(Kind::SealedFragment, own, &frame),
                "sealed_in_clear_room",
            ),
            (
                "a fragment without a payload",
                datagram(Kind::Fragment, own, &[0; 18]),
                "fragment_header",
            ),
            (
                "a probe of nonsense",
                datagram(Kind::Probe, own, &frame),
                "probe",
            ),
            ("nothing", Vec::new(), "overlay_header"),
            (
                "a header without a frame",
                datagram(Kind::Frame, own, &[]),
                "runt",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let before = stage.drops(At::Relay, reason)?;
            mallory.send_datagram(&datagram);
            let harmless = stage.harmless(number);
            mallory.send_frame(&harmless)?;
            for (place, ear) in [("host1", &stage.host), ("bob", &stage.bob)] {
                let mut forbidden = false;
                let heard = ear.receive(Duration::from_secs(2), |seen| {
                    forbidden |= seen.ends_with(&frame[14..]);
                    seen == harmless
                });
                ensure!(!forbidden, "{name} reached {place}");
                ensure!(heard.is_some(), "after {name} {place} hears nothing");
            }
            stage
                .wait_for_drop(At::Relay, reason, before)
                .with_context(|| name.to_owned())?;
        }
        ensure!(mallory.closed().is_none(), "{:?}", mallory.closed());
        stage.everyone_is_alive()
    });
}

#[test]
fn a_few_malformed_datagrams_are_forgiven_and_more_end_the_connection() {
    sandbox::test(|| {
        let mut stage = Stage::set(&[])?;
        let mallory = stage.mallory()?;
        let forged = datagram(
            Kind::Frame,
            peer_of(&stage, "bob")?,
            &ipx_ethernet_ii(MAC, 300),
        );
        for _datagram in 0..FORGIVEN {
            mallory.send_datagram(&forged);
        }
        let harmless = stage.harmless(1);
        mallory.send_frame(&harmless)?;
        let heard = stage
            .host
            .receive(Duration::from_secs(2), |seen| seen == harmless);
        ensure!(heard.is_some(), "{FORGIVEN} were not forgiven");
        ensure!(mallory.closed().is_none(), "{:?}", mallory.closed());

        thread::scope(|scope| -> Result<()> {
            let bob = scope.spawn(|| traffic::ping(&stage.bob().node, HOST1.into(), 40));
            for _datagram in 0..1_000 {
                mallory.send_datagram(&forged);
            }
            let (code, message) = mallory.closed_with(PATIENCE)?;
            ensure!(code == CloseCode::ProtocolError, "{code}: {message}");
            ensure!(
                message.contains("too many malformed datagrams"),
                "{message}"
            );
            bob.join().ok().context("a thread panicked")??;
            Ok(())
        })?;
        stage.everyone_is_alive()
    });
}

#[test]
fn datagrams_before_the_join_are_counted_and_forgotten() {
    sandbox::test(|| {
        let mut stage = Stage::set(&[])?;
        let stranger = stage.stranger("mallory")?;
        let bob = peer_of(&stage, "bob")?;
        for _datagram in 0..2 * FORGIVEN {
            stranger.send_datagram(&datagram(Kind::Frame, bob, &ipx_ethernet_ii(MAC, 300)));
        }
        let counted = || {
            let rooms = stage.party.rooms().ok()?;
            let count = rooms.pointer("/relay/drops/not_joined")?.as_u64()?;
            (count > 0).then_some(())
        };
        wait::until("not_joined to be counted", PATIENCE, counted)?;
        stranger.say(&hello(&stranger, |_| ())?);
        stranger.welcome()?;
        stage.everyone_is_alive()
    });
}

/// mallory's Hello as a player, with something wrong.
fn hello(member: &RawMember, spoil: impl FnOnce(&mut Hello)) -> Result<Message> {
    let mut hello = member.hello(Role::Client, Some(MAC))?;
    spoil(&mut hello);
    Ok(Message::Hello(Box::new(hello)))
}

/// What a stranger says, and how the relay must answer.
struct Greeting {
    name: &'static str,
    stranger: RawMember,
    code: CloseCode,
    says: &'static str,
}

const SILENCE: &str = "silence";

fn check_refusals(greetings: &[Greeting]) -> Result<()> {
    let mut failed = Vec::new();
    for greeting in greetings {
        let name = greeting.name;
        let (code, message) = greeting.stranger.closed_with(PATIENCE).context(name)?;
        // Whoever says nothing has opened no stream on which to be told.
        let expected = (name != SILENCE).then_some(greeting.code);
        let reject = greeting.stranger.reject();
        if code != greeting.code || !message.contains(greeting.says) {
            failed.push(format!("{name}: closed with {code}, {message:?}"));
        }
        if reject.as_ref().map(|reject| reject.code) != expected {
            failed.push(format!("{name}: the answer was {reject:?}"));
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

#[test]
fn a_stranger_that_breaks_the_control_stream_is_told_how() {
    sandbox::test(|| {
        let mut stage = Stage::set(&[])?;
        let nested = [b"{\"type\":".as_slice(), &[b'['; 60_000]].concat();
        let mut greetings = Vec::new();
        for (name, bytes, code, says) in [
            (
                "a frame beyond 64 KiB",
                vec![0, 1, 0, 1],
                CloseCode::ProtocolError,
                "65537 bytes",
            ),
            (
                "a frame of 4 GiB",
                vec![0xFF; 8],
                CloseCode::ProtocolError,
                "4294967295 bytes",
            ),
            (
                "an empty frame",
                vec![0; 4],
                CloseCode::ProtocolError,
                "0 bytes",
            ),
            (
                "no JSON",
                control(&[0xC3, 0x28, 0xA0, 0xA1]),
                CloseCode::ProtocolError,
                "JSON",
            ),
            (
                "JSON without a type",
                control(b"{\"version\":1}"),
                CloseCode::ProtocolError,
                "JSON",
            ),
            (
                "JSON of 60,000 levels",
                control(&nested),
                CloseCode::ProtocolError,
                "JSON",
            ),
            (
                "an unknown mandatory message",
                control(b"{\"type\":\"teleport\"}"),
                CloseCode::UnknownMessage,
                "unknown type",
            ),
            (
                "a Hello without fields",
                control(b"{\"type\":\"hello\",\"version\":1}"),
                CloseCode::InvalidHello,
                "hello",
            ),
            (
                "a Ping before Hello",
                encode(&Message::Ping(Ping { nonce: 1 })).to_vec(),
                CloseCode::ProtocolError,
                "Hello",
            ),
            // The deadline of a frame begins with its first byte.
            (
                "half a frame",
                vec![0, 0, 1, 0, b'{'],
                CloseCode::JoinTimeout,
                "",
            ),
            ("silence", Vec::new(), CloseCode::JoinTimeout, "took longer"),
        ] {
            let stranger = stage.stranger(name)?;
            stranger.send_control(&bytes);
            greetings.push(Greeting {
                name,
                stranger,
                code,
                says,
            });
        }
        check_refusals(&greetings)?;
        stage.everyone_is_alive()
    });
}

#[test]
fn a_hello_that_cannot_be_accepted_is_refused_in_words() {
    sandbox::test(|| {
        let mut stage = Stage::set(&[])?;
        let bob_mac = stage.bob().node.mac(TAP)?;
        let gateway_mac: MacAddr = field(&stage, "gateway", "mac")?;
        let mut greetings = Vec::new();
        let mut greet = |name, code, says, message: &dyn Fn(&RawMember) -> Result<Message>| {
            let stranger = stage.stranger(name)?;
            stranger.say(&message(&stranger)?);
            greetings.push(Greeting {
                name,
                stranger,
                code,
                says,
            });
            anyhow::Ok(())
        };
        greet(
            "an older member",
            CloseCode::VersionMismatch,
            "upgrade the player",
            &|member| hello(member, |hello| hello.version = PROTOCOL_VERSION - 1),
        )?;
        greet(
            "a newer member",
            CloseCode::VersionMismatch,
            "upgrade the relay",
            &|member| hello(member, |hello| hello.version = PROTOCOL_VERSION + 1),
        )?;
        greet(
            "no MAC",
            CloseCode::MacNotAllowed,
            "must announce a MAC",
            &|member| hello(member, |hello| hello.mac = None),
        )?;
        greet(
            "a group's MAC",
            CloseCode::MacNotAllowed,
            "cannot use this MAC",
            &|member| hello(member, |hello| hello.mac = Some(MacAddr::BROADCAST)),
        )?;
        greet(
            "bob's MAC",
            CloseCode::MacInUse,
            "--virtual-mac",
            &|member| {
                Ok(Message::Hello(Box::new(
                    member.hello(Role::Client, Some(bob_mac))?,
                )))
            },
        )?;
        greet(
            "the gateway's MAC",
            CloseCode::MacInUse,
            "--virtual-mac",
            &|member| {
                Ok(Message::Hello(Box::new(
                    member.hello(Role::Client, Some(gateway_mac))?,
                )))
            },
        )?;
        greet(
            "a second gateway",
            CloseCode::GatewayPresent,
            "already has a gateway",
            &|member| Ok(Message::Hello(Box::new(member.hello(Role::Gateway, None)?))),
        )?;
        greet(
            "no room for a datagram",
            CloseCode::InvalidHello,
            "datagram budget",
            &|member| hello(member, |hello| hello.datagram_budget = 5),
        )?;
        let other = stage.stranger("somebody else")?;
        greet(
            "another's key card",
            CloseCode::NotAdmitted,
            "did not admit",
            &|_| hello(&other, |_| ()),
        )?;
        check_refusals(&greetings)?;
        stage.everyone_is_alive()
    });
}

#[test]
fn a_member_that_breaks_the_control_stream_loses_its_place() {
    sandbox::test(|| {
        let mut stage = Stage::set(&[])?;
        let policy = Message::RoomPolicy(Box::default());
        let ping = encode(&Message::Ping(Ping { nonce: 7 }));
        let member = stage.mallory()?;
        let again = encode(&hello(&member, |_| ())?);
        let said_welcome = encode(&Message::Welcome(Box::new(member.welcome()?)));
        drop(member);
        for (name, bytes, code) in [
            ("Hello twice", again.to_vec(), CloseCode::ProtocolError),
            ("a Welcome", said_welcome.to_vec(), CloseCode::ProtocolError),
            (
                "the gateway's policy",
                encode(&policy).to_vec(),
                CloseCode::ProtocolError,
            ),
            ("no JSON", control(b"}{"), CloseCode::ProtocolError),
            (
                "an unknown mandatory message",
                control(b"{\"type\":\"teleport\"}"),
                CloseCode::UnknownMessage,
            ),
            (
                "messages without end",
                ping.repeat(500),
                CloseCode::ProtocolError,
            ),
            ("half a frame", vec![0, 0, 1, 0, b'{'], CloseCode::TooSlow),
        ] {
            let mallory = stage.mallory().context(name)?;
            mallory.send_control(&bytes);
            let (closed, message) = mallory.closed_with(PATIENCE).context(name)?;
            ensure!(closed == code, "{name}: closed with {closed}, {message:?}");
            let told = mallory.said_matching(|message| {
                if let Message::Disconnect(disconnect) = message {
                    return Some(disconnect.reason);
                }
                None
            });
            ensure!(told == Some(code), "{name}: was told {told:?}");
            ensure!(
                peer_of(&stage, "mallory").is_err(),
                "{name}: still in the room"
            );
        }
        stage.everyone_is_alive()
    });
}

#[test]
fn optional_messages_of_a_later_version_are_skipped() {
    sandbox::test(|| {
        let mut stage = Stage::set(&[])?;
        let newer = control(b"{\"type\":\"teleport\",\"optional\":true,\"to\":[1,2,{}]}");
        let stranger = stage.stranger("mallory")?;
        stranger.send_control(&newer);
        stranger.say(&hello(&stranger, |_| ())?);
        stranger.welcome()?;
        stranger.send_control(&newer);
        stranger.say(&Message::Ping(Ping { nonce: 99 }));
        let pong = || {
            stranger
                .said_matching(|said| (*said == Message::Pong(Ping { nonce: 99 })).then_some(()))
        };
        wait::until("the answer to a Ping", PATIENCE, pong)?;
        ensure!(stranger.closed().is_none(), "{:?}", stranger.closed());
        stage.everyone_is_alive()
    });
}
