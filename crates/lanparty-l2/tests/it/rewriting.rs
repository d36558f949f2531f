//! Frames that are changed on their way: router advertisements and the MSS of
//! TCP; and the tag that frames are queued by.

use std::net::{IpAddr, Ipv6Addr};

use crate::frames::*;
use lanparty_l2::dhcp::AddressGuard;
use lanparty_l2::ra::{RaOutcome, sanitise};
use lanparty_l2::{classify, flow, mss};
use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;
use lanparty_proto::overlay::Hint;

const LAN_PREFIX: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 0, 0, 0, 0);

fn prefix(prefix: Ipv6Addr, len: u8) -> Vec<u8> {
    let mut option = vec![3, 4, len, 0xE0, 0, 0, 0x0e, 0x10, 0, 0, 7, 8, 0, 0, 0, 0];
    option.extend(prefix.octets());
    option
}

fn advertisement(options: &[u8]) -> Vec<u8> {
    let mut body = router_advertisement(options);
    // Managed and other configuration, high preference.
    body[5] = 0xC8;
    body[2..4].fill(0);
    let checksum = finish(sum(pseudo_v6(ROUTER_LL, ALL_NODES, ND, &body), &body));
    body[2..4].copy_from_slice(&checksum.to_be_bytes());
    let packet = ipv6(ROUTER_LL, ALL_NODES, &[], ND, &body);
    v6_frame(MacAddr([0x33, 0x33, 0, 0, 0, 1]), ROUTER, &packet)
}

fn icmpv6_checksum_is_right(frame: &[u8]) -> bool {
    let body = &frame[54..];
    finish(sum(pseudo_v6(ROUTER_LL, ALL_NODES, ND, body), body)) == 0
}

#[test]
fn an_advertisement_keeps_its_prefix_and_loses_its_route() {
    let mut options = vec![1, 1];
    options.extend(ROUTER.octets());
    options.extend(prefix(LAN_PREFIX, 64));
    options.extend([5, 1, 0, 0, 0, 0, 5, 0]);
    // Name servers, search list, more specific route, captive portal.
    for kind in [25, 31, 24, 37] {
        options.extend([kind, 2, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    }
    let mut frame = advertisement(&options);
    let len = frame.len();
    let guard = AddressGuard::default();
    let outcome = sanitise(&mut frame, &guard);
    assert_eq!(outcome, Ok(RaOutcome::Sanitised { prefixes: 1 }));
    assert_eq!(frame.len(), len);
    assert!(icmpv6_checksum_is_right(&frame));
    let body = &frame[54..];
    assert_eq!(body[4..8], [0, 0, 0, 0], "hop limit, flags, lifetime");
    let kinds: Vec<u8> = [16, 24, 56, 64, 80, 96, 112].map(|at| body[at]).to_vec();
    assert_eq!(kinds, [1, 3, 253, 253, 253, 253, 253]);
    assert_eq!(
        body[24 + 3],
        0xC0,
        "on-link and autonomous, no router address"
    );
    assert!(body[66..80].iter().all(|byte| *byte == 0));
    let once = frame.clone();
    sanitise(&mut frame, &guard).unwrap();
    assert_eq!(frame, once, "a second pass changes nothing");
}

#[test]
fn only_ordinary_64_bit_prefixes_that_leave_the_relay_outside_stay() {
    let guard = AddressGuard {
        keep_outside: vec![IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 9, 9, 0, 0, 0, 5))],
        ..AddressGuard::default()
    };
    for (address, len, stays) in [
        (LAN_PREFIX, 64, 1),
        (Ipv6Addr::new(0xfd00, 1, 2, 3, 0, 0, 0, 0), 64, 1),
        (LAN_PREFIX, 48, 0),
        (LAN_PREFIX, 0, 0),
        (Ipv6Addr::UNSPECIFIED, 64, 0),
        (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 64, 0),
        (Ipv6Addr::new(0x2001, 0xdb8, 9, 9, 0, 0, 0, 0), 64, 0),
    ] {
        let mut frame = advertisement(&prefix(address, len));
        let outcome = sanitise(&mut frame, &guard);
        let expected = Ok(RaOutcome::Sanitised { prefixes: stays });
        assert_eq!(outcome, expected, "{address}/{len}");
    }
}

