//! A session whose relay and fellow members say anything.

use std::time::Duration;

use bytes::Bytes;
use lanparty_client_core::{DisconnectCause, Effect, Session, SessionConfig, Signer};
use lanparty_ctrl::{
    Access, Decoder, KeyCard, Message, Mode, PeerInfo, Role, RoomId, RoomPolicy, Welcome, encode,
};
use lanparty_proto::PeerId;
use lanparty_proto::mtu::DEFAULT_TAP_MTU;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::{epoch, l2, take_bytes};

const OWN: u16 = 1;
const GATEWAY: u16 = 2;
const BUDGET: usize = 1_334;
const EXPORTER: [u8; 32] = [0x55; 32];

/// Steps of an operation byte and bytes with a length, once the session has
/// joined: frames come out only from members that it knows, and everything
/// that it sends to the relay can be read.
pub fn session(mut data: &[u8]) {
    let mut now = epoch();
    let mut session = Session::new(config(), StdRng::seed_from_u64(1), now);
    let mut relay = Decoder::new();
    session.start(now);
    session.connected(&EXPORTER, BUDGET, now);
    for message in [welcome(), gateway()] {
        session.control(&encode(&message), now);
    }
    drain(&mut session, &mut relay);

    while let Some((&operation, rest)) = data.split_first() {
        data = rest;
        let bytes = take_bytes(&mut data);
        match operation & 0b11 {
            0 => {
                session.control(bytes, now);
                session.release(BUDGET, now, &mut |_, _| {});
            }
            1 => {
                let known: Vec<PeerId> = session.roster().iter().map(|peer| peer.peer).collect();
                let _counted = session.incoming(bytes, BUDGET, now, &mut |_, sender| {
                    assert!(known.contains(&sender), "{sender} is nobody");
                });
            }
            2 => {
                let mut sink = |_, datagram: Bytes| assert!(datagram.len() <= BUDGET);
                let _counted = session.outgoing(&mut bytes.to_vec(), BUDGET, now, &mut sink);
                // Else it waits for the next one.
                if operation & 0b100 == 0 {
                    session.flush(BUDGET, now, &mut sink);
                }
            }
            _ if bytes.is_empty() => {
                session.disconnected(DisconnectCause::Reset, now);
                relay = Decoder::new();
            }
            _ => {
                now += Duration::from_millis(100) * u32::from(operation >> 2);
                session.tick(now);
            }
        }
        if drain(&mut session, &mut relay) {
            relay = Decoder::new();
            session.connected(&EXPORTER, BUDGET, now);
        }
    }
}

/// True where the session dials again.
fn drain(session: &mut Session, relay: &mut Decoder) -> bool {
    let mut dials = false;
    while let Some(effect) = session.poll_effect() {
        match effect {
            Effect::Dial => dials = true,
            Effect::SendControl(bytes) => {
                relay.push(&bytes);
                while relay
                    .next()
                    .expect("a member speaks the protocol")
                    .is_some()
                {}
            }
            Effect::SendDatagram { bytes, .. } => assert!(bytes.len() <= BUDGET),
            Effect::Close { .. } | Effect::Event(_) => {}
        }
    }
    dials
}

fn config() -> SessionConfig {
    SessionConfig {
        role: Role::Client,
        room: "ROOM1".parse().expect("a valid room code"),
        key: None,
        create_token: None,
        mac: Some(l2::PLAYER),
        name: "member".parse().expect("a valid name"),
        agent: "fuzz".parse().expect("a valid agent"),
        signer: Signer::new([0; 32], |_| [0; 64]),
        policy: RoomPolicy::default(),
        access: Access::default(),
    }
}

const fn card() -> KeyCard {
    KeyCard {
        identity: [1; 32],
        public_key: [0; 32],
        x25519: [0; 32],
        session: [0; 16],
        signature: [0; 64],
    }
}

fn peer(id: u16) -> PeerId {
    PeerId::try_from(id).expect("not a reserved id")
}

fn welcome() -> Message {
    Message::Welcome(Box::new(Welcome {
        version: lanparty_ctrl::PROTOCOL_VERSION,
        mode: Mode::Lan,
        room_id: RoomId([7; 16]),
        peer_id: peer(OWN),
        tap_mtu: DEFAULT_TAP_MTU,
        gateway: Some(peer(GATEWAY)),
        features: lanparty_ctrl::feature::Features::default(),
        resume: vec![1; 32].try_into().expect("a short token"),
        observed_address: ([198, 51, 100, 7], 4_433).into(),
        policy: RoomPolicy::default(),
    }))
}

fn gateway() -> Message {
    Message::PeerJoined(Box::new(PeerInfo {
        peer: peer(GATEWAY),
        role: Role::Gateway,
        mac: None,
        name: "gateway".parse().expect("a valid name"),
        key_card: card(),
    }))
}
