//! Keyed rooms: what the relay passes on without reading it.

use lanparty_ctrl::{CloseCode, Message, Sealed, SealedBody};
use lanparty_obs::DropReason;
use lanparty_proto::ethernet::EtherType;
use lanparty_proto::fragment::{self, FragmentHeader};
use lanparty_proto::overlay::Kind;
use lanparty_proto::{MacAddr, PeerId};
use lanparty_relay_core::Conn;

use crate::support::*;

struct Party {
    relay: Relay,
    host: Guest,
    alice: Guest,
    bob: Guest,
}

fn party() -> Party {
    let mut relay = Relay::new();
    let host = relay.join_keyed(&gateway(1), &key(1));
    let alice = relay.join_keyed(&player(2), &key(1));
    let bob = relay.join_keyed(&player(3), &key(1));
    Party {
        relay,
        host,
        alice,
        bob,
    }
}

fn sealed(peer: Option<PeerId>, len: usize) -> Message {
    Message::Sealed(Sealed {
        peer,
        body: SealedBody::try_from(vec![0xC5; len]).unwrap(),
    })
}

fn received(relay: &mut Relay, guest: &Guest) -> Vec<(Option<PeerId>, usize)> {
    relay
        .heard(guest.conn)
        .into_iter()
        .filter_map(|message| match message {
            Message::Sealed(sealed) => Some((sealed.peer, sealed.body.as_bytes().len())),
            _ => None,
        })
        .collect()
}

/// A sealed frame: whatever the ciphertext, the Ethernet header is in clear.
fn frame(from: MacAddr, to: MacAddr, ether_type: EtherType, cipher_len: usize) -> Vec<u8> {
    let frame = ethernet(from, to, ether_type, &vec![0xEE; cipher_len]);
    [&[1, 0, 0, 0, 0, 7][..], &frame].concat()
}

impl Party {
    fn alice_sends(&mut self, kind: Kind, body: &[u8]) -> Result<Vec<Conn>, DropReason> {
        let datagram = in_overlay(self.alice.id(), kind, body);
        self.relay.datagram(self.alice.conn, &datagram)
    }
}

#[test]
fn a_sealed_message_goes_to_one_member_or_to_all_others_with_its_senders_id() {
    let Party {
        mut relay,
        host,
        alice,
        bob,
    } = party();
    relay.say(alice.conn, &sealed(Some(bob.id()), 100));
    relay.say(alice.conn, &sealed(None, 200));
    let from = Some(alice.id());
    assert_eq!(received(&mut relay, &bob), [(from, 100), (from, 200)]);
    assert_eq!(received(&mut relay, &host), [(from, 200)]);
    assert_eq!(received(&mut relay, &alice), []);
    // To oneself, and to somebody who has just left.
    relay.say(alice.conn, &sealed(Some(alice.id()), 1));
    relay.lose(&bob);
    relay.say(alice.conn, &sealed(Some(bob.id()), 1));
    assert_eq!(received(&mut relay, &alice), []);
    assert!(relay.closed.is_empty());
    let counters = relay.snapshot().relay.counters;
    assert_eq!((counters.sealed_out, counters.sealed_dropped), (3, 0));
}

#[test]
fn a8_one_members_messages_never_use_up_what_others_need_to_reach_the_same_member() {
    let Party {
        mut relay,
        host,
        alice,
        bob,
    } = party();
    for _ in 0..50 {
        relay.say(alice.conn, &sealed(None, 4_096));
    }
    let to_bob: usize = received(&mut relay, &bob).iter().map(|(_, len)| len).sum();
    assert_eq!(to_bob, 32_768);
    // Each digit pair is a byte: far below the 256 KB that wait for a reader.
    assert!(2 * to_bob < 256 * 1_024 / 3);
    relay.say(host.conn, &sealed(Some(bob.id()), 4_096));
    assert_eq!(received(&mut relay, &bob), [(Some(host.id()), 4_096)]);
    let counters = relay.snapshot().relay.counters;
    assert_eq!((counters.sealed_out, counters.sealed_dropped), (17, 84));
    assert!(relay.closed.is_empty());
    relay.wait_ms(1_000);
    relay.say(alice.conn, &sealed(Some(bob.id()), 4_096));
    assert_eq!(received(&mut relay, &bob).len(), 1);
}

#[test]
fn a_full_rooms_change_of_keys_passes_and_a_member_that_never_stops_is_closed() {
    let Party {
        mut relay,
        alice,
        bob,
        ..
    } = party();
    for _ in 0..1_024 {
        relay.say(alice.conn, &sealed(Some(bob.id()), 1));
    }
    assert_eq!(received(&mut relay, &bob).len(), 1_024);
    relay.say(alice.conn, &sealed(Some(bob.id()), 1));
    relay.wait_ms(600);
    assert_eq!(relay.closed[&alice.conn], CloseCode::ProtocolError);
    assert!(!relay.closed.contains_key(&bob.conn));
}

