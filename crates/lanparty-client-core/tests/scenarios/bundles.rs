//! Small frames of a flow that come together.

use std::time::Duration;

use bytes::Bytes;
use lanparty_client_core::DisconnectCause;
use lanparty_obs::DropReason;
use lanparty_proto::fragment;
use lanparty_proto::overlay::{FrameCount, Header};
use proptest::prelude::*;

use crate::frames::{self, lan_frame};
use crate::harness::{BUDGET, Member, peer};
use crate::sealed;

/// Bytes of a datagram with the longest frame of an adapter in the room.
const LONGEST: usize = 6 + 22 + 14 + 1_344;

/// What each datagram carries.
fn counts(datagrams: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let header = |datagram: &[u8]| Header::decode(datagram).unwrap().0;
    let count = |header: Header| header.frames.get();
    datagrams
        .iter()
        .map(|datagram| count(header(datagram.as_ref())))
        .collect()
}

/// The datagrams in which frames of one moment leave.
fn sent(gateway: &mut Member, frames: &[Vec<u8>], budget: usize) -> Vec<Bytes> {
    gateway.datagrams.clear();
    gateway.send_all(frames, budget).unwrap();
    std::mem::take(&mut gateway.datagrams)
}

/// Sends frames at one moment; they arrive as they are.
fn cross(gateway: &mut Member, player: &mut Member, frames: &[Vec<u8>], budget: usize) -> Vec<u8> {
    let datagrams = sent(gateway, frames, budget);
    assert!(datagrams.iter().all(|datagram| datagram.len() <= budget));
    let counts = counts(&datagrams);
    for datagram in datagrams {
        player.receive(&datagram).unwrap();
    }
    let arrived: Vec<_> = player.frames.drain(..).collect();
    let sent: Vec<_> = frames
        .iter()
        .map(|frame| (frame.clone(), peer(1)))
        .collect();
    assert_eq!(arrived, sent);
    counts
}

#[test]
fn frames_of_a_flow_share_datagrams_no_longer_than_a_full_frames() {
    let frames = vec![lan_frame(160); 20];
    let (mut gateway, mut player) = frames::pair();
    assert_eq!(cross(&mut gateway, &mut player, &frames, BUDGET), [9, 9, 2]);
    let [mut gateway, mut player] = sealed::pair();
    assert_eq!(cross(&mut gateway, &mut player, &frames, BUDGET), [9, 9, 2]);
    let out = gateway.session.snapshot(gateway.now).counters;
    let inn = player.session.snapshot(player.now).counters;
    assert_eq!((out.frames_out, out.bytes_out), (20, 20 * 160));
    assert_eq!((inn.frames_in, inn.bytes_in), (20, 20 * 160));
    assert_eq!((out.datagrams_out, inn.datagrams_in), (3, 3));
}

#[test]
fn frames_of_two_flows_keep_their_order_and_travel_apart() {
    let mut other = lan_frame(160);
    // Another port of the LAN host's.
    other[35] ^= 1;
    let one = lan_frame(160);
    let frames = [one.clone(), one.clone(), other.clone(), one.clone(), one];
    let [mut gateway, mut player] = sealed::pair();
    assert_eq!(cross(&mut gateway, &mut player, &frames, BUDGET), [2, 1, 2]);
}

#[test]
fn frames_from_two_addresses_travel_apart_even_in_one_flow() {
    let mut moved = lan_frame(160);
    // The LAN host's other card, for the same IP packets.
    moved[11] ^= 1;
    let one = lan_frame(160);
    let frames = [one.clone(), one, moved.clone(), moved];
    let [mut gateway, mut player] = sealed::pair();
    assert_eq!(cross(&mut gateway, &mut player, &frames, BUDGET), [2, 2]);
}

#[test]
fn a_frame_that_fits_beside_no_other_leaves_at_once() {
    let [mut gateway, _] = sealed::pair();
    let mut frame = lan_frame(1_000);
    let mut sent = Vec::new();
    let mut sink = |_, datagram| sent.push(datagram);
    let now = gateway.now;
    gateway
        .session
        .outgoing(&mut frame, BUDGET, now, &mut sink)
        .unwrap();
    assert_eq!(counts(&sent), [1]);
}

#[test]
fn a_relay_cannot_change_how_many_frames_there_are() {
    let [mut gateway, mut player] = sealed::pair();
    let mut datagram = sent(&mut gateway, &vec![lan_frame(160); 3], BUDGET)[0].to_vec();
    datagram[1] = datagram[1] & 0b11 | 1 << 2;
    assert_eq!(player.receive(&datagram), Err(DropReason::SealForged));
    datagram[1] &= 0b11;
    assert_eq!(player.receive(&datagram), Err(DropReason::SealForged));
    assert!(player.frames.is_empty());
}

#[test]
fn lengths_that_do_not_add_up_are_dropped_and_counted() {
    let (mut gateway, mut player) = frames::pair();
    let mut datagram = sent(&mut gateway, &vec![lan_frame(160); 3], BUDGET)[0].to_vec();
    datagram[6 + 14 + 1] += 1;
    assert_eq!(player.receive(&datagram), Err(DropReason::Bundle));
    assert!(player.frames.is_empty());
}

