//! Properties of every message: round trip, claimed length, mutation,
//! chunking and allocation.

use std::net::{IpAddr, SocketAddr};

use lanparty_ctrl::codec::{Decoder, Incoming, decode, encode};
use lanparty_ctrl::feature::Features;
use lanparty_ctrl::lifecycle::MAX_DELAY_MS;
use lanparty_ctrl::{
    Access, Admission, Asking, BoundedVec, CloseCode, CreateToken, Disconnect, DisplayName,
    DisplayText, ExtraEtherType, Feature, Hello, Identity, Ipv6Policy, KeyCard, Message, Mode,
    PROTOCOL_VERSION, PeerInfo, PeerLeft, Ping, Reject, Remove, Restarting, ResumeToken, Role,
    RoomCode, RoomId, RoomPolicy, Sealed, SealedBody, VlanId, Welcome,
};
use lanparty_obs::stats::{
    AddressSource, LanStats, PeerStats, TapAddress, TapStats, TunnelCounters,
};
use lanparty_obs::{DropCounts, DropReason};
use lanparty_proto::mtu::{MAX_DATAGRAM_BUDGET, MAX_TAP_MTU, MIN_DATAGRAM_BUDGET, MIN_TAP_MTU};
use lanparty_proto::{MacAddr, PeerId};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::samples;

fn bounded<T: std::fmt::Debug, const MAX: usize>(
    item: impl Strategy<Value = T>,
) -> impl Strategy<Value = BoundedVec<T, MAX>> {
    vec(item, 0..=MAX).prop_map(|items| items.try_into().unwrap())
}

fn features() -> impl Strategy<Value = Features> {
    bounded("[a-z0-9-]{1,32}".prop_map(|text| text.parse::<Feature>().unwrap()))
}

fn name() -> impl Strategy<Value = DisplayName> {
    any::<String>().prop_map(|text| DisplayName::lossy(&text, &"fallback".parse().unwrap()))
}

fn text() -> impl Strategy<Value = DisplayText> {
    any::<String>().prop_map(|text| DisplayText::lossy(&text, &"fallback".parse().unwrap()))
}

fn peer() -> impl Strategy<Value = PeerId> {
    (1..u16::MAX).prop_map(|raw| raw.try_into().unwrap())
}

fn role_and_mac() -> impl Strategy<Value = (Role, Option<MacAddr>)> {
    any::<[u8; 6]>().prop_flat_map(|bytes| {
        let mac = MacAddr::from_random(bytes);
        select(vec![
            (Role::Client, Some(mac)),
            (Role::Gateway, Some(mac)),
            (Role::Gateway, None),
        ])
    })
}

fn bytes64() -> impl Strategy<Value = [u8; 64]> {
    any::<[[u8; 32]; 2]>().prop_map(|halves| halves.concat().try_into().unwrap())
}

fn key_card() -> impl Strategy<Value = KeyCard> {
    (any::<[[u8; 32]; 3]>(), any::<[u8; 16]>(), bytes64()).prop_map(
        |([identity, public_key, x25519], session, signature)| KeyCard {
            identity,
            public_key,
            x25519,
            session,
            signature,
        },
    )
}

fn token() -> impl Strategy<Value = ResumeToken> {
    vec(any::<u8>(), 1..=256).prop_map(|bytes| bytes.try_into().unwrap())
}

fn create_token() -> impl Strategy<Value = CreateToken> {
    "[A-Za-z0-9_-]{20,64}".prop_map(|text| text.parse().unwrap())
}

fn identities() -> impl Strategy<Value = BoundedVec<Identity, 256>> {
    bounded(any::<[u8; 32]>().prop_map(Identity))
}

fn access() -> impl Strategy<Value = Access> {
    (any::<bool>(), identities(), identities()).prop_map(|(approval, banned, approved)| Access {
        approval,
        banned,
        approved,
    })
}

fn asking() -> impl Strategy<Value = Asking> {
    (any::<[u8; 32]>(), name(), role_and_mac()).prop_map(|(identity, name, (role, mac))| Asking {
        identity: Identity(identity),
        name,
        role,
        mac,
    })
}

fn sealed() -> impl Strategy<Value = Sealed> {
    let body = vec(any::<u8>(), 1..=4_096).prop_map(|bytes| SealedBody::try_from(bytes).unwrap());
    (option::of(peer()), body).prop_map(|(peer, body)| Sealed { peer, body })
}

fn close_code() -> impl Strategy<Value = CloseCode> {
    select(CloseCode::ALL)
}

fn policy() -> impl Strategy<Value = RoomPolicy> {
    (
        bounded(any::<u16>().prop_filter_map("listable", |raw| ExtraEtherType::try_from(raw).ok())),
        bounded((1..=4_094_u16).prop_map(|raw| VlanId::try_from(raw).unwrap())),
        select(vec![Ipv6Policy::Off, Ipv6Policy::Lan]),
        bounded(any::<IpAddr>()),
        any::<bool>(),
    )
        .prop_map(
            |(ether_types, vlans, ipv6, allow_hosts, party_subnet_only)| RoomPolicy {
                ether_types,
                vlans,
                ipv6,
                allow_hosts,
                party_subnet_only,
            },
        )
}

