//! What holds for every frame (threats: total, deterministic, monotone,
//! idempotent).

use std::collections::BTreeSet;
use std::time::Instant;

use lanparty_l2::bindings::{Confirmation, IpBindings};
use lanparty_l2::dhcp::{AddressGuard, rewrite_for_player};
use lanparty_l2::groups::MulticastGroups;
use lanparty_l2::link::strip_priority_tag;
use lanparty_l2::policy::{Direction, check_fragment_header};
use lanparty_l2::{Context, Ipv6Mode, Place, Rules, check, classify, flow, mss, ra};
use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{EtherType, EthernetHeader};
use proptest::prelude::*;

use crate::frames::*;

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    Instant::now()
}

/// The most permissive room, so that mutations reach as deep as they can.
fn open_rules() -> Rules {
    Rules {
        ipv6: Ipv6Mode::Lan,
        ..Rules::default()
            .allow_vlan(7)
            .allow_ether_type(EtherType(0x88B5))
    }
}

/// One of each kind of frame, good and bad.
fn seeds() -> Vec<Vec<u8>> {
    let ra = router_advertisement(&[3, 4, 64, 0xC0, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 0]);
    let ns = neighbour(135, PLAYER_LL, PLAYER_LL, Some(PLAYER));
    let mut magic = vec![0xFF; 6];
    magic.extend(LAN_HOST.octets().repeat(16));
    let mut ipx = vec![0xFF, 0xFF, 0, 34, 0, 4];
    ipx.resize(34, 7);
    let syn = tcp(2, &[2, 4, 5, 0xB4, 1, 1, 1, 0], &[]);
    let v6 = |extensions: &[(u8, Vec<u8>)], next, body: &[u8]| {
        v6_frame(
            MacAddr::BROADCAST,
            PLAYER,
            &ipv6(PLAYER_LL, ALL_NODES, extensions, next, body),
        )
    };
    let v4 = |protocol, field, body: &[u8]| {
        let packet = ipv4_with(
            PLAYER_IP,
            LAN_HOST_IP,
            protocol,
            field,
            &[148, 4, 0, 0],
            body,
        );
        v4_frame(LAN_HOST, PLAYER, &packet)
    };
    let options = [53, 1, 5, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 0, 1];
    vec![
        arp(1, PLAYER, PLAYER_IP, LAN_HOST_IP),
        v4(UDP, 0, &udp(1, 2, b"game")),
        v4(UDP, 0x2000, &udp(1, 2, &[0; 16])),
        v4(UDP, 5, &[0; 16]),
        v4(TCP, 0, &syn),
        v4(2, 0, &[0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 1, 1]),
        dhcp_request(PLAYER, &[53, 1, 1, 61, 7, 1, 2, 0, 0, 0, 0, 1]),
        dhcp_answer(PLAYER, PLAYER, PLAYER_IP, &options),
        v6(&[], ND, &ra),
        v6(&[(0, options_header(0)), (60, options_header(1))], ND, &ra),
        v6(&[(44, fragment_header(0, true))], UDP, &udp(1, 2, &[0; 16])),
        v6(&[], ND, &ns),
        v6(
            &[(0, vec![0, 0, 5, 2, 0, 0, 1, 0])],
            ND,
            &icmpv6(PLAYER_LL, ALL_NODES, 143, &[0; 4]),
        ),
        v6(&[], TCP, &syn),
        ethernet(MacAddr::BROADCAST, PLAYER, 0x0842, &magic),
        ethernet(MacAddr::BROADCAST, PLAYER, 0x8137, &ipx),
        ieee_802_3(MacAddr::BROADCAST, PLAYER, &ipx),
        ethernet(MacAddr::BROADCAST, PLAYER, 0x88B5, b"experiment"),
        lanparty_l2::marker::loop_probe_frame(PLAYER, [1; 16]).to_vec(),
    ]
}

/// A seed, perhaps tagged or in SNAP, with some bytes changed and cut or
/// lengthened.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let seed = proptest::sample::select(seeds());
    let change = (0_usize..120, any::<u8>());
    let wrap = 0_u8..6;
    (
        seed,
        wrap,
        proptest::collection::vec(change, 0..4),
        proptest::option::of(0_usize..200),
        any::<bool>(),
    )
        .prop_map(|(seed, wrap, changes, cut, from_lan)| {
            let mut frame = match wrap {
                0 => tagged(0x8100, 0, &seed),
                1 => tagged(0x8100, 7, &seed),
                2 => in_snap(&seed),
                _ => seed,
            };
            if from_lan {
                frame[6..12].copy_from_slice(&LAN_HOST.octets());
            }
            for (at, value) in changes {
                if let Some(byte) = frame.get_mut(at) {
                    *byte = value;
                }
            }
            if let Some(cut) = cut {
                frame.resize(cut.min(frame.len() + 20), 0xA5);
            }
            frame
        })
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => mutated(),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
    ]
}