#[test]
fn advertisements_that_no_host_would_believe_are_dropped() {
    let guard = AddressGuard::default();
    let good = advertisement(&prefix(LAN_PREFIX, 64));
    let mut forwarded = good.clone();
    forwarded[14 + 7] = 254;
    let mut damaged = good.clone();
    damaged[80] ^= 1;
    let endless = advertisement(&[3, 0, 0, 0, 0, 0, 0, 0]);
    let cut = advertisement(&[3, 4, 64, 0, 0, 0, 0, 0]);
    for mut frame in [forwarded, damaged, endless, cut] {
        let outcome = sanitise(&mut frame, &guard);
        assert_eq!(outcome, Err(DropReason::RouterAdvertisement));
    }
    let mut other = arp(1, LAN_HOST, LAN_HOST_IP, PLAYER_IP);
    assert_eq!(
        sanitise(&mut other, &guard),
        Ok(RaOutcome::NotAdvertisement)
    );
}

fn syn_v4(options: &[u8]) -> Vec<u8> {
    let mut segment = tcp(2, options, &[]);
    let pseudo = pseudo_v4(PLAYER_IP, LAN_HOST_IP, TCP, &segment);
    let checksum = finish(sum(pseudo, &segment));
    segment[16..18].copy_from_slice(&checksum.to_be_bytes());
    v4_frame(
        LAN_HOST,
        PLAYER,
        &ipv4(PLAYER_IP, LAN_HOST_IP, TCP, &segment),
    )
}

fn tcp_checksum_is_right(frame: &[u8]) -> bool {
    let segment = &frame[34..];
    let pseudo = pseudo_v4(PLAYER_IP, LAN_HOST_IP, TCP, segment);
    finish(sum(pseudo, segment)) == 0
}

#[test]
fn the_mss_of_a_syn_is_lowered_wherever_the_option_stands() {
    for (options, at) in [
        (&[2, 4, 0x05, 0xb4][..], 2),
        (&[1, 2, 4, 0x05, 0xb4, 0, 0, 0], 3),
        (&[8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 2, 4, 0x05, 0xb4, 1, 1], 12),
        (&[1, 1, 1, 2, 4, 0x05, 0xb4, 1], 5),
    ] {
        let mut frame = syn_v4(options);
        assert!(tcp_checksum_is_right(&frame));
        assert!(mss::clamp(&mut frame, 1304, 1284), "{options:?}");
        assert_eq!(frame[54 + at..56 + at], 1304_u16.to_be_bytes());
        assert!(tcp_checksum_is_right(&frame), "{options:?}");
        assert!(!mss::clamp(&mut frame, 1304, 1284), "once is enough");
    }
}

#[test]
fn the_mss_is_never_raised_and_only_a_syns_is_touched() {
    let mss = [2, 4, 0x05, 0xb4];
    for frame in [
        syn_v4(&[2, 4, 0x02, 0x18]),
        syn_v4(&[]),
        syn_v4(&[0, 2, 4, 5]),
        syn_v4(&[2, 3, 0x05, 0xb4]),
        syn_v4(&[1, 1, 2, 4]),
        syn_v4(&[8, 0, 2, 4]),
        v4_frame(
            LAN_HOST,
            PLAYER,
            &ipv4(PLAYER_IP, LAN_HOST_IP, TCP, &tcp(0x10, &mss, &[])),
        ),
        v4_frame(
            LAN_HOST,
            PLAYER,
            &ipv4_with(PLAYER_IP, LAN_HOST_IP, TCP, 0x2000, &[], &tcp(2, &mss, &[])),
        ),
        v4_frame(
            LAN_HOST,
            PLAYER,
            &ipv4(PLAYER_IP, LAN_HOST_IP, UDP, &udp(1, 2, &mss)),
        ),
    ] {
        let mut same = frame.clone();
        assert!(!mss::clamp(&mut same, 1304, 1284));
        assert_eq!(same, frame);
    }
}

#[test]
fn an_ipv6_syn_gets_the_ipv6_limit_even_behind_extension_headers() {
    let mut segment = tcp(2, &[2, 4, 0x05, 0xa0], &[]);
    let pseudo = pseudo_v6(PLAYER_LL, ROUTER_LL, TCP, &segment);
    let checksum = finish(sum(pseudo, &segment));
    segment[16..18].copy_from_slice(&checksum.to_be_bytes());
    for extensions in [vec![], vec![(60, options_header(0))]] {
        let packet = ipv6(PLAYER_LL, ROUTER_LL, &extensions, TCP, &segment);
        let mut frame = v6_frame(ROUTER, PLAYER, &packet);
        assert!(mss::clamp(&mut frame, 1304, 1284));
        let at = frame.len() - 24;
        assert_eq!(frame[at + 22..], 1284_u16.to_be_bytes());
        let pseudo = pseudo_v6(PLAYER_LL, ROUTER_LL, TCP, &frame[at..]);
        assert_eq!(finish(sum(pseudo, &frame[at..])), 0);
    }
    assert_eq!(mss::for_mtu(1344), (1304, 1284));
}

