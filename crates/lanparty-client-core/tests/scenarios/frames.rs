//! Frames and probes between two sessions, without a network.

use std::time::Duration;

use crate::harness::{BUDGET, Member, gateway_info, mac, peer, player_info};
use lanparty_obs::DropReason;
use lanparty_proto::overlay::{Header, Kind};
use proptest::prelude::*;

/// A gateway (id 1) and a player (id 2) that know each other.
pub(crate) fn pair() -> (Member, Member) {
    let mut gateway = Member::gateway(1).joined(1);
    let mut player = Member::player(2).joined(2);
    gateway.introduce(player_info(2));
    player.introduce(gateway_info(1));
    (gateway, player)
}

/// The internet checksum (RFC 1071).
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| match *word {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        _ => u32::from(word[0]) << 8,
    });
    let mut sum = words.sum::<u32>();
    while sum > 0xFFFF {
        sum = (sum >> 16) + (sum & 0xFFFF);
    }
    !(sum as u16)
}

/// A UDP packet of the given frame length from a LAN host to player 2.
pub(crate) fn lan_frame(len: usize) -> Vec<u8> {
    let mut frame = [&mac(2).octets()[..], &[0, 1, 2, 3, 4, 5], &[8, 0]].concat();
    let ip_len = (len - 14) as u16;
    let mut ip = vec![
        0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ];
    ip[2..4].copy_from_slice(&ip_len.to_be_bytes());
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(ip);
    let udp_len = ip_len - 20;
    frame.extend([0x10, 0x10, 0x20, 0x20]);
    frame.extend(udp_len.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend((frame.len()..len).map(|at| at as u8));
    frame
}

#[test]
fn a_full_lan_frame_reaches_a_player_over_any_path() {
    for max_datagram in [1_434, 1_334, 1_162, 64] {
        let (mut gateway, mut player) = pair();
        let frame = lan_frame(1_514);
        gateway.send(&frame, max_datagram).unwrap();
        assert!(gateway.datagrams.iter().all(|d| d.len() <= max_datagram));
        for datagram in std::mem::take(&mut gateway.datagrams) {
            player.receive(&datagram).unwrap();
        }
        assert_eq!(player.frames, [(frame, peer(1))], "{max_datagram}");
    }
}

#[test]
fn a_frame_that_fits_is_one_datagram_with_the_senders_id() {
    let (mut gateway, _) = pair();
    gateway.send(&lan_frame(BUDGET - 6), BUDGET).unwrap();
    let [datagram] = &gateway.datagrams[..] else {
        panic!("{} datagrams", gateway.datagrams.len())
    };
    let (header, frame) = Header::decode(datagram).unwrap();
    assert_eq!((header.kind, header.source), (Kind::Frame, peer(1)));
    assert_eq!(frame, lan_frame(BUDGET - 6));
}

#[test]
fn fragments_of_successive_frames_have_their_own_ids() {
    let (mut gateway, mut player) = pair();
    for len in [1_514, 1_500] {
        gateway.send(&lan_frame(len), BUDGET).unwrap();
    }
    let datagrams = std::mem::take(&mut gateway.datagrams);
    for at in [0, 2, 1, 3] {
        player.receive(&datagrams[at]).unwrap();
    }
    assert_eq!(player.frames.len(), 2);
}

#[test]
fn a_frame_of_a_stranger_is_dropped_and_counted() {
    let (mut gateway, mut player) = pair();
    gateway.send(&lan_frame(100), BUDGET).unwrap();
    let mut datagram = gateway.datagrams[0].to_vec();
    datagram[3] ^= 0x55;
    assert_eq!(player.receive(&datagram), Err(DropReason::SourceId));
    assert_eq!(player.session.drops().get(DropReason::SourceId), 1);
    assert!(player.frames.is_empty());
}

#[test]
fn nothing_crosses_before_the_join() {
    let mut gateway = Member::gateway(1);
    assert_eq!(
        gateway.send(&lan_frame(100), BUDGET),
        Err(DropReason::NotReady)
    );
    assert_eq!(gateway.receive(&[0x11; 60]), Err(DropReason::NotReady));
    assert_eq!(gateway.session.drops().get(DropReason::NotReady), 2);
}

#[test]
fn sealed_frames_do_not_enter_a_clear_room() {
    let (mut gateway, mut player) = pair();
    gateway.send(&lan_frame(100), BUDGET).unwrap();
    let mut datagram = gateway.datagrams[0].to_vec();
    datagram[0] = datagram[0] & 0xF0 | 3;
    assert_eq!(
        player.receive(&datagram),
        Err(DropReason::SealedInClearRoom)
    );
}

#[test]
fn both_ends_count_what_crossed() {
    let (mut gateway, mut player) = pair();
    gateway.send(&lan_frame(1_514), BUDGET).unwrap();
    for datagram in std::mem::take(&mut gateway.datagrams) {
        player.receive(&datagram).unwrap();
    }
    let out = gateway.session.snapshot(gateway.now).counters;
    let inn = player.session.snapshot(player.now).counters;
    assert_eq!((out.frames_out, out.bytes_out), (1, 1_514));
    assert_eq!((out.datagrams_out, out.fragments_out), (2, 2));
    assert_eq!((inn.frames_in, inn.bytes_in), (1, 1_514));
    assert_eq!((inn.datagrams_in, inn.fragments_in), (2, 2));
}

#[test]
fn the_gateways_round_trip_is_measured() {
    let (mut gateway, mut player) = pair();
    player.pass(Duration::from_secs(1));
    gateway.now = player.now;
    for request in std::mem::take(&mut player.datagrams) {
        gateway.receive(&request).unwrap();
    }
    player.pass(Duration::from_millis(30));
    for reply in std::mem::take(&mut gateway.datagrams) {
        player.receive(&reply).unwrap();
    }
    let rtt = player.session.snapshot(player.now).gateway_rtt.unwrap();
    assert!(rtt.smoothed >= Duration::from_millis(30));
    assert!(rtt.min <= Duration::from_secs(1));
}

#[test]
fn a_probe_for_somebody_else_is_not_answered() {
    let (mut gateway, mut player) = pair();
    player.pass(Duration::from_secs(1));
    let mut request = player.datagrams[0].to_vec();
    request[11] ^= 0x10;
    assert_eq!(gateway.receive(&request), Err(DropReason::Probe));
    assert!(gateway.datagrams.is_empty());
}

#[test]
fn what_was_lost_times_out_and_is_counted() {
    let (mut gateway, mut player) = pair();
    gateway.send(&lan_frame(1_514), BUDGET).unwrap();
    player.receive(&gateway.datagrams[0].clone()).unwrap();
    player.pass(Duration::from_secs(1));
    assert_eq!(player.session.drops().get(DropReason::FragmentTimeout), 1);
}

proptest! {
    #[test]
    fn arbitrary_datagrams_never_panic_and_are_counted(
        datagrams in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..200), 1..6_u8, any::<bool>()), 1..40)
    ) {
        let (_, mut player) = pair();
        for (mut datagram, kind, plausible) in datagrams {
            if plausible {
                let header = [0x10 | kind, 0, 0, 1, 0, 0];
                datagram.splice(0..0, header);
            }
            let before = (player.session.drops().total(), player.frames.len());
            let result = player.receive(&datagram);
            let after = (player.session.drops().total(), player.frames.len());
            prop_assert_eq!(result.is_err(), after.0 > before.0);
            prop_assert!(after.1 - before.1 <= 1);
        }
    }

    #[test]
    fn arbitrary_control_bytes_never_panic(chunks in prop::collection::vec(
        prop::collection::vec(any::<u8>(), 0..64), 1..8), length in 2..64_u32)
    {
        let mut player = Member::player(2).joined(2);
        for chunk in chunks {
            let mut bytes = length.to_be_bytes().to_vec();
            bytes.extend(chunk);
            player.session.control(&bytes, player.now);
        }
    }
}

#[test]
fn the_status_tells_both_members_of_each_other() {
    let (gateway, player) = pair();
    let seen = player.session.status(player.now);
    assert!(seen.relay.connected && seen.gateway.present);
    assert_eq!(seen.uptime_s, Some(0));
    assert_eq!(seen.peers[0].role, "gateway");
    // A gateway needs no other.
    let seen = gateway.session.status(gateway.now);
    assert!(seen.gateway.present);
    assert_eq!(seen.peers[0].role, "client");
    assert_eq!(seen.peers[0].mac, player.session.config().mac);
}

#[test]
fn a_member_that_lost_its_relay_has_no_place_in_the_room() {
    let (_, mut player) = pair();
    let cause = lanparty_client_core::DisconnectCause::TimedOut;
    player.session.disconnected(cause, player.now);
    let status = player.session.status(player.now);
    assert!(!status.relay.connected);
    assert_eq!((status.peer_id, status.uptime_s), (None, None));
}