fn hello() -> impl Strategy<Value = Hello> {
    let admission = (any::<[u8; 32]>(), bytes64()).prop_map(|(public_key, signature)| Admission {
        public_key,
        signature,
    });
    (
        (
            features(),
            role_and_mac(),
            "[A-Za-z0-9_-]{1,32}",
            (any::<bool>(), option::of(create_token())),
            name(),
            name(),
        ),
        MIN_DATAGRAM_BUDGET..=MAX_DATAGRAM_BUDGET,
        (key_card(), option::of(admission), option::of(token())),
    )
        .prop_map(
            |(
                (features, (role, mac), room, (create, create_token), name, agent),
                datagram_budget,
                (key_card, admission, resume),
            )| Hello {
                version: PROTOCOL_VERSION,
                features,
                role,
                room: room.parse::<RoomCode>().unwrap(),
                create,
                create_token,
                mac,
                name,
                datagram_budget,
                agent,
                key_card,
                admission,
                resume,
            },
        )
}

fn welcome() -> impl Strategy<Value = Welcome> {
    // Flow labels and scopes are not part of an address's text.
    let address = (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from);
    (
        any::<[u8; 16]>(),
        (peer(), option::of(peer())),
        MIN_TAP_MTU..=MAX_TAP_MTU,
        (features(), token(), address, policy()),
    )
        .prop_map(
            |(
                room_id,
                (peer_id, gateway),
                tap_mtu,
                (features, resume, observed_address, policy),
            )| {
                Welcome {
                    version: PROTOCOL_VERSION,
                    mode: if gateway.is_some() {
                        Mode::Lan
                    } else {
                        Mode::Players
                    },
                    room_id: RoomId(room_id),
                    peer_id,
                    tap_mtu,
                    gateway,
                    features,
                    resume,
                    observed_address,
                    policy,
                }
            },
        )
}

fn tunnel() -> impl Strategy<Value = TunnelCounters> {
    any::<[u64; 12]>().prop_map(|[a, b, c, d, e, f, g, h, i, j, k, l]| TunnelCounters {
        frames_in: a,
        frames_out: b,
        bytes_in: c,
        bytes_out: d,
        datagrams_in: e,
        datagrams_out: f,
        fragments_in: g,
        fragments_out: h,
        broadcasts_in: i,
        broadcasts_out: j,
        multicasts_in: k,
        multicasts_out: l,
    })
}

fn stats() -> impl Strategy<Value = PeerStats> {
    let drops = vec((select(DropReason::ALL), any::<u64>()), 0..60).prop_map(|pairs| {
        let mut counts = DropCounts::new();
        pairs
            .into_iter()
            .for_each(|(reason, n)| counts.add_n(reason, n));
        counts
    });
    let sources = vec![
        AddressSource::Dhcp,
        AddressSource::Static,
        AddressSource::LinkLocal,
    ];
    let address = (any::<IpAddr>(), any::<u8>(), select(sources)).prop_map(
        |(address, prefix_len, source)| TapAddress {
            address,
            prefix_len,
            source,
        },
    );
    let tap = (any::<bool>(), any::<u16>(), option::of(address))
        .prop_map(|(up, mtu, address)| TapStats { up, mtu, address });
    let lan = any::<(bool, bool, [u64; 4], u32)>().prop_map(
        |(link_up, host_path, [frames_in, frames_out, packets_in, packets_out], known_macs)| {
            LanStats {
                link_up,
                host_path,
                frames_in,
                frames_out,
                packets_in,
                packets_out,
                known_macs,
            }
        },
    );
    (
        any::<(u64, Option<u32>, u16)>(),
        tunnel(),
        drops,
        option::of(tap),
        option::of(lan),
    )
        .prop_map(
            |((uptime_s, rtt_us, datagram_budget), tunnel, drops, tap, lan)| PeerStats {
                uptime_s,
                tunnel,
                drops,
                rtt_us,
                datagram_budget,
                tap,
                lan,
            },
        )
}

fn reject() -> impl Strategy<Value = Reject> {
    (
        close_code(),
        text(),
        option::of(0..=MAX_DELAY_MS),
        any::<u16>(),
    )
        .prop_map(|(code, message, retry_after_ms, relay_version)| Reject {
            code,
            message,
            retry_after_ms,
            relay_version,
        })
}