#[test]
fn a_keyed_room_takes_sealed_frames_and_no_others() {
    let mut party = party();
    let (alice, bob) = (party.alice.mac, party.bob.mac);
    let to_bob = frame(alice, bob, EtherType::IPV4, 64);
    let reached = party.alice_sends(Kind::SealedFrame, &to_bob);
    assert_eq!(reached, Ok(vec![party.bob.conn]));
    let clear = udp(alice, bob, 64);
    let refused = party.alice_sends(Kind::Frame, &clear);
    assert_eq!(refused, Err(DropReason::ClearInSealedRoom));
    let refused = party.alice_sends(Kind::Fragment, &clear);
    assert_eq!(refused, Err(DropReason::ClearInSealedRoom));
    party.relay.assert_balance();
}

#[test]
fn the_policy_holds_for_what_a_sealed_frame_shows() {
    let mut party = party();
    let (alice, bob) = (party.alice.mac, party.bob.mac);
    let everybody = MacAddr::BROADCAST;
    let bridges = MacAddr([0x01, 0x80, 0xC2, 0, 0, 0]);
    for (body, expected) in [
        (
            frame(bob, alice, EtherType::IPV4, 64),
            DropReason::SourceMac,
        ),
        (
            frame(alice, bridges, EtherType::IPV4, 64),
            DropReason::LinkControl,
        ),
        (
            frame(alice, bob, EtherType::LLDP, 64),
            DropReason::LinkControl,
        ),
        (
            frame(alice, bob, EtherType::VLAN, 64),
            DropReason::VlanTagged,
        ),
        (
            frame(alice, bob, EtherType(0x88B5), 64),
            DropReason::EtherType,
        ),
        (
            frame(alice, alice, EtherType::IPV4, 64),
            DropReason::Reflected,
        ),
        (frame(alice, bob, EtherType::IPV4, 15), DropReason::Runt),
        (
            frame(alice, bob, EtherType::IPV4, 1_517),
            DropReason::Oversize,
        ),
        (vec![1, 0, 0, 0, 0], DropReason::Runt),
        (vec![1; 19], DropReason::Runt),
    ] {
        assert_eq!(party.alice_sends(Kind::SealedFrame, &body), Err(expected));
    }
    let longest = frame(alice, everybody, EtherType::IPV4, 1_516);
    let mut reached = party.alice_sends(Kind::SealedFrame, &longest).unwrap();
    reached.sort();
    assert_eq!(reached, [party.host.conn, party.bob.conn]);
}

#[test]
fn sealed_broadcasts_are_charged_like_any_others() {
    let mut party = party();
    let body = frame(party.alice.mac, MacAddr::BROADCAST, EtherType::IPV4, 64);
    let passed = (0..3_000)
        .filter(|_| party.alice_sends(Kind::SealedFrame, &body).is_ok())
        .count();
    assert_eq!(passed, 1_000);
    let limited = party.alice_sends(Kind::SealedFrame, &body);
    assert_eq!(limited, Err(DropReason::FloodLimited));
}

#[test]
fn sealed_pieces_pass_by_their_ethernet_header_and_split_again_for_smaller_paths() {
    let mut party = party();
    let (alice, bob) = (party.alice.mac, party.bob.mac);
    // The longest frame, whose last pieces are tag in part and tag alone.
    let body = frame(alice, bob, EtherType::IPV4, 1_516);
    let whole = in_overlay(party.alice.id(), Kind::SealedFrame, &body);
    for budget in [1_200, 160, 48] {
        let mut payload_len = 0;
        for piece in fragment::split(&whole, budget, 9, false).unwrap() {
            let mut datagram = Vec::new();
            piece.write_to(&mut datagram);
            let reached = party.relay.datagram(party.alice.conn, &datagram);
            assert_eq!(reached, Ok(vec![party.bob.conn]));
            // What the driver does for a path that is smaller still.
            for smaller in fragment::split(&datagram, 44, 77, true).unwrap() {
                payload_len += smaller.len() - (6 + 6 + fragment::HEADER_LEN + 14);
                assert!(smaller.len() <= 44);
            }
        }
        assert_eq!(payload_len, 1_516);
    }
    let piece = |header: FragmentHeader, len: usize| {
        let frame = ethernet(alice, bob, EtherType::IPV4, &vec![0xEE; len]);
        [&[1, 0, 0, 0, 0, 7][..], &header.encode(), &frame].concat()
    };
    let header = FragmentHeader {
        frame_id: 1,
        offset: 0,
        more: true,
        relay_id_space: false,
    };
    let of_relay = FragmentHeader {
        relay_id_space: true,
        ..header
    };
    let refused = party.alice_sends(Kind::SealedFragment, &piece(of_relay, 24));
    assert_eq!(refused, Err(DropReason::FragmentHeader));
    let far = FragmentHeader {
        offset: 189,
        ..header
    };
    let refused = party.alice_sends(Kind::SealedFragment, &piece(far, 16));
    assert_eq!(refused, Err(DropReason::Oversize));
    let refused = party.alice_sends(Kind::SealedFragment, &[0; 5]);
    assert_eq!(refused, Err(DropReason::Runt));
}
