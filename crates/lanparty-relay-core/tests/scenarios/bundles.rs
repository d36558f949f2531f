//! Frames that travel together.

use lanparty_l2::buckets::Rate;
use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;
use lanparty_proto::overlay::Kind;
use lanparty_relay_core::Conn;

use crate::support::*;

const HOST: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 100]);

fn send(relay: &mut Relay, from: &Guest, kind: Kind, count: usize, body: &[u8]) -> Sent {
    relay.datagram(from.conn, &together(from.id(), kind, count, body))
}

type Sent = Result<Vec<Conn>, DropReason>;

#[test]
fn a_bundle_goes_where_each_of_its_frames_would() {
    let mut relay = Relay::new();
    let gateway = relay.join(&gateway(1));
    let alice = relay.join(&player(2));
    let bob = relay.join(&player(3));
    for (to, reached) in [
        (bob.mac, vec![bob.conn]),
        (HOST, vec![gateway.conn]),
        (MacAddr::BROADCAST, vec![gateway.conn, bob.conn]),
    ] {
        let frames: Vec<_> = [40, 0, 90].map(|len| udp(alice.mac, to, len)).into();
        let sent = send(&mut relay, &alice, Kind::Frame, 3, &bundle(&frames));
        assert_eq!(sent, Ok(reached));
    }
    relay.assert_balance();
}

#[test]
fn a_frame_that_may_not_cross_keeps_the_bundle_back() {
    let mut relay = Relay::new();
    let alice = relay.join(&player(1));
    let bob = relay.join(&player(2));
    let good = udp(alice.mac, bob.mac, 40);
    let answer = udp_ports(alice.mac, bob.mac, 67, 68, &[2; 300]);
    let mut runt = good.clone();
    runt.truncate(30);
    for (third, reason) in [
        (answer, DropReason::DhcpServer),
        (runt, DropReason::MalformedIpv4),
    ] {
        let body = bundle(&[good.clone(), good.clone(), third]);
        let sent = send(&mut relay, &alice, Kind::Frame, 3, &body);
        assert_eq!(sent, Err(reason));
    }
    let forged = udp(bob.mac, bob.mac, 40);
    let sent = send(
        &mut relay,
        &alice,
        Kind::Frame,
        2,
        &bundle(&[forged.clone(), forged]),
    );
    assert_eq!(sent, Err(DropReason::SourceMac));
    relay.assert_balance();
}

#[test]
fn lengths_that_do_not_add_up_are_malformed() {
    let mut relay = Relay::new();
    let alice = relay.join(&player(1));
    let bob = relay.join(&player(2));
    let frame = udp(alice.mac, bob.mac, 40);
    let body = bundle(&[frame.clone(), frame.clone()]);
    for (count, body) in [
        (3, &body[..]),
        (2, &body[..body.len() - 1]),
        (2, &frame[..]),
        (2, &[]),
    ] {
        let sent = send(&mut relay, &alice, Kind::Frame, count, body);
        assert_eq!(sent, Err(DropReason::Bundle));
    }
    assert!(DropReason::Bundle.is_malformed_datagram());
    let long = vec![frame; 40];
    let sent = send(&mut relay, &alice, Kind::Frame, 40, &bundle(&long));
    assert_eq!(sent, Err(DropReason::Oversize));
}

#[test]
fn each_frame_of_a_bundle_is_charged_sealed_or_not() {
    let flood = Rate::new(10, 20);
    let mut relay = Relay::with(|limits| limits.player.flood = flood);
    let open = relay.join(&player(1));
    relay.join(&player(2));
    let mut keyed = Relay::with(|limits| limits.player.flood = flood);
    keyed.join_keyed(&gateway(2), &key(1));
    let sealing = keyed.join_keyed(&player(1), &key(1));
    let frames = vec![udp(open.mac, MacAddr::BROADCAST, 40); 8];
    let sealed = [&[1, 0, 0, 0, 0, 7][..], &bundle(&frames), &[0xEE; 16]].concat();
    // 8 and 8 of 20.
    for passes in [true, true, false] {
        let sent = send(&mut relay, &open, Kind::Frame, 8, &bundle(&frames));
        assert_eq!(sent.is_ok(), passes, "{sent:?}");
        let sent = send(&mut keyed, &sealing, Kind::SealedFrame, 8, &sealed);
        assert_eq!(sent.is_ok(), passes, "{sent:?}");
    }
}

#[test]
fn a_short_frame_costs_its_sender_what_it_takes_of_a_lan() {
    let mut relay = Relay::with(|limits| limits.player.bytes = Rate::new(1, 1_000));
    let alice = relay.join(&player(1));
    let bob = relay.join(&player(2));
    // 316 bytes on the way, 600 of a LAN.
    let body = bundle(&vec![udp(alice.mac, bob.mac, 0); 10]);
    let first = send(&mut relay, &alice, Kind::Frame, 10, &body);
    assert_eq!(first, Ok(vec![bob.conn]));
    let second = send(&mut relay, &alice, Kind::Frame, 10, &body);
    assert_eq!(second, Err(DropReason::BandwidthLimited));
}

#[test]
fn frames_of_two_budgets_do_not_travel_together() {
    let mut relay = Relay::new();
    let alice = relay.join(&player(1));
    relay.join(&player(2));
    let everybody = MacAddr::BROADCAST;
    let mut discover = vec![0; 240];
    discover[..3].copy_from_slice(&[1, 1, 6]);
    discover[28..34].copy_from_slice(&alice.mac.octets());
    discover[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    discover.extend([53, 1, 1, 255]);
    let discover = udp_ports(alice.mac, everybody, 68, 67, &discover);
    let mut sent = |frames: [Vec<u8>; 2]| {
        let sent = send(&mut relay, &alice, Kind::Frame, 2, &bundle(&frames));
        sent.map(|targets| targets.len())
    };
    let hello = udp(alice.mac, everybody, 40);
    assert_eq!(sent([discover.clone(), discover.clone()]), Ok(1));
    assert_eq!(sent([hello, discover]), Err(DropReason::Bundle));
}