const KEY: [u8; 16] = *b"0123456789abcdef";

fn game(source_port: u16, size: usize) -> Vec<u8> {
    let datagram = udp(source_port, 27960, &vec![0; size]);
    v4_frame(
        LAN_HOST,
        PLAYER,
        &ipv4(PLAYER_IP, LAN_HOST_IP, UDP, &datagram),
    )
}

#[test]
fn a_flow_keeps_its_tag_and_others_have_other_tags() {
    let tag = flow::flow_tag(&game(1000, 40), &KEY);
    assert_eq!(flow::flow_tag(&game(1000, 900), &KEY), tag);
    assert_eq!(
        flow::flow_tag(&tagged(0x8100, 0, &game(1000, 40)), &KEY),
        tag
    );
    let mut tags: Vec<u16> = (1000..1100)
        .map(|port| flow::flow_tag(&game(port, 40), &KEY))
        .collect();
    tags.sort_unstable();
    tags.dedup();
    assert!(
        tags.len() > 95,
        "{} of 100 flows are told apart",
        tags.len()
    );
    assert_ne!(flow::flow_tag(&game(1000, 40), b"another key 1234"), tag);
}

#[test]
fn the_fragments_of_a_packet_stay_together() {
    let tag = |field, body: &[u8]| {
        let packet = ipv4_with(PLAYER_IP, LAN_HOST_IP, UDP, field, &[], body);
        flow::flow_tag(&v4_frame(LAN_HOST, PLAYER, &packet), &KEY)
    };
    assert_eq!(
        tag(0x2000, &udp(1000, 27960, &[0; 1464])),
        tag(184, &[0x55; 300])
    );
    let tag = |offset, more, next, body: &[u8]| {
        let extensions = [(44, fragment_header(offset, more))];
        let packet = ipv6(PLAYER_LL, ROUTER_LL, &extensions, next, body);
        flow::flow_tag(&v6_frame(ROUTER, PLAYER, &packet), &KEY)
    };
    // A later fragment's header may name the extension header that the first
    // one had (RFC 8200, section 4.5).
    assert_eq!(
        tag(0, true, UDP, &udp(1000, 27960, &[0; 1224])),
        tag(154, false, 60, &[0x55; 300])
    );
}

#[test]
fn unreadable_frames_and_every_length_of_ipx_have_tags() {
    let ipx = |len: usize| {
        let mut packet = vec![0xFF, 0xFF];
        packet.extend(u16::try_from(len).unwrap().to_be_bytes());
        packet.resize(len, 0);
        flow::flow_tag(&ieee_802_3(MacAddr::BROADCAST, PLAYER, &packet), &KEY)
    };
    assert_eq!(ipx(40), ipx(400));
    let tags = [&[][..], &[1; 5], &[0; 14]].map(|frame| flow::flow_tag(frame, &KEY));
    assert_eq!(tags.len(), 3);
}

#[test]
fn hints_tell_games_from_copies() {
    let hint = |frame: &[u8]| flow::hint(&classify(frame).unwrap(), frame.len());
    assert_eq!(hint(&game(1000, 60)), Hint::Sparse);
    assert_eq!(hint(&game(1000, 1400)), Hint::Normal);
    assert_eq!(hint(&arp(1, PLAYER, PLAYER_IP, LAN_HOST_IP)), Hint::Sparse);
    assert_eq!(hint(&dhcp_request(PLAYER, &[53, 1, 1])), Hint::Sparse);
    let copy = |len| {
        let segment = tcp(0x10, &[], &vec![0; len]);
        hint(&v4_frame(
            LAN_HOST,
            PLAYER,
            &ipv4(PLAYER_IP, LAN_HOST_IP, TCP, &segment),
        ))
    };
    assert_eq!(copy(1400), Hint::Bulk);
    assert_eq!(copy(0), Hint::Normal);
}
