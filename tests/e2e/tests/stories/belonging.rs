//! Who belongs to a room with a key, over real connections.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_ctrl::{CloseCode, Hello, Message, Reject, Role, RoomId, Sealed, SealedBody};
use lanparty_lab::party::{HOST1, RELAY, file};
use lanparty_lab::{Party, PartyOptions, RawMember, sandbox, traffic, wait};
use lanparty_net::Invite;
use lanparty_proto::MacAddr;
use lanparty_proto::overlay::{FrameCount, Header, Hint, Kind};
use lanparty_seal::RoomKey;

use crate::mallory::MAC;

const SOON: Duration = Duration::from_secs(10);

struct Stage {
    party: Party,
    key: RoomKey,
}

impl Stage {
    /// A sealed party with bob in it; alice's computer is free for a raw member.
    fn set() -> Result<Self> {
        let mut party = Party::build(PartyOptions {
            keyed: true,
            ..PartyOptions::default()
        })?;
        party.start_dnsmasq()?;
        party.start_relay()?;
        party.start_gateway()?;
        party.start_player(1)?;
        party.players[1].address()?;
        let invite: Invite = party.invite()?.trim().parse()?;
        let key = RoomKey::from_bytes(*invite.key().context("no key in the invite")?);
        Ok(Self { party, key })
    }

    fn stranger(&self, name: &str) -> Result<RawMember> {
        let room = &self.party.options.room;
        let certificate = self.party.relay_certificate();
        let node = &self.party.players[0].node;
        RawMember::connect(node, (RELAY, 443).into(), &certificate, room, name)
    }
}

fn refusal(member: &RawMember, hello: Hello) -> Result<Reject> {
    member.say(&Message::Hello(Box::new(hello)));
    wait::until("the relay's refusal", SOON, || member.reject())
}

/// The proof of somebody who holds the key, taken by somebody who does not.
#[test]
fn a4_a_captured_proof_opens_no_other_connection() {
    sandbox::test(|| {
        let stage = Stage::set()?;
        let first = stage.stranger("mallory")?;
        let hello = first.keyed_hello(Role::Client, Some(MAC), &stage.key)?;
        // The same certificate and the very same bytes on the next connection.
        let second = stage.stranger("mallory")?;
        let replayed = refusal(&second, hello.clone())?;
        ensure!(replayed.code == CloseCode::NotAdmitted, "{replayed:?}");
        // With a key that is none: the same words, whatever was wrong.
        let third = stage.stranger("eve")?;
        let wrong = RoomKey::from_bytes([7; 32]);
        let guessed = refusal(&third, third.keyed_hello(Role::Client, Some(MAC), &wrong)?)?;
        ensure!(guessed == replayed, "{guessed:?}, {replayed:?}");
        // Where it was made for, it is good.
        first.say(&Message::Hello(Box::new(hello)));
        let welcome = first.welcome()?;
        let public_key = stage.key.admission().public_key();
        let room = RoomId::derive(&stage.party.options.room.parse()?, Some(&public_key));
        ensure!(welcome.room_id == room, "{welcome:?}");
        Ok(())
    });
}

/// A holder of the key that sends nonsense in place of everything sealed.
#[test]
fn a_member_that_seals_nothing_reaches_nobody_and_disturbs_nobody() {
    sandbox::test(|| {
        let stage = Stage::set()?;
        let mallory = stage.stranger("mallory")?;
        let hello = mallory.keyed_hello(Role::Client, Some(MAC), &stage.key)?;
        mallory.say(&Message::Hello(Box::new(hello)));
        let source = mallory.welcome()?.peer_id;
        for kind in [Kind::SealedFrame, Kind::Frame] {
            for _ in 0..20 {
                let header = Header {
                    kind,
                    hint: Hint::Sparse,
                    source,
                    flow_tag: 1,
                    frames: FrameCount::ONE,
                };
                let ethernet = [
                    &MacAddr::BROADCAST.octets()[..],
                    &MAC.octets(),
                    &[0x08, 0x06],
                ];
                let sealed: &[u8] = if kind == Kind::Frame {
                    &[]
                } else {
                    &[1, 0, 0, 0, 0, 1]
                };
                let datagram = [
                    &header.encode()[..],
                    sealed,
                    &ethernet.concat(),
                    &[0xEE; 64],
                ];
                mallory.send_datagram(&datagram.concat());
            }
        }
        for len in [1, 100, 4_096] {
            mallory.say(&Message::Sealed(Sealed {
                peer: None,
                body: SealedBody::try_from(vec![0xC5; len])?,
            }));
        }
        let drops = |reason: &str| -> Result<u64> {
            let rooms = stage.party.rooms()?;
            let count = rooms.pointer(&format!("/rooms/0/drops/{reason}"));
            Ok(count.and_then(serde_json::Value::as_u64).unwrap_or(0))
        };
        wait::until("clear frames to be refused", SOON, || {
            drops("clear_in_sealed_room")
                .ok()
                .filter(|count| *count == 20)
        })?;
        let bob = &stage.party.players[1];
        wait::until("bob to have no key for them", SOON, || {
            let status = bob.status().ok()?;
            let count = status.pointer("/drops/no_key")?.as_u64()?;
            (count > 0).then_some(())
        })?;
        let peers = stage.party.rooms()?;
        let members = peers.pointer("/rooms/0/members").and_then(|m| m.as_array());
        ensure!(members.is_some_and(|members| members.len() == 3), "{peers}");
        traffic::udp(
            &stage.party.host1,
            &bob.node,
            (bob.address()?, 7500).into(),
            100,
            10,
        )
        .and_then(|arrived| {
            ensure!(arrived == 10, "{arrived} of 10");
            Ok(())
        })
    });
}

