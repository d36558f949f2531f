//! One message of each type with every optional field present, made of known
//! keys, so that fixtures, documents and properties talk about the same bytes.

use std::net::IpAddr;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use lanparty_ctrl::{
    Access, Admission, Asking, CloseCode, Disconnect, Hello, Identity, Ipv6Policy, KeyCard,
    Message, Mode, PROTOCOL_VERSION, PeerInfo, PeerLeft, Ping, Reject, Remove, Restarting,
    ResumeToken, Role, RoomId, RoomPolicy, Sealed, SealedBody, Welcome,
};
use lanparty_obs::stats::{
    AddressSource, LanStats, PeerStats, TapAddress, TapStats, TunnelCounters,
};
use lanparty_obs::{DropCounts, DropReason};
use lanparty_proto::{MacAddr, PeerId};

const IDENTITY_SEED: [u8; 32] = [0x11; 32];
pub(crate) const ADMISSION_SEED: [u8; 32] = [0x44; 32];
pub(crate) const EXPORTER: [u8; 32] = [0x55; 32];
pub(crate) const MAC: MacAddr = MacAddr([0x02, 0x00, 0x5e, 0x10, 0x00, 0x01]);

pub(crate) fn public_key(seed: &[u8; 32]) -> [u8; 32] {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).unwrap();
    pair.public_key().as_ref().try_into().unwrap()
}

fn sign(seed: &[u8; 32], message: &[u8]) -> [u8; 64] {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).unwrap();
    pair.sign(message).as_ref().try_into().unwrap()
}

pub(crate) fn key_card(mac: Option<MacAddr>, role: Role) -> KeyCard {
    let public_key = public_key(&IDENTITY_SEED);
    let mut card = KeyCard {
        identity: KeyCard::identity_of(&public_key),
        public_key,
        x25519: [0x22; 32],
        session: [0x33; 16],
        signature: [0; 64],
    };
    card.signature = sign(&IDENTITY_SEED, &card.signed_bytes(mac, role));
    card
}

pub(crate) fn hello() -> Hello {
    let key_card = key_card(Some(MAC), Role::Client);
    let mut hello = Hello {
        version: PROTOCOL_VERSION,
        features: vec!["example".parse().unwrap()].try_into().unwrap(),
        role: Role::Client,
        room: "PARTY".parse().unwrap(),
        create: false,
        create_token: Some("an-operator-gave-this".parse().unwrap()),
        mac: Some(MAC),
        name: "Käthe".parse().unwrap(),
        datagram_budget: 1_434,
        agent: "lanparty-client 0.1.0".parse().unwrap(),
        key_card,
        admission: None,
        resume: Some(ResumeToken::try_from(vec![0xAB; 24]).unwrap()),
    };
    let public_key = public_key(&ADMISSION_SEED);
    let message = Admission::signed_bytes(&EXPORTER, &key_card.identity, &public_key, &hello);
    hello.admission = Some(Admission {
        public_key,
        signature: sign(&ADMISSION_SEED, &message),
    });
    hello
}

fn policy() -> RoomPolicy {
    RoomPolicy {
        ether_types: vec![0x88B5_u16.try_into().unwrap()].try_into().unwrap(),
        vlans: vec![7_u16.try_into().unwrap()].try_into().unwrap(),
        ipv6: Ipv6Policy::Lan,
        allow_hosts: vec![IpAddr::from([10, 73, 42, 10]), "fd00::10".parse().unwrap()]
            .try_into()
            .unwrap(),
        party_subnet_only: true,
    }
}

fn stats() -> PeerStats {
    let mut drops = DropCounts::new();
    drops.add_n(DropReason::ArpSpoof, 2);
    PeerStats {
        uptime_s: 61,
        tunnel: TunnelCounters {
            frames_in: 1,
            frames_out: 2,
            bytes_in: 3,
            bytes_out: 4,
            datagrams_in: 5,
            datagrams_out: 6,
            fragments_in: 7,
            fragments_out: 8,
            broadcasts_in: 9,
            broadcasts_out: 10,
            multicasts_in: 11,
            multicasts_out: 12,
        },
        drops,
        rtt_us: Some(18_250),
        datagram_budget: 1_434,
        tap: Some(TapStats {
            up: true,
            mtu: 1_344,
            address: Some(TapAddress {
                address: [10, 73, 42, 123].into(),
                prefix_len: 24,
                source: AddressSource::Dhcp,
            }),
        }),
        lan: Some(LanStats {
            link_up: true,
            host_path: true,
            frames_in: 13,
            frames_out: 14,
            packets_in: 0,
            packets_out: 0,
            known_macs: 15,
        }),
    }
}

fn peer(raw: u16) -> PeerId {
    raw.try_into().unwrap()
}

pub(crate) fn all() -> Vec<Message> {
    vec![
        Message::Hello(Box::new(hello())),
        Message::Welcome(Box::new(Welcome {
            version: PROTOCOL_VERSION,
            mode: Mode::Lan,
            room_id: RoomId::derive(&"PARTY".parse().unwrap(), None),
            peer_id: peer(0x1234),
            tap_mtu: 1_344,
            gateway: Some(peer(0x4711)),
            features: vec!["example".parse().unwrap()].try_into().unwrap(),
            resume: ResumeToken::try_from(vec![0xCD; 24]).unwrap(),
            observed_address: "203.0.113.9:50123".parse().unwrap(),
            policy: policy(),
        })),
        Message::Reject(Reject {
            code: CloseCode::RoomFull,
            message: "The room is full.".parse().unwrap(),
            retry_after_ms: Some(30_000),
            relay_version: PROTOCOL_VERSION,
        }),
        Message::PeerJoined(Box::new(PeerInfo {
            peer: peer(0x1234),
            role: Role::Client,
            mac: Some(MAC),
            name: "Käthe".parse().unwrap(),
            key_card: key_card(Some(MAC), Role::Client),
        })),
        Message::PeerLeft(PeerLeft {
            peer: peer(0x1234),
            reason: CloseCode::ConnectionLost,
        }),
        Message::Stats(Box::new(stats())),
        Message::Ping(Ping { nonce: u64::MAX }),
        Message::Pong(Ping { nonce: u64::MAX }),
        Message::RoomPolicy(Box::new(policy())),
        Message::Access(Box::new(Access {
            approval: true,
            banned: vec![Identity([0x66; 32])].try_into().unwrap(),
            approved: vec![key_card(None, Role::Client).identity.into()]
                .try_into()
                .unwrap(),
        })),
        Message::Asking(Box::new(Asking {
            identity: key_card(None, Role::Client).identity.into(),
            name: "Käthe".parse().unwrap(),
            role: Role::Client,
            mac: Some(MAC),
        })),
        Message::Remove(Remove {
            peer: peer(0x1234),
            ban: true,
        }),
        Message::Sealed(Sealed {
            peer: Some(peer(0x1234)),
            body: SealedBody::try_from(vec![0xEF; 8]).unwrap(),
        }),
        Message::Restarting(Restarting {
            reconnect_in_ms: 1_000,
            try_for_ms: 60_000,
        }),
        Message::Disconnect(Disconnect {
            reason: CloseCode::Normal,
            message: "bye".parse().unwrap(),
        }),
    ]
}
