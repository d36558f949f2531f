//! A room whose members say anything.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use lanparty_ctrl::feature::Features;
use lanparty_ctrl::{Decoder, Hello, Incoming, KeyCard, Message, PROTOCOL_VERSION, Role, encode};
use lanparty_proto::overlay::Header;
use lanparty_proto::{MacAddr, PeerId};
use lanparty_relay_core::{
    Clock, Conn, Decision, Effect, Limits, NewConnection, RelayCore, RelaySecrets,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::{epoch, l2, take_bytes};

/// Steps of an operation byte and bytes with a length: nobody speaks with
/// another's id, gets back what it sent, or receives a malformed control
/// message.
pub fn room(mut data: &[u8]) {
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
    let mut members = Members::default();
    for (number, role, mac) in [
        (1, Role::Client, Some(l2::PLAYER)),
        (2, Role::Client, Some(MacAddr([2, 0x50, 0, 0, 0, 2]))),
        (3, Role::Gateway, None),
    ] {
        let conn = Conn(number);
        let identity = [number.to_be_bytes()[7]; 32];
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 4_433));
        relay.connected(
            NewConnection {
                conn,
                remote,
                identity,
                exporter: [0x55; 32],
            },
            now,
        );
        let hello = Message::Hello(Box::new(hello(identity, role, mac)));
        relay.control(conn, &encode(&hello), now);
        members.take_effects(&mut relay);
        assert!(members.ids.contains_key(&conn), "the hello is valid");
    }

    while let Some((&operation, rest)) = data.split_first() {
        data = rest;
        let bytes = take_bytes(&mut data);
        let conn = Conn(u64::from(operation & 0b11));
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
            _ if bytes.is_empty() => relay.disconnected(conn, None, now),
            _ => {
                now += Duration::from_millis(250) * u32::from(operation >> 4);
                relay.tick(now);
            }
        }
        members.take_effects(&mut relay);
    }
}

#[derive(Default)]
struct Members {
    ids: BTreeMap<Conn, PeerId>,
    decoders: BTreeMap<Conn, Decoder>,
}

impl Members {
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
            let Effect::SendControl { conn, bytes } = effect else {
                continue;
            };
            let decoder = self.decoders.entry(conn).or_default();
            decoder.push(&bytes);
            while let Some(incoming) = decoder.next().expect("the relay speaks the protocol") {
                if let Incoming::Message(Message::Welcome(welcome)) = incoming {
                    self.ids.insert(conn, welcome.peer_id);
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