/// Invariant I10 in a room with a key, and without the one that may open it:
/// the relay remembers nothing, its members bring what it needs.
#[test]
fn players_find_their_keyed_room_again_after_a_restart_of_the_relay_also_without_the_gateway() {
    sandbox::test(|| {
        let mut party = Party::start(PartyOptions {
            keyed: true,
            ..PartyOptions::default()
        })?;
        let bob = party.players[1].address()?;
        traffic::ping(&party.players[0].node, bob.into(), 2)?;
        party.gateway.as_mut().context("no gateway")?.interrupt()?;
        party.relay.as_mut().context("no relay")?.kill()?;
        party.start_relay()?;
        wait::until("frames between players", SOON, || {
            traffic::ping(&party.players[0].node, bob.into(), 1).ok()
        })?;
        party.start_gateway()?;
        wait::until("the LAN to answer again", SOON, || {
            traffic::ping(&party.players[0].node, HOST1.into(), 1).ok()
        })?;
        Ok(())
    });
}

/// The gateway with these arguments, and how it ended.
fn refused_gateway(party: &mut Party, arguments: &[&str]) -> Result<String> {
    party.options.gateway_arguments = arguments.iter().map(|&text| text.into()).collect();
    match party.start_gateway() {
        Ok(()) => anyhow::bail!("the relay let {arguments:?} open a room"),
        Err(error) => Ok(format!("{error:#}")),
    }
}

#[test]
fn a_relay_that_asks_for_tokens_lets_their_holders_open_rooms_and_anybody_join() {
    sandbox::test(|| {
        let write = |name: &str, text: &str| -> Result<String> {
            let path = file(name);
            std::fs::write(&path, text)?;
            std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            Ok(path.to_string_lossy().into_owned())
        };
        let tokens = write("tokens", "# for the club\nhanded-out-by-hand-1\n")?;
        let good = write("good", "handed-out-by-hand-1\n")?;
        let bad = write("bad", "handed-out-by-hand-2\n")?;
        let mut party = Party::build(PartyOptions {
            keyed: true,
            relay_arguments: ["--rooms", "token", "--room-tokens", &tokens]
                .map(str::to_owned)
                .to_vec(),
            ..PartyOptions::default()
        })?;
        party.start_dnsmasq()?;
        party.start_relay()?;
        for arguments in [&[][..], &["--create-token-file", &bad]] {
            let said = refused_gateway(&mut party, arguments)?;
            ensure!(said.contains("token"), "{said}");
        }
        party.options.gateway_arguments = vec!["--create-token-file".to_owned(), good];
        party.start_gateway()?;
        party.start_player(0)?;
        party.players[0].address()?;
        traffic::ping(&party.players[0].node, HOST1.into(), 2)?;
        Ok(())
    });
}

#[test]
fn a_relay_for_rooms_with_keys_refuses_others_in_words() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            relay_arguments: vec!["--rooms".to_owned(), "keyed".to_owned()],
            ..PartyOptions::default()
        })?;
        party.start_relay()?;
        let said = refused_gateway(&mut party, &[])?;
        ensure!(said.contains("rooms with a key"), "{said}");
        party.options.keyed = true;
        party.options.gateway_arguments.clear();
        party.start_gateway()
    });
}