fn peer_joined() -> impl Strategy<Value = PeerInfo> {
    (peer(), role_and_mac(), name(), key_card()).prop_map(|(peer, (role, mac), name, key_card)| {
        PeerInfo {
            peer,
            role,
            mac,
            name,
            key_card,
        }
    })
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        hello().prop_map(|hello| Message::Hello(Box::new(hello))),
        welcome().prop_map(|welcome| Message::Welcome(Box::new(welcome))),
        reject().prop_map(Message::Reject),
        peer_joined().prop_map(|peer| Message::PeerJoined(Box::new(peer))),
        (peer(), close_code())
            .prop_map(|(peer, reason)| Message::PeerLeft(PeerLeft { peer, reason })),
        stats().prop_map(|stats| Message::Stats(Box::new(stats))),
        any::<u64>().prop_map(|nonce| Message::Ping(Ping { nonce })),
        any::<u64>().prop_map(|nonce| Message::Pong(Ping { nonce })),
        policy().prop_map(|policy| Message::RoomPolicy(Box::new(policy))),
        access().prop_map(|access| Message::Access(Box::new(access))),
        asking().prop_map(|asking| Message::Asking(Box::new(asking))),
        (peer(), any::<bool>()).prop_map(|(peer, ban)| Message::Remove(Remove { peer, ban })),
        sealed().prop_map(Message::Sealed),
        (0..=MAX_DELAY_MS, 0..=MAX_DELAY_MS).prop_map(|(reconnect_in_ms, try_for_ms)| {
            Message::Restarting(Restarting {
                reconnect_in_ms,
                try_for_ms,
            })
        }),
        (close_code(), text())
            .prop_map(|(reason, message)| Message::Disconnect(Disconnect { reason, message })),
    ]
}

/// A frame of a valid message with some bytes changed and its end cut off.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let message = prop_oneof![message(), select(samples::all())];
    (
        message,
        vec((any::<Index>(), any::<u8>()), 0..8),
        any::<Index>(),
    )
        .prop_map(|(message, changes, end)| {
            let mut body = encode(&message)[4..].to_vec();
            for (at, byte) in changes {
                let at = at.index(body.len());
                body[at] = byte;
            }
            body.truncate(end.index(body.len() * 2).max(1));
            body
        })
}

proptest! {
    #[test]
    fn every_message_decodes_to_what_was_encoded(message in message()) {
        let frame = encode(&message);
        let (length, body) = frame.split_at(4);
        prop_assert_eq!(u32::from_be_bytes(length.try_into().unwrap()) as usize, body.len());
        prop_assert_eq!(decode(body).unwrap(), Incoming::Message(message));
    }

    #[test]
    fn mutated_messages_never_panic_and_what_still_decodes_is_valid(body in mutated()) {
        if let Ok(Incoming::Message(message)) = decode(&body) {
            let again = decode(&encode(&message)[4..]).unwrap();
            prop_assert_eq!(again, Incoming::Message(message));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let mut decoder = Decoder::new();
        decoder.push(&bytes);
        while let Ok(Some(_)) = decoder.next() {}
        let _ = decode(&bytes);
    }

    #[test]
    fn chunks_of_any_size_decode_to_the_same_messages(
        messages in vec(message(), 1..4),
        chunk_lens in vec(1_usize..700, 1..50),
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(encode).collect();
        let mut decoder = Decoder::new();
        let mut decoded = Vec::new();
        let mut rest = &stream[..];
        for len in chunk_lens.into_iter().cycle() {
            let (chunk, after) = rest.split_at(len.min(rest.len()));
            rest = after;
            decoder.push(chunk);
            while let Some(Incoming::Message(message)) = decoder.next().unwrap() {
                decoded.push(message);
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(decoded, messages);
        prop_assert!(!decoder.is_mid_frame());
    }

    #[test]
    fn decoding_allocates_at_most_a_constant_times_the_input(body in mutated()) {
        assert_frugal(&body);
    }
}

/// The fixed part covers the boxed message and an error's text, the factor
/// the growth of lists by doubling.
fn assert_frugal(body: &[u8]) {
    let used = allocation_counter::measure(|| {
        let _ = decode(body);
    });
    let limit = 8 * body.len() as u64 + 4_096;
    assert!(
        used.bytes_total <= limit,
        "{} bytes for {}",
        used.bytes_total,
        body.len()
    );
}

#[test]
fn shapes_made_to_allocate_gain_nothing() {
    let deep = "[".repeat(60_000);
    let wide = "0,".repeat(30_000);
    let keys = r#""a":0,"#.repeat(10_000);
    let escapes = r"\u0041".repeat(10_000);
    for body in [
        format!(r#"{{"type":"song","optional":true,"x":{deep}"#),
        format!(r#"{{"type":"room_policy","vlans":[{wide}0]}}"#),
        format!(
            r#"{{"type":"room_policy","vlans":[{}1]}}"#,
            "1,".repeat(30_000)
        ),
        format!(r#"{{"type":"hello","version":1,"features":[{wide}0]}}"#),
        format!(r#"{{"type":"stats","drops":{{{keys}"b":1}}}}"#),
        format!(r#"{{{keys}"type":"ping","nonce":1}}"#),
        format!(r#"{{"type":"{escapes}"}}"#),
        format!(r#"{{"type":"disconnect","reason":"normal","message":"{escapes}"}}"#),
        format!(r#"{{"type":"disconnect","reason":"{escapes}","message":"x"}}"#),
    ] {
        assert_frugal(body.as_bytes());
    }
}

#[test]
fn a_length_without_its_body_reserves_nothing() {
    let used = allocation_counter::measure(|| {
        let mut decoder = Decoder::new();
        decoder.push(&65_536_u32.to_be_bytes());
        assert!(decoder.next().unwrap().is_none());
    });
    assert!(used.bytes_max < 256, "{} bytes", used.bytes_max);
}
