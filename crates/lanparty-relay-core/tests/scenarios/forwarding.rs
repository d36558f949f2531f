//! Where frames go, and which never arrive.

use lanparty_ctrl::{BoundedVec, ExtraEtherType, Message, RoomPolicy};
use lanparty_obs::DropReason;
use lanparty_proto::ethernet::EtherType;
use lanparty_proto::fragment::{self, FragmentHeader};
use lanparty_proto::overlay::{Header, Kind};
use lanparty_proto::probe::{Probe, ProbeOp};
use lanparty_proto::{MacAddr, PeerId};
use lanparty_relay_core::{Conn, Decision};

use crate::support::*;

/// A host on the gateway's LAN.
const HOST: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 100]);

struct Party {
    relay: Relay,
    gateway: Guest,
    alice: Guest,
    bob: Guest,
}

fn party() -> Party {
    let mut relay = Relay::new();
    let gateway = relay.join(&gateway(1));
    let alice = relay.join(&player(2));
    let bob = relay.join(&player(3));
    Party {
        relay,
        gateway,
        alice,
        bob,
    }
}

impl Party {
    /// The LAN sends to somebody in the room.
    fn lan_sends(&mut self, from: MacAddr, to: MacAddr) -> Result<Vec<Conn>, DropReason> {
        let frame = in_overlay(self.gateway.id(), Kind::Frame, &udp(from, to, 64));
        self.relay.datagram(self.gateway.conn, &frame)
    }

    fn alice_sends(&mut self, frame: &[u8]) -> Result<Vec<Conn>, DropReason> {
        let datagram = in_overlay(self.alice.id(), Kind::Frame, frame);
        self.relay.datagram(self.alice.conn, &datagram)
    }
}

fn sorted(mut conns: Vec<Conn>) -> Vec<Conn> {
    conns.sort();
    conns
}

#[test]
fn known_unicast_goes_to_its_peer_alone() {
    let mut party = party();
    assert_eq!(
        party.relay.send(&party.alice, party.bob.mac),
        Ok(vec![party.bob.conn])
    );
    assert_eq!(party.lan_sends(HOST, mac(2)), Ok(vec![party.alice.conn]));
    party.relay.assert_balance();
}

#[test]
fn unknown_unicast_goes_from_a_player_to_the_gateway_and_from_the_gateway_nowhere() {
    let mut party = party();
    assert_eq!(
        party.relay.send(&party.alice, HOST),
        Ok(vec![party.gateway.conn])
    );
    assert_eq!(party.lan_sends(HOST, mac(77)), Err(DropReason::NoSuchPeer));
    party.relay.lose(&party.gateway);
    assert_eq!(
        party.relay.send(&party.alice, HOST),
        Err(DropReason::NoGateway)
    );
    party.relay.assert_balance();
}

#[test]
fn broadcast_and_multicast_go_to_everybody_but_the_sender() {
    let mut party = party();
    let all = sorted(vec![party.gateway.conn, party.alice.conn, party.bob.conn]);
    let without = |conn| {
        all.iter()
            .copied()
            .filter(|&other| other != conn)
            .collect::<Vec<_>>()
    };
    let mdns = MacAddr([0x01, 0, 0x5E, 0, 0, 0xFB]);
    for group in [MacAddr::BROADCAST, mdns] {
        let targets = party.relay.send(&party.alice, group).unwrap();
        assert_eq!(sorted(targets), without(party.alice.conn));
        let targets = party.lan_sends(HOST, group).unwrap();
        assert_eq!(sorted(targets), without(party.gateway.conn));
    }
}

#[test]
fn no_frame_is_ever_reflected_or_sent_to_nobody() {
    let mut party = party();
    assert_eq!(
        party.relay.send(&party.alice, party.alice.mac),
        Err(DropReason::Reflected)
    );
    party.relay.lose(&party.bob);
    party.relay.lose(&party.gateway);
    assert_eq!(
        party.relay.send(&party.alice, MacAddr::BROADCAST),
        Err(DropReason::Alone)
    );
    assert_eq!(
        party.relay.send(&party.alice, party.bob.mac),
        Err(DropReason::NoGateway)
    );
    party.relay.assert_balance();
}

#[test]
fn a_frame_never_leaves_its_room() {
    let mut party = party();
    let mut elsewhere = player(9);
    elsewhere.room = "ROOM2".parse().unwrap();
    let stranger = party.relay.join(&elsewhere);
    assert_eq!(
        party.relay.send(&stranger, MacAddr::BROADCAST),
        Err(DropReason::Alone)
    );
    assert_eq!(
        party.relay.send(&stranger, party.alice.mac),
        Err(DropReason::NoGateway)
    );
    let targets = party.relay.send(&party.alice, MacAddr::BROADCAST).unwrap();
    assert!(!targets.contains(&stranger.conn));
}

