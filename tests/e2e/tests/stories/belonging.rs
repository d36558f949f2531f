//! Who belongs to a room with a key, over real connections.

use anyhow::{Context as _, Result, ensure};
use lanparty_ctrl::{CloseCode, Hello, Message, Reject, Role, RoomId, Sealed, SealedBody};
use lanparty_lab::party::RELAY;
use lanparty_lab::{Party, PartyOptions, RawMember, sandbox, wait};
use lanparty_net::Invite;
use lanparty_proto::MacAddr;
use lanparty_proto::overlay::{Header, Hint, Kind};
use lanparty_seal::RoomKey;

use crate::mallory::MAC;

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
    wait::until(
        "the relay's refusal",
        std::time::Duration::from_secs(5),
        || member.reject(),
    )
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
        let patience = std::time::Duration::from_secs(5);
        wait::until("clear frames to be refused", patience, || {
            drops("clear_in_sealed_room")
                .ok()
                .filter(|count| *count == 20)
        })?;
        let bob = &stage.party.players[1];
        wait::until("bob to have no key for them", patience, || {
            let status = bob.status().ok()?;
            let count = status.pointer("/drops/no_key")?.as_u64()?;
            (count > 0).then_some(())
        })?;
        let peers = stage.party.rooms()?;
        let members = peers.pointer("/rooms/0/members").and_then(|m| m.as_array());
        ensure!(members.is_some_and(|members| members.len() == 3), "{peers}");
        lanparty_lab::traffic::udp(
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
