//! Joins, leaves and what is reported again.

use proptest::prelude::*;

use super::*;
use crate::checksum::Sum;
use crate::class::classify;
use crate::ipv6::ICMPV6;

const PLAYER: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const GAME: Ipv4Addr = Ipv4Addr::new(239, 255, 42, 99);
const MDNS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

fn observe(groups: &mut MulticastGroups, frame: &[u8]) {
    groups.observe(PLAYER, frame, &classify(frame).unwrap());
}

fn joined(groups: &MulticastGroups) -> Vec<IpAddr> {
    groups.groups_of(PLAYER).collect()
}

/// The reports that we make are also the ones that hosts make.
fn igmp2(kind: u8) -> Vec<u8> {
    let mut frame = report::igmp2(PLAYER, Ipv4Addr::UNSPECIFIED, GAME);
    frame[14 + 24] = kind;
    frame
}

#[test]
fn a_group_is_remembered_from_each_version_until_it_is_left() {
    for kind in [0x12, 0x16] {
        let mut groups = MulticastGroups::new();
        observe(&mut groups, &igmp2(kind));
        assert_eq!(joined(&groups), [IpAddr::V4(GAME)], "{kind:#x}");
        observe(&mut groups, &igmp2(0x17));
        assert!(joined(&groups).is_empty());
    }
    let mut groups = MulticastGroups::new();
    observe(
        &mut groups,
        &report::igmp3(PLAYER, Ipv4Addr::UNSPECIFIED, &[GAME]),
    );
    observe(
        &mut groups,
        &report::mld2(PLAYER, Ipv6Addr::UNSPECIFIED, &[MDNS]),
    );
    assert_eq!(joined(&groups), [IpAddr::V4(GAME), IpAddr::V6(MDNS)]);
}

#[test]
fn an_igmp_3_record_that_includes_nothing_leaves() {
    let mut groups = MulticastGroups::new();
    let mut frame = report::igmp3(PLAYER, Ipv4Addr::UNSPECIFIED, &[GAME]);
    observe(&mut groups, &frame);
    frame[14 + 24 + 8] = 3;
    observe(&mut groups, &frame);
    assert!(joined(&groups).is_empty());
}

#[test]
fn reports_have_correct_checksums_and_pass_our_own_policy() {
    let mut groups = MulticastGroups::new();
    observe(&mut groups, &igmp2(0x16));
    observe(
        &mut groups,
        &report::igmp3(
            PLAYER,
            Ipv4Addr::UNSPECIFIED,
            &[Ipv4Addr::new(239, 1, 1, 1), Ipv4Addr::new(239, 1, 1, 2)],
        ),
    );
    observe(
        &mut groups,
        &report::mld2(PLAYER, Ipv6Addr::UNSPECIFIED, &[MDNS]),
    );
    let frames = groups.report_frames(PLAYER, Some(Ipv4Addr::new(10, 0, 0, 7)), None);
    assert_eq!(frames.len(), 3);
    for frame in frames {
        assert!(frame.len() >= 60);
        let class = classify(&frame).unwrap();
        assert_eq!(class.link.header.source, PLAYER);
        assert!(class.is_flooded());
        match class.protocol {
            Protocol::Ipv4(packet) => {
                assert_eq!(Sum::default().bytes(&frame[14..38]).finish(), 0);
                let body = body(&frame, &class, packet.body);
                assert_eq!(Sum::default().bytes(body).finish(), 0);
                assert_eq!(packet.source, Ipv4Addr::new(10, 0, 0, 7));
            }
            Protocol::Ipv6(packet) => {
                let body = body(&frame, &class, packet.body);
                let len = u16::try_from(body.len()).unwrap();
                let sum = Sum::default()
                    .pseudo_v6(packet.source, packet.destination, ICMPV6, len)
                    .bytes(body);
                assert_eq!(sum.finish(), 0);
            }
            Protocol::Arp(_)
            | Protocol::Ipx(_)
            | Protocol::WakeOnLan
            | Protocol::LoopProbe
            | Protocol::Other(_) => panic!("{class:?}"),
        }
    }
}

#[test]
fn all_hosts_and_unicast_addresses_are_no_groups() {
    let mut groups = MulticastGroups::new();
    for group in [Ipv4Addr::new(224, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 1)] {
        observe(
            &mut groups,
            &report::igmp3(PLAYER, Ipv4Addr::UNSPECIFIED, &[group]),
        );
    }
    assert!(joined(&groups).is_empty());
}

proptest! {
    #[test]
    fn no_player_makes_the_memory_grow_without_bound(
        joins in proptest::collection::vec((any::<u16>(), any::<u32>()), 0..2_000),
    ) {
        let mut groups = MulticastGroups::new();
        for (player, group) in joins {
            let [a, b] = player.to_be_bytes();
            let mac = MacAddr([2, 0, 0, 0, a, b]);
            let group = Ipv4Addr::from_bits(0xE000_0000 | (group >> 4));
            groups.join(mac, group.into(), Version::Igmp3);
            prop_assert!(groups.joined.len() <= MAX_PLAYERS);
            prop_assert!(groups.joined.values().all(|of| of.len() <= PER_PLAYER));
        }
    }

    #[test]
    fn one_player_stays_within_its_own_cap(groups_asked in 0_u32..300) {
        let mut groups = MulticastGroups::new();
        for group in 0..groups_asked {
            let group = Ipv4Addr::from_bits(0xEF00_0000 | group);
            groups.join(PLAYER, group.into(), Version::Igmp3);
        }
        prop_assert!(joined(&groups).len() <= PER_PLAYER);
        let frames = groups.report_frames(PLAYER, None, None);
        prop_assert!(frames.iter().all(|frame| classify(frame).is_ok()));
    }

    #[test]
    fn damaged_reports_never_panic(
        at in 0_usize..80,
        value in any::<u8>(),
        cut in 14_usize..100,
    ) {
        for mut frame in [
            report::igmp3(PLAYER, Ipv4Addr::UNSPECIFIED, &[GAME, GAME]),
            report::mld2(PLAYER, Ipv6Addr::UNSPECIFIED, &[MDNS]),
        ] {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
            frame.truncate(cut);
            let mut groups = MulticastGroups::new();
            if let Ok(class) = classify(&frame) {
                groups.observe(PLAYER, &frame, &class);
            }
        }
    }
}