fn verdicts(
    frame: &[u8],
    now: Instant,
) -> Vec<Result<lanparty_l2::Passed, lanparty_obs::DropReason>> {
    let rules = open_rules();
    let members = BTreeSet::from([PLAYER, OTHER_PLAYER]);
    let mut verdicts = Vec::new();
    for (direction, sender) in [
        (Direction::PlayerToLan, Some(PLAYER)),
        (Direction::LanToPlayer, None),
    ] {
        let context = Context {
            place: Place::Relay,
            rules: &rules,
            sender,
            members: &members,
            bindings: None,
            host: None,
            now,
        };
        verdicts.push(check(frame, direction, &context));
        let header = EthernetHeader::parse(frame).map(|(header, _)| header);
        if let Ok(header) = header {
            let header_only = check_fragment_header(&header, frame.len(), direction, &context);
            // The relay's view is never stricter than the whole frame's, or
            // a frame would cross whole and die in fragments; but for the
            // priority tag, which senders strip, and our own loop probe,
            // which is never fragmented.
            if let Some(Ok(passed)) = verdicts.last()
                && !passed.has_priority_tag()
                && passed.class.protocol != lanparty_l2::Protocol::LoopProbe
            {
                assert!(header_only.is_ok(), "{header_only:?}");
            }
        }
    }
    verdicts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn no_bytes_make_anything_panic(frame in any_frame()) {
        let now = start();
        verdicts(&frame, now);
        let _ = flow::flow_tag(&frame, &[3; 16]);
        let guard = AddressGuard::default();
        for rewrite in 0..4 {
            let mut copy = frame.clone();
            match rewrite {
                0 => drop(rewrite_for_player(&mut copy, PLAYER, &guard)),
                1 => drop(ra::sanitise(&mut copy, &guard)),
                2 => drop(mss::clamp(&mut copy, 536, 1220)),
                _ => drop(strip_priority_tag(&mut copy)),
            }
            prop_assert!(rewrite == 3 || copy.len() == frame.len());
        }
        if let Ok(class) = classify(&frame) {
            let mut groups = MulticastGroups::new();
            groups.observe(PLAYER, &frame, &class);
            let mut bindings = IpBindings::new(Confirmation::FirstClaim);
            bindings.observe_lan(&frame, &class, &[PLAYER], now);
        }
    }

    #[test]
    fn the_verdict_depends_on_nothing_but_the_frame(frame in any_frame()) {
        let now = start();
        prop_assert_eq!(verdicts(&frame, now), verdicts(&frame.clone(), now));
    }

    #[test]
    fn padding_behind_a_frames_declared_end_never_turns_a_drop_into_a_pass(
        frame in any_frame(),
        padding in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let now = start();
        // A frame that ends before its own headers say has no padding yet.
        prop_assume!(declared_end(&frame).is_some_and(|end| end <= frame.len()));
        let before = verdicts(&frame, now);
        let longer = [&frame[..], &padding].concat();
        for (before, after) in before.iter().zip(verdicts(&longer, now)) {
            if before.is_err() {
                prop_assert!(after.is_err(), "{before:?} became {after:?}");
            }
        }
    }

    #[test]
    fn a_frame_that_passed_passes_again_after_our_own_changes(frame in any_frame()) {
        let now = start();
        let guard = AddressGuard::default();
        for (direction, before) in verdicts(&frame, now).into_iter().enumerate() {
            if before.is_err() {
                continue;
            }
            let mut copy = frame.clone();
            strip_priority_tag(&mut copy);
            mss::clamp(&mut copy, 536, 1220);
            if rewrite_for_player(&mut copy, PLAYER, &guard).is_err()
                || ra::sanitise(&mut copy, &guard).is_err()
            {
                continue;
            }
            prop_assert!(verdicts(&copy, now)[direction].is_ok());
        }
    }

    #[test]
    fn a_rewrite_done_twice_is_a_rewrite_done_once(frame in any_frame()) {
        let guard = AddressGuard::default();
        let mut once = frame;
        if rewrite_for_player(&mut once, PLAYER, &guard).is_ok() {
            let mut twice = once.clone();
            prop_assert!(rewrite_for_player(&mut twice, PLAYER, &guard).is_ok());
            prop_assert_eq!(&twice, &once);
        }
        if ra::sanitise(&mut once, &guard).is_ok() {
            let mut twice = once.clone();
            prop_assert!(ra::sanitise(&mut twice, &guard).is_ok());
            prop_assert_eq!(&twice, &once);
        }
    }
}

/// Where the frame's own headers say that it ends; nothing where they say
/// nothing.
fn declared_end(frame: &[u8]) -> Option<usize> {
    let at = |at: usize| {
        let bytes = frame.get(at..at + 2)?;
        Some(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
    };
    let mut payload = 14;
    let mut ether_type = at(12)?;
    if ether_type == 0x8100 {
        ether_type = at(16)?;
        payload = 18;
    }
    match ether_type {
        0x0800 => Some(payload + at(payload + 2)?),
        0x86DD => Some(payload + 40 + at(payload + 4)?),
        0x0806 => Some(payload + 28),
        0x0842 => Some(payload + 102),
        0x8137 => Some(payload + at(payload + 2)?),
        0x88B6 => Some(60),
        length if length < 0x0600 => Some(payload + length),
        _ => Some(payload),
    }
}
