//! A room whose members say anything.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use lanparty_ctrl::feature::Features;
use lanparty_ctrl::{
    Admission, Decoder, Feature, Hello, Incoming, KeyCard, Message, PROTOCOL_VERSION, ResumeToken,
    Role, encode,
};
use lanparty_proto::overlay::Header;
use lanparty_proto::{MacAddr, PeerId};
use lanparty_relay_core::{
    Clock, Conn, Decision, Effect, Limits, NewConnection, RelayCore, RelaySecrets,
};
use lanparty_seal::RoomKey;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::{epoch, l2, take_bytes};

/// Steps of an operation byte and bytes with a length: nobody speaks with
/// another's id, gets back what it sent, or receives a malformed control
/// message. Played in a room without a key and in one with a key, where
/// members also come back after they were put out.
pub fn room(data: &[u8]) {
    play(data, None);
    play(data, Some(RoomKey::from_bytes([8; 32])));
}

fn play(mut data: &[u8], key: Option<RoomKey>) {
    let mut now = epoch();
    let clock = Clock {
        instant: now,
        unix_s: 1_800_000_000,
    };
    let secrets = RelaySecrets {
        resume_key: [7; 32],
    };
    let rng = StdRng::seed_from_u64(1);
    let mut relay = RelayCore::new(Limits::default(), secrets, clock, rng);
    let mut members = Members {
        key,
        ..Members::default()
    };
    // The gateway first: only it opens a room with a key.
    for number in [GATEWAY, 1, 2] {
        members.join(&mut relay, number, now);
        let conn = members.conn(number);
        assert!(members.ids.contains_key(&conn), "the hello is valid");
    }

    while let Some((&operation, rest)) = data.split_first() {
        data = rest;
        let bytes = take_bytes(&mut data);
        let number = operation & 0b11;
        let conn = members.conn(number);
        match operation >> 2 & 0b11 {
            // Ids are random, so in one of two cases the sender's own is put in.
            kind @ (0 | 1) => {
                match relay.datagram(conn, &members.with_id(conn, bytes, kind), now) {
                    Decision::Forward { targets, header } => {
                        assert_eq!(members.ids.get(&conn), Some(&header.source));
                        assert!(!targets.is_empty() && !targets.contains(&conn));
                    }
                    Decision::Answer { datagram, header } => {
                        assert_eq!(members.ids.get(&conn), Some(&header.source));
                        assert!(datagram.len() <= bytes.len());
                        assert!(Header::decode(&datagram).is_ok());
                    }
                    Decision::Drop(_) => {}
                }
            }
            2 => relay.control(conn, bytes, now),
            _ if bytes.is_empty() && members.ids.contains_key(&conn) => {
                relay.disconnected(conn, None, now);
                members.ids.remove(&conn);
            }
            _ if bytes.is_empty() => members.join(&mut relay, number, now),
            _ => {
                now += Duration::from_millis(250) * u32::from(operation >> 4);
                relay.tick(now);
            }
        }
        members.take_effects(&mut relay);
    }
}

const GATEWAY: u8 = 3;

#[derive(Default)]
struct Members {
    key: Option<RoomKey>,
    /// Who sits where now, by number.
    seats: BTreeMap<u8, Seat>,
    /// Those that are in the room, as far as they know.
    ids: BTreeMap<Conn, PeerId>,
    decoders: BTreeMap<Conn, Decoder>,
    connections: u64,
}

struct Seat {
    conn: Conn,
    resume: Option<ResumeToken>,
}

impl Members {
    /// A connection that never was, for numbers that nobody has.
    fn conn(&self, number: u8) -> Conn {
        self.seats.get(&number).map_or(Conn(0), |seat| seat.conn)
    }

    /// Dials and says Hello, with the token of the last time.
    fn join(&mut self, relay: &mut RelayCore<StdRng>, number: u8, now: Instant) {
        let (role, mac) = match number {
            1 => (Role::Client, Some(l2::PLAYER)),
            2 => (Role::Client, Some(MacAddr([2, 0x50, 0, 0, 0, 2]))),
            GATEWAY => (Role::Gateway, None),
            _ => return,
        };
        self.connections += 1;
        let conn = Conn(self.connections);
        let identity = [number; 32];
        let exporter = [0x55; 32];
        let resume = self.seats.remove(&number).and_then(|seat| seat.resume);
        let seat = Seat {
            conn,
            resume: resume.clone(),
        };
        self.seats.insert(number, seat);
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 4_433));
        relay.connected(
            NewConnection {
                conn,
                remote,
                identity,
                exporter,
            },
            now,
        );
        let mut hello = Hello {
            create: role == Role::Gateway,
            resume,
            ..hello(identity, role, mac)
        };
        if let Some(pair) = self.key.as_ref().map(RoomKey::admission) {
            hello.features = vec![Feature::seal()].try_into().expect("one of 16");
            let public_key = pair.public_key();
            let message = Admission::signed_bytes(&exporter, &identity, &public_key, &hello);
            hello.admission = Some(Admission {
                public_key,
                signature: pair.sign(&message),
            });
        }
        relay.control(conn, &encode(&Message::Hello(Box::new(hello))), now);
        self.take_effects(relay);
    }

    fn with_id(&self, conn: Conn, datagram: &[u8], kind: u8) -> Vec<u8> {
        let mut datagram = datagram.to_vec();
        if kind == 0
            && let Some(id) = self.ids.get(&conn)
            && let Some(source) = datagram.get_mut(2..4)
        {
            source.copy_from_slice(&id.get().to_be_bytes());
        }
        datagram
    }

    fn take_effects(&mut self, relay: &mut RelayCore<StdRng>) {
        while let Some(effect) = relay.poll_effect() {
            let (conn, bytes) = match effect {
                Effect::SendControl { conn, bytes } => (conn, bytes),
                Effect::Close { conn, .. } => {
                    self.ids.remove(&conn);
                    continue;
                }
            };
            let decoder = self.decoders.entry(conn).or_default();
            decoder.push(&bytes);
            while let Some(incoming) = decoder.next().expect("the relay speaks the protocol") {
                let Incoming::Message(message) = incoming else {
                    continue;
                };
                if let Message::Welcome(welcome) = message {
                    self.ids.insert(conn, welcome.peer_id);
                    let seats = &mut self.seats;
                    if let Some(seat) = seats.values_mut().find(|seat| seat.conn == conn) {
                        seat.resume = Some(welcome.resume);
                    }
                } else if let Message::Sealed(sealed) = message {
                    assert!(self.key.is_some(), "nothing is sealed in an open room");
                    assert!(sealed.peer.is_some(), "the sender is named");
                    assert_ne!(self.ids.get(&conn).copied(), sealed.peer);
                }
            }
        }
    }
}

fn hello(identity: [u8; 32], role: Role, mac: Option<MacAddr>) -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        features: Features::default(),
        role,
        room: "ROOM1".parse().expect("a valid room code"),
        create: false,
        create_token: None,
        mac,
        name: "member".parse().expect("a valid name"),
        datagram_budget: 1_434,
        agent: "fuzz".parse().expect("a valid agent"),
        key_card: KeyCard {
            identity,
            public_key: [0; 32],
            x25519: [0; 32],
            session: [0; 16],
            signature: [0; 64],
        },
        admission: None,
        resume: None,
    }
}