#[test]
fn a_datagram_under_another_id_is_dropped() {
    let mut party = party();
    let frame = udp(party.alice.mac, party.gateway.mac, 64);
    let stolen = in_overlay(party.bob.id(), Kind::Frame, &frame);
    assert_eq!(
        party.relay.datagram(party.alice.conn, &stolen),
        Err(DropReason::SourceId)
    );
}

#[test]
fn nothing_is_taken_from_a_connection_that_is_not_a_member() {
    let mut party = party();
    let frame = in_overlay(party.alice.id(), Kind::Frame, &udp(mac(2), mac(3), 64));
    let stranger = party.relay.connect(7);
    assert_eq!(
        party.relay.datagram(stranger, &frame),
        Err(DropReason::NotJoined)
    );
    let alice = party.alice.clone();
    party.relay.lose(&alice);
    assert_eq!(
        party.relay.datagram(alice.conn, &frame),
        Err(DropReason::NotJoined)
    );
    party.relay.assert_balance();
}

#[test]
fn a_player_sends_only_from_its_own_mac_and_the_lan_never_from_a_players() {
    let mut party = party();
    let forged = udp(party.bob.mac, HOST, 64);
    assert_eq!(party.alice_sends(&forged), Err(DropReason::SourceMac));
    assert_eq!(
        party.lan_sends(mac(2), mac(3)),
        Err(DropReason::MemberMacFromLan)
    );
}

#[test]
fn what_would_harm_the_lan_is_dropped_under_its_reason() {
    let mut party = party();
    let alice = party.alice.mac;
    let stp = MacAddr([0x01, 0x80, 0xC2, 0, 0, 0]);
    let offer = udp_ports(alice, MacAddr::BROADCAST, 67, 68, &[2; 300]);
    for (frame, reason) in [
        (
            ethernet(alice, stp, EtherType(0x0026), &[0x42; 46]),
            DropReason::LinkControl,
        ),
        (
            ethernet(alice, HOST, EtherType::EAPOL, &[0; 46]),
            DropReason::LinkControl,
        ),
        (
            ethernet(alice, HOST, EtherType::VLAN, &[0, 5, 8, 0, 0x45]),
            DropReason::VlanTagged,
        ),
        (
            ethernet(alice, HOST, EtherType(0x88B5), &[0; 46]),
            DropReason::EtherType,
        ),
        (
            ethernet(alice, HOST, EtherType::IPV4, &[0; 1_501]),
            DropReason::Oversize,
        ),
        (offer, DropReason::DhcpServer),
    ] {
        assert_eq!(party.alice_sends(&frame), Err(reason));
    }
    party.relay.assert_balance();
}

#[test]
fn an_ether_type_crosses_after_the_host_has_allowed_it() {
    let mut party = party();
    let frame = ethernet(party.alice.mac, HOST, EtherType(0x88B5), &[0; 46]);
    assert_eq!(party.alice_sends(&frame), Err(DropReason::EtherType));
    let listed = vec![ExtraEtherType::try_from(0x88B5).unwrap()];
    let policy = RoomPolicy {
        ether_types: BoundedVec::try_from(listed).unwrap(),
        ..RoomPolicy::default()
    };
    let gateway = party.gateway.conn;
    party
        .relay
        .say(gateway, &Message::RoomPolicy(Box::new(policy)));
    assert_eq!(party.alice_sends(&frame), Ok(vec![gateway]));
}

#[test]
fn the_gateways_own_address_is_a_member_and_may_send() {
    let mut relay = Relay::new();
    let mut host = gateway(1);
    host.mac = Some(HOST);
    let host = relay.join(&host);
    let alice = relay.join(&player(2));
    assert_eq!(relay.send(&host, alice.mac), Ok(vec![alice.conn]));
    assert_eq!(relay.send(&alice, HOST), Ok(vec![host.conn]));
    assert_eq!(relay.send(&host, HOST), Err(DropReason::Reflected));
}

#[test]
fn fragments_are_forwarded_by_their_ethernet_header() {
    let mut party = party();
    let datagram = in_overlay(party.alice.id(), Kind::Frame, &udp(mac(2), mac(3), 1_400));
    let mut pieces = Vec::new();
    for piece in fragment::split(&datagram, 700, 5, false).unwrap() {
        let mut bytes = Vec::new();
        piece.write_to(&mut bytes);
        pieces.push(bytes);
    }
    assert_eq!(pieces.len(), 3);
    for piece in &pieces {
        assert_eq!(
            party.relay.datagram(party.alice.conn, piece),
            Ok(vec![party.bob.conn])
        );
    }
    let forged = udp(mac(3), HOST, 1_400);
    let forged = in_overlay(party.alice.id(), Kind::Frame, &forged);
    for piece in fragment::split(&forged, 700, 6, false).unwrap() {
        let mut bytes = Vec::new();
        piece.write_to(&mut bytes);
        assert_eq!(
            party.relay.datagram(party.alice.conn, &bytes),
            Err(DropReason::SourceMac)
        );
    }
}