#[test]
fn one_frame_that_may_not_come_in_keeps_no_other_back() {
    let (mut gateway, mut player) = frames::pair();
    let mut frames = vec![lan_frame(160); 3];
    // The IPv4 header of the second one is nonsense.
    frames[1][14] = 0x41;
    for datagram in sent(&mut gateway, &frames, BUDGET) {
        let _counted = player.receive(&datagram);
    }
    assert_eq!(player.frames.len(), 2);
    assert_eq!(player.session.drops().get(DropReason::MalformedIpv4), 1);
}

#[test]
fn no_more_travel_together_than_the_header_can_say() {
    let (mut gateway, _) = frames::pair();
    let frames = vec![lan_frame(160)[..20].to_vec(); 100];
    let sent = sent(&mut gateway, &frames, BUDGET);
    assert_eq!(counts(&sent), [64, 36]);
}

#[test]
fn frames_of_two_budgets_travel_apart() {
    let (mut gateway, _) = frames::pair();
    // A listener's report and a solicitation, both ICMPv6 to one group.
    let icmpv6 = |kind: u8| {
        let mut frame = [&[0x33, 0x33, 0xFF, 0, 0, 1][..], &[0, 1, 2, 3, 4, 5]].concat();
        frame.extend([0x86, 0xDD, 0x60, 0, 0, 0, 0, 24, 58, 255]);
        frame.extend([0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        frame.extend([0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xFF, 0, 0, 1]);
        frame.extend([kind, 0, 0, 0]);
        frame.extend([0; 20]);
        frame
    };
    let frames = [131, 131, 135].map(icmpv6);
    let sent = sent(&mut gateway, &frames, BUDGET);
    assert_eq!(counts(&sent), [2, 1]);
}

#[test]
fn a_bundle_that_the_path_no_longer_carries_is_cut_and_joined() {
    let [mut gateway, mut player] = sealed::pair();
    let mut sent = Vec::new();
    let mut sink = |_, datagram| sent.push(datagram);
    let (frame, now) = (lan_frame(160), gateway.now);
    for _ in 0..5 {
        let result = gateway
            .session
            .outgoing(&mut frame.clone(), BUDGET, now, &mut sink);
        result.unwrap();
    }
    gateway.session.flush(300, now, &mut sink);
    assert!(sent.len() > 1 && sent.iter().all(|datagram| datagram.len() <= 300));
    for datagram in sent {
        player.receive(&datagram).unwrap();
    }
    assert_eq!(player.frames, vec![(frame, peer(1)); 5]);
}

#[test]
fn pieces_that_disagree_about_the_number_of_frames_make_none() {
    let (mut gateway, mut player) = frames::pair();
    let datagrams = sent(&mut gateway, &vec![lan_frame(160); 5], BUDGET);
    let mut pieces = cut(&datagrams[0], 300);
    pieces[1][1] += 1 << 2;
    assert_eq!(player.receive(&pieces[0]), Ok(()));
    assert_eq!(
        player.receive(&pieces[1]),
        Err(DropReason::FragmentConflict)
    );
    assert!(player.frames.is_empty());
}

#[test]
fn what_waits_for_a_connection_that_ends_is_never_sent_on_the_next() {
    let (mut gateway, _) = frames::pair();
    let mut none = |_, _| panic!("nothing is sent yet");
    let now = gateway.now;
    let result = gateway
        .session
        .outgoing(&mut lan_frame(160), BUDGET, now, &mut none);
    result.unwrap();
    gateway.lose(DisconnectCause::Reset);
    gateway.pass(Duration::from_secs(2));
    gateway.join(7);
    gateway.datagrams.clear();
    gateway.send(&lan_frame(160), BUDGET).unwrap();
    let [datagram] = &gateway.datagrams[..] else {
        panic!("{} datagrams", gateway.datagrams.len())
    };
    let (header, _) = Header::decode(datagram).unwrap();
    assert_eq!((header.source, header.frames), (peer(7), FrameCount::ONE));
}

/// As a relay cuts for a smaller path.
fn cut(datagram: &[u8], max_len: usize) -> Vec<Vec<u8>> {
    let pieces = fragment::split(datagram, max_len, 7, true).unwrap();
    let write = |piece: fragment::Piece<'_>| {
        let mut out = Vec::new();
        piece.write_to(&mut out);
        out
    };
    pieces.map(write).collect()
}

proptest! {
    #[test]
    fn frames_of_any_lengths_arrive_in_order_over_any_path(
        lengths in prop::collection::vec(43_usize..=1_514, 1..40),
        budget in 200_usize..=1_500,
        smaller_path in 200_usize..=1_500,
        is_sealed: bool,
    ) {
        let frames: Vec<_> = lengths.into_iter().map(lan_frame).collect();
        let (mut gateway, mut player) = if is_sealed {
            let [gateway, player] = sealed::pair();
            (gateway, player)
        } else {
            frames::pair()
        };
        for datagram in sent(&mut gateway, &frames, budget) {
            prop_assert!(datagram.len() <= budget);
            let (header, _) = Header::decode(&datagram).unwrap();
            prop_assert!(header.frames == FrameCount::ONE || datagram.len() <= LONGEST);
            for piece in cut(&datagram, smaller_path) {
                player.receive(&piece).unwrap();
            }
        }
        let arrived: Vec<_> = player.frames.drain(..).map(|(frame, _)| frame).collect();
        prop_assert_eq!(arrived, frames);
    }
}