#[test]
fn fragments_that_cannot_belong_to_a_frame_are_dropped() {
    let mut party = party();
    let header = FragmentHeader {
        frame_id: 1,
        offset: 0,
        more: true,
        relay_id_space: false,
    };
    let frame = udp(mac(2), mac(3), 64);
    let (ethernet, payload) = frame.split_at(14);
    let alice = party.alice.clone();
    let mut send = |header: FragmentHeader, payload: &[u8]| {
        let body = [&header.encode(), ethernet, payload].concat();
        let datagram = in_overlay(alice.id(), Kind::Fragment, &body);
        party.relay.datagram(alice.conn, &datagram)
    };
    assert_eq!(send(header, &payload[..24]), Ok(vec![party.bob.conn]));
    assert_eq!(
        send(header, &payload[..23]),
        Err(DropReason::FragmentHeader)
    );
    assert_eq!(send(header, &[]), Err(DropReason::FragmentHeader));
    let of_relay = FragmentHeader {
        relay_id_space: true,
        ..header
    };
    assert_eq!(
        send(of_relay, &payload[..24]),
        Err(DropReason::FragmentHeader)
    );
    let far = FragmentHeader {
        offset: 2_000,
        ..header
    };
    assert_eq!(send(far, &payload[..24]), Err(DropReason::Oversize));
}

#[test]
fn sealed_frames_do_not_cross_a_room_without_a_key() {
    let mut party = party();
    for kind in [Kind::SealedFrame, Kind::SealedFragment] {
        let datagram = in_overlay(party.alice.id(), kind, &[0; 64]);
        let result = party.relay.datagram(party.alice.conn, &datagram);
        assert_eq!(result, Err(DropReason::SealedInClearRoom));
    }
}

#[test]
fn a_probe_goes_to_its_target_and_back() {
    let mut party = party();
    let (alice, bob) = (party.alice.clone(), party.bob.clone());
    let there = party.relay.probe(&alice, bob.id().get(), ProbeOp::Request);
    assert_eq!(there, Ok(vec![bob.conn]));
    let back = party.relay.probe(&bob, alice.id().get(), ProbeOp::Reply);
    assert_eq!(back, Ok(vec![alice.conn]));
}

#[test]
fn the_relay_answers_a_probe_of_itself_with_no_more_bytes() {
    let mut party = party();
    let alice = party.alice.clone();
    let request = probe(alice.id(), 0, ProbeOp::Request);
    let decision = party
        .relay
        .core
        .datagram(alice.conn, &request, party.relay.now);
    let Decision::Answer { datagram, .. } = decision else {
        panic!("{decision:?}");
    };
    assert_eq!(datagram.len(), request.len());
    let (header, body) = Header::decode(&datagram).unwrap();
    let reply = Probe::decode(body).unwrap();
    assert_eq!((header.kind, header.source), (Kind::Probe, alice.id()));
    assert_eq!(
        (reply.op, reply.target, reply.nonce),
        (ProbeOp::Reply, alice.id().get(), 42)
    );
    party.relay.assert_balance();
}

#[test]
fn a_probe_that_leads_nowhere_is_dropped() {
    let mut party = party();
    let alice = party.alice.clone();
    let nobody = (1..)
        .find(|&raw| {
            let raw = PeerId::try_from(raw).unwrap();
            ![party.gateway.id(), alice.id(), party.bob.id()].contains(&raw)
        })
        .unwrap();
    for (target, op) in [
        (alice.id().get(), ProbeOp::Request),
        (alice.id().get(), ProbeOp::Reply),
        (nobody, ProbeOp::Request),
        (0, ProbeOp::Reply),
        (0xFFFF, ProbeOp::Request),
    ] {
        let result = party.relay.probe(&alice, target, op);
        assert_eq!(result, Err(DropReason::Probe), "{target} {op:?}");
    }
    let mut long = probe(alice.id(), 0, ProbeOp::Request);
    long.push(0);
    assert_eq!(
        party.relay.datagram(alice.conn, &long),
        Err(DropReason::Probe)
    );
    party.relay.assert_balance();
}

#[test]
fn the_decision_says_what_the_queues_need() {
    let mut party = party();
    let alice = party.alice.clone();
    let datagram = in_overlay(alice.id(), Kind::Frame, &udp(mac(2), mac(3), 64));
    match party
        .relay
        .core
        .datagram(alice.conn, &datagram, party.relay.now)
    {
        Decision::Forward { targets, header } => {
            assert_eq!(targets, [party.bob.conn]);
            assert_eq!((header.source, header.flow_tag), (alice.id(), 7));
        }
        other => panic!("{other:?}"),
    }
}
