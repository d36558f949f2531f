//! The policy's table, row by row, and every known way around it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use crate::frames::*;
use lanparty_l2::policy::{Direction, check_fragment_header};
use lanparty_l2::{Context, HostView, Ipv6Mode, Place, Rules, Spread, Subnet, check};
use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{EtherType, EthernetHeader};

use Direction::{LanToPlayer, PlayerToLan};

/// What the checking place knows, owned.
struct Room {
    rules: Rules,
    members: BTreeSet<MacAddr>,
    host: Option<HostView>,
    place: Place,
    now: Instant,
}

impl Room {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let now = Instant::now();
        Self {
            rules: Rules::default(),
            members: BTreeSet::from([PLAYER, OTHER_PLAYER]),
            host: None,
            place: Place::Relay,
            now,
        }
    }

    fn with_rules(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::new()
        }
    }

    fn at_gateway(rules: Rules) -> Self {
        Self {
            rules,
            place: Place::Gateway,
            host: Some(HostView {
                mac: GATEWAY,
                addresses: vec![GATEWAY_IP.into()],
                subnets: vec![Subnet {
                    address: GATEWAY_IP.into(),
                    prefix_len: 24,
                }],
            }),
            ..Self::new()
        }
    }

    fn context(&self, direction: Direction) -> Context<'_> {
        Context {
            place: self.place,
            rules: &self.rules,
            sender: (direction == PlayerToLan).then_some(PLAYER),
            members: &self.members,
            bindings: None,
            host: self.host.as_ref(),
            now: self.now,
        }
    }

    fn verdict(&self, frame: &[u8], direction: Direction) -> Result<Spread, DropReason> {
        check(frame, direction, &self.context(direction)).map(|passed| passed.spread)
    }
}

#[track_caller]
fn dropped(frame: &[u8], direction: Direction, reason: DropReason) {
    assert_eq!(Room::new().verdict(frame, direction), Err(reason));
}

#[track_caller]
fn passes(frame: &[u8], direction: Direction) {
    Room::new().verdict(frame, direction).unwrap();
}

fn player_v4(body: &[u8], protocol: u8) -> Vec<u8> {
    v4_frame(
        LAN_HOST,
        PLAYER,
        &ipv4(PLAYER_IP, LAN_HOST_IP, protocol, body),
    )
}

fn player_v6(extensions: &[(u8, Vec<u8>)], next: u8, body: &[u8]) -> Vec<u8> {
    let packet = ipv6(PLAYER_LL, ALL_NODES, extensions, next, body);
    v6_frame(MacAddr([0x33, 0x33, 0, 0, 0, 1]), PLAYER, &packet)
}

fn lan_v6(extensions: &[(u8, Vec<u8>)], next: u8, body: &[u8]) -> Vec<u8> {
    let packet = ipv6(ROUTER_LL, ALL_NODES, extensions, next, body);
    v6_frame(MacAddr([0x33, 0x33, 0, 0, 0, 1]), ROUTER, &packet)
}

#[test]
fn ordinary_traffic_passes_both_ways() {
    let game = udp(27960, 27960, b"getinfo");
    let out = v4_frame(
        MacAddr::BROADCAST,
        PLAYER,
        &ipv4(PLAYER_IP, Ipv4Addr::BROADCAST, UDP, &game),
    );
    assert_eq!(Room::new().verdict(&out, PlayerToLan), Ok(Spread::Flood));
    let answer = v4_frame(PLAYER, LAN_HOST, &ipv4(LAN_HOST_IP, PLAYER_IP, UDP, &game));
    assert_eq!(
        Room::new().verdict(&answer, LanToPlayer),
        Ok(Spread::Unicast)
    );
    passes(&arp(1, PLAYER, PLAYER_IP, LAN_HOST_IP), PlayerToLan);
    passes(&arp(2, LAN_HOST, LAN_HOST_IP, PLAYER_IP), LanToPlayer);
    passes(&player_v4(&tcp(2, &[], &[]), TCP), PlayerToLan);
    passes(&player_v6(&[], UDP, &udp(5353, 5353, b"mdns")), PlayerToLan);
    passes(&player_v6(&[], TCP, &tcp(2, &[], &[])), PlayerToLan);
}

#[test]
fn b11_link_control_traffic_ends_at_its_own_switch() {
    let groups = [
        [0x01, 0x80, 0xC2, 0, 0, 0x00],
        [0x01, 0x80, 0xC2, 0, 0, 0x01],
        [0x01, 0x80, 0xC2, 0, 0, 0x03],
        [0x01, 0x80, 0xC2, 0, 0, 0x0E],
        [0x01, 0x80, 0xC2, 0, 0, 0x21],
        [0x01, 0x00, 0x0C, 0xCC, 0xCC, 0xCC],
        [0x01, 0x00, 0x0C, 0xCC, 0xCC, 0xCD],
        [0x01, 0x00, 0x0C, 0xCD, 0xCD, 0xCD],
    ];
    for group in groups {
        // Spanning tree in LLC, and an allowed protocol to the same group.
        for frame in [
            ieee_802_3(MacAddr(group), PLAYER, &[0x42, 0x42, 3, 0, 0, 0, 0]),
            v4_frame(
                MacAddr(group),
                PLAYER,
                &ipv4(PLAYER_IP, LAN_HOST_IP, 99, &[]),
            ),
        ] {
            dropped(&frame, PlayerToLan, DropReason::LinkControl);
            dropped(&frame, LanToPlayer, DropReason::LinkControl);
        }
    }
    // Also behind a unicast destination, and where the host listed them.
    for ether_type in [0x8808, 0x8809, 0x888E, 0x88CC, 0x88E5] {
        let frame = ethernet(LAN_HOST, PLAYER, ether_type, &[0; 46]);
        let rules = Rules {
            ether_types: vec![EtherType(ether_type)],
            ..Rules::default()
        };
        let room = Room::with_rules(rules);
        for frame in [tagged(0x8100, 0, &frame), frame] {
            let verdict = room.verdict(&frame, PlayerToLan);
            assert_eq!(verdict, Err(DropReason::LinkControl), "{ether_type:#x}");
        }
    }
}

#[test]
fn frames_are_as_long_as_a_standard_lan_carries() {
    let mut frame = player_v4(&udp(1, 2, &[0; 1472]), UDP);
    assert_eq!(frame.len(), 1_514);
    passes(&frame, PlayerToLan);
    frame.push(0);
    dropped(&frame, PlayerToLan, DropReason::Oversize);
    dropped(&[0; 13], PlayerToLan, DropReason::Runt);
    dropped(&[], LanToPlayer, DropReason::Runt);
}

#[test]
fn b8_a_player_sends_from_its_own_mac_only() {
    for source in [OTHER_PLAYER, LAN_HOST, MacAddr::ZERO, MacAddr::BROADCAST] {
        let frame = v4_frame(LAN_HOST, source, &ipv4(PLAYER_IP, LAN_HOST_IP, 99, &[]));
        dropped(&frame, PlayerToLan, DropReason::SourceMac);
    }
}

#[test]
fn b13_a_players_mac_from_the_lan_is_a_loop_or_a_forgery() {
    let frame = arp(1, PLAYER, PLAYER_IP, LAN_HOST_IP);
    dropped(&frame, LanToPlayer, DropReason::MemberMacFromLan);
    let group = arp(1, MacAddr([3, 0, 0, 0, 0, 1]), LAN_HOST_IP, PLAYER_IP);
    dropped(&group, LanToPlayer, DropReason::SourceMac);
}

#[test]
fn b1_tags_are_dropped_unless_they_only_say_a_priority() {
    let plain = player_v4(&udp(1, 2, b"x"), UDP);
    let room = Room::new();
    let priority = tagged(0x8100, 0, &plain);
    let passed = check(&priority, PlayerToLan, &room.context(PlayerToLan)).unwrap();
    assert!(passed.has_priority_tag());
    let mut stripped = priority;
    assert!(lanparty_l2::link::strip_priority_tag(&mut stripped));
    assert_eq!(stripped, plain);
    assert!(!lanparty_l2::link::strip_priority_tag(&mut stripped));
    for evasion in [
        tagged(0x8100, 7, &plain),
        tagged(0x8100, 4095, &plain),
        tagged(0x88A8, 0, &plain),
        tagged(0x9100, 0, &plain),
        tagged(0x9200, 0, &plain),
        // Nested: also the priority tags that some receivers peel one by one.
        tagged(0x8100, 0, &tagged(0x8100, 0, &plain)),
        tagged(0x88A8, 0, &tagged(0x8100, 0, &plain)),
        tagged(0x8100, 0, &tagged(0x88A8, 0, &plain)),
    ] {
        dropped(&evasion, PlayerToLan, DropReason::VlanTagged);
    }
    dropped(&priority_cut(), PlayerToLan, DropReason::Runt);
}

fn priority_cut() -> Vec<u8> {
    ethernet(LAN_HOST, PLAYER, 0x8100, &[0, 0, 8])
}

#[test]
fn an_allowed_vlan_crosses_from_the_lan_only() {
    let frame = tagged(
        0x8100,
        42,
        &v4_frame(
            PLAYER,
            LAN_HOST,
            &ipv4(LAN_HOST_IP, PLAYER_IP, 99, &[0; 1480]),
        ),
    );
    assert_eq!(frame.len(), 1_518);
    let room = Room::with_rules(Rules {
        vlans: vec![42],
        ..Rules::default()
    });
    assert!(room.verdict(&frame, LanToPlayer).is_ok());
    let from_player = tagged(0x8100, 42, &player_v4(&[], 99));
    assert_eq!(
        room.verdict(&from_player, PlayerToLan),
        Err(DropReason::VlanTagged)
    );
    let other = Room::with_rules(Rules {
        vlans: vec![43],
        ..Rules::default()
    });
    assert_eq!(
        other.verdict(&frame, LanToPlayer),
        Err(DropReason::VlanTagged)
    );
}

#[test]
fn b1_what_a_tag_or_snap_hides_is_seen() {
    let ra = v6_frame(
        MacAddr::BROADCAST,
        PLAYER,
        &ipv6(PLAYER_LL, ALL_NODES, &[], ND, &router_advertisement(&[])),
    );
    dropped(
        &tagged(0x8100, 0, &ra),
        PlayerToLan,
        DropReason::RouterAdvertisement,
    );
    let spoof = arp(2, PLAYER, ROUTER_IP, LAN_HOST_IP);
    for frame in [&ra, &spoof] {
        // VU#855201: LLC/SNAP alone, twice, and behind a priority tag.
        dropped(&in_snap(frame), PlayerToLan, DropReason::EtherType);
        dropped(
            &in_snap(&in_snap(frame)),
            PlayerToLan,
            DropReason::EtherType,
        );
        dropped(
            &tagged(0x8100, 0, &in_snap(frame)),
            PlayerToLan,
            DropReason::EtherType,
        );
        // A length that is no length: longer than the frame, or in the gap.
        let mut gap = in_snap(frame);
        gap[12..14].copy_from_slice(&0x05FF_u16.to_be_bytes());
        dropped(&gap, PlayerToLan, DropReason::EtherType);
    }
}

#[test]
fn ether_types_are_a_list() {
    for ether_type in [0x0000, 0x0600, 0x8035, 0x8863, 0x88B5, 0x88B6, 0xFFFF] {
        let frame = ethernet(MacAddr::BROADCAST, PLAYER, ether_type, &[0; 46]);
        dropped(&frame, PlayerToLan, DropReason::EtherType);
    }
    let listed = ethernet(MacAddr::BROADCAST, PLAYER, 0x88B5, b"anything");
    let room = Room::with_rules(Rules::default().allow_ether_type(EtherType(0x88B5)));
    assert_eq!(room.verdict(&listed, PlayerToLan), Ok(Spread::Flood));
}

#[test]
fn listing_an_ether_type_never_opens_one_that_is_read() {
    let ether_types = [0x0800, 0x0806, 0x86DD, 0x8100, 0x0842, 0x8137, 60].map(EtherType);
    let rules = Rules {
        ether_types: ether_types.to_vec(),
        ..Rules::default()
    };
    let room = Room::with_rules(rules);
    for ether_type in [0x0800, 0x0806, 0x86DD, 0x8100, 0x0842, 0x8137, 60] {
        let frame = ethernet(LAN_HOST, PLAYER, ether_type, &[0x13; 60]);
        assert!(
            room.verdict(&frame, PlayerToLan).is_err(),
            "{ether_type:#x}"
        );
    }
}

#[test]
fn wake_on_lan_passes_and_its_ether_type_carries_nothing_else() {
    let mut magic = vec![0xFF; 6];
    magic.extend(LAN_HOST.octets().repeat(16));
    let frame = ethernet(MacAddr::BROADCAST, PLAYER, 0x0842, &magic);
    passes(&frame, PlayerToLan);
    passes(&ethernet(PLAYER, LAN_HOST, 0x0842, &magic), LanToPlayer);
    magic[30] ^= 1;
    let cargo = ethernet(MacAddr::BROADCAST, PLAYER, 0x0842, &magic);
    dropped(&cargo, PlayerToLan, DropReason::EtherType);
}

#[test]
fn arp_speaks_for_its_sender_alone() {
    let mut foreign_sender = arp(2, PLAYER, PLAYER_IP, LAN_HOST_IP);
    foreign_sender[22..28].copy_from_slice(&ROUTER.octets());
    dropped(&foreign_sender, PlayerToLan, DropReason::ArpSpoof);
    for sender in [[127, 0, 0, 1], [224, 0, 0, 1], [255; 4], [0, 1, 2, 3]] {
        let frame = arp(1, PLAYER, sender.into(), LAN_HOST_IP);
        dropped(&frame, PlayerToLan, DropReason::ArpSpoof);
    }
    // A reply from 0.0.0.0 is not a probe.
    let reply = arp(2, PLAYER, Ipv4Addr::UNSPECIFIED, LAN_HOST_IP);
    dropped(&reply, PlayerToLan, DropReason::ArpSpoof);
    let probe = arp(1, PLAYER, Ipv4Addr::UNSPECIFIED, PLAYER_IP);
    passes(&probe, PlayerToLan);
    let mut cut = arp(1, PLAYER, PLAYER_IP, LAN_HOST_IP);
    cut.truncate(41);
    dropped(&cut, PlayerToLan, DropReason::MalformedArp);
    dropped(&cut, LanToPlayer, DropReason::MemberMacFromLan);
}

#[test]
fn b4_dhcp_servers_do_not_live_behind_players() {
    let offer = dhcp(2, LAN_HOST, LAN_HOST_IP, &[53, 1, 2]);
    for (from, to) in [(67, 68), (67, 67), (67, 4011), (1234, 68)] {
        let frame = player_v4(&udp(from, to, &offer), UDP);
        dropped(&frame, PlayerToLan, DropReason::DhcpServer);
    }
    // From the LAN they are what gives players their addresses.
    passes(
        &dhcp_answer(PLAYER, PLAYER, PLAYER_IP, &[53, 1, 2]),
        LanToPlayer,
    );
}

#[test]
fn b6_a_dhcp_request_is_for_its_sender() {
    let room = Room::new();
    let own = dhcp_request(PLAYER, &[53, 1, 1]);
    assert_eq!(room.verdict(&own, PlayerToLan), Ok(Spread::Dhcp));
    let mut own_id = vec![53, 1, 1, 61, 7, 1];
    own_id.extend(PLAYER.octets());
    passes(&dhcp_request(PLAYER, &own_id), PlayerToLan);
    let mut victims_id = vec![53, 1, 7, 61, 7, 1];
    victims_id.extend(LAN_HOST.octets());
    let relayed = {
        let mut frame = own.clone();
        frame[14 + 28 + 24] = 10;
        frame
    };
    let reply_to_server = {
        let mut frame = own.clone();
        frame[14 + 28] = 2;
        frame
    };
    for frame in [
        dhcp_request(LAN_HOST, &[53, 1, 1]),
        dhcp_request(PLAYER, &victims_id),
        relayed,
        reply_to_server,
        player_v4(&udp(68, 67, &[1; 100]), UDP),
    ] {
        dropped(&frame, PlayerToLan, DropReason::DhcpClient);
    }
}

#[test]
fn b15_ipv4_fragments_hide_nothing() {
    const MORE: u16 = 0x2000;
    let fragment = |protocol, field, body: &[u8]| {
        let packet = ipv4_with(PLAYER_IP, LAN_HOST_IP, protocol, field, &[], body);
        v4_frame(LAN_HOST, PLAYER, &packet)
    };
    passes(&fragment(UDP, MORE, &udp(1, 2, &[0; 1464])), PlayerToLan);
    passes(&fragment(UDP, 184, &[0; 500]), PlayerToLan);
    let long_header = [0x60; 16];
    for (what, frame) in [
        (
            "RFC 1858, 3.2.1: TCP without its flags",
            fragment(TCP, MORE, &[0x50; 8]),
        ),
        (
            "TCP whose options are elsewhere",
            fragment(TCP, MORE, &long_header),
        ),
        (
            "RFC 3128: offset 1 rewrites the flags",
            fragment(TCP, 1, &tcp(2, &[], &[])[8..]),
        ),
        (
            "UDP too, whose checksum is there",
            fragment(UDP, 1, &[0; 16]),
        ),
        ("DHCP", fragment(UDP, MORE, &udp(67, 68, &[0; 240]))),
        (
            "a DHCP request",
            fragment(UDP, MORE, &udp(68, 67, &[0; 240])),
        ),
        ("ICMP of less than its header", fragment(1, MORE, &[])),
        ("IGMP", fragment(2, MORE, &[0x16; 8])),
        (
            "not a multiple of 8",
            fragment(UDP, MORE, &udp(1, 2, &[0; 3])),
        ),
        ("nothing", fragment(UDP, 184, &[])),
        ("beyond 65,535", fragment(UDP, 0x1FFF, &[0; 16])),
    ] {
        assert_eq!(
            Room::new().verdict(&frame, PlayerToLan),
            Err(DropReason::MalformedIpv4),
            "{what}"
        );
    }
    // RFC 1858: the redirect's type is in the first eight bytes.
    dropped(
        &fragment(1, MORE, &[5; 16]),
        PlayerToLan,
        DropReason::Redirect,
    );
}

#[test]
fn ipv4_headers_are_sane() {
    let good = ipv4(PLAYER_IP, LAN_HOST_IP, 99, &[0; 20]);
    let broken = |at: usize, value: u8| {
        let mut packet = good.clone();
        packet[at] = value;
        v4_frame(LAN_HOST, PLAYER, &packet)
    };
    for (what, frame) in [
        ("version", broken(0, 0x65)),
        ("header of 16 bytes", broken(0, 0x44)),
        ("header beyond the packet", broken(0, 0x4F)),
        ("total length below the header", broken(3, 19)),
        ("total length beyond the frame", broken(3, 41)),
    ] {
        assert_eq!(
            Room::new().verdict(&frame, PlayerToLan),
            Err(DropReason::MalformedIpv4),
            "{what}"
        );
    }
    let with = |options: &[u8]| {
        let packet = ipv4_with(PLAYER_IP, LAN_HOST_IP, 99, 0, options, &[]);
        v4_frame(LAN_HOST, PLAYER, &packet)
    };
    passes(&with(&[148, 4, 0, 0]), PlayerToLan);
    passes(&with(&[1, 1, 1, 0]), PlayerToLan);
    for options in [
        [131, 4, 4, 0],
        [137, 4, 4, 0],
        [1, 131, 3, 4],
        [7, 1, 0, 0],
        [7, 0, 0, 0],
        [7, 9, 4, 0],
        [1, 1, 1, 7],
    ] {
        dropped(&with(&options), PlayerToLan, DropReason::MalformedIpv4);
    }
}

#[test]
fn a_udp_length_beyond_its_packet_is_malformed() {
    let mut datagram = udp(1, 2, &[0; 4]);
    datagram[5] = 13;
    dropped(
        &player_v4(&datagram, UDP),
        PlayerToLan,
        DropReason::MalformedIpv4,
    );
    datagram[5] = 7;
    dropped(
        &player_v4(&datagram, UDP),
        PlayerToLan,
        DropReason::MalformedIpv4,
    );
    datagram[5] = 12;
    passes(&player_v4(&datagram, UDP), PlayerToLan);
}

#[test]
fn b16_redirects_and_router_discovery_cross_in_no_direction() {
    for (kind, reason) in [
        (5, DropReason::Redirect),
        (9, DropReason::RouterAdvertisement),
    ] {
        let body = [kind, 0, 0, 0, 0, 0, 0, 0];
        dropped(&player_v4(&body, 1), PlayerToLan, reason);
        let lan = v4_frame(PLAYER, ROUTER, &ipv4(ROUTER_IP, PLAYER_IP, 1, &body));
        dropped(&lan, LanToPlayer, reason);
    }
    let body = icmpv6(PLAYER_LL, ALL_NODES, 137, &[0; 36]);
    dropped(
        &player_v6(&[], ND, &body),
        PlayerToLan,
        DropReason::Redirect,
    );
    dropped(&lan_v6(&[], ND, &body), LanToPlayer, DropReason::Redirect);
}

#[test]
fn players_do_not_speak_to_routers_as_routers() {
    for protocol in [9, 88, 89, 103, 112] {
        dropped(
            &player_v4(&[0; 20], protocol),
            PlayerToLan,
            DropReason::RoutingProtocol,
        );
    }
    for port in [520, 1985, 2029, 3222] {
        let packet = ipv4(
            PLAYER_IP,
            Ipv4Addr::new(224, 0, 0, 2),
            UDP,
            &udp(port, port, b"x"),
        );
        let frame = v4_frame(MacAddr([1, 0, 0x5e, 0, 0, 2]), PLAYER, &packet);
        dropped(&frame, PlayerToLan, DropReason::RoutingProtocol);
        // A game may use the port towards a server.
        passes(&player_v4(&udp(port, port, b"x"), UDP), PlayerToLan);
    }
}

#[test]
fn group_membership_passes_outside_the_flood_budget_and_queries_do_not() {
    let igmp = |kind: u8, source: Ipv4Addr| {
        let packet = ipv4_with(
            source,
            Ipv4Addr::new(224, 0, 0, 22),
            2,
            0,
            &[148, 4, 0, 0],
            &[kind, 0, 0, 0, 239, 1, 1, 1],
        );
        v4_frame(MacAddr([1, 0, 0x5e, 0, 0, 22]), PLAYER, &packet)
    };
    for kind in [0x12, 0x16, 0x17, 0x22] {
        for source in [PLAYER_IP, Ipv4Addr::UNSPECIFIED] {
            let verdict = Room::new().verdict(&igmp(kind, source), PlayerToLan);
            assert_eq!(verdict, Ok(Spread::Membership), "{kind:#x}");
        }
    }
    dropped(
        &igmp(0x11, PLAYER_IP),
        PlayerToLan,
        DropReason::MulticastQuerier,
    );
    let mld = |kind: u8, source: Ipv6Addr| {
        let mut rest = vec![0; 4];
        rest.extend(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb).octets());
        let body = icmpv6(source, ALL_NODES, kind, &rest);
        let alert = vec![0, 0, 5, 2, 0, 0, 1, 0];
        let packet = ipv6(source, ALL_NODES, &[(0, alert)], ND, &body);
        v6_frame(MacAddr([0x33, 0x33, 0, 0, 0, 0x16]), PLAYER, &packet)
    };
    for kind in [131, 132, 143] {
        for source in [PLAYER_LL, Ipv6Addr::UNSPECIFIED] {
            let verdict = Room::new().verdict(&mld(kind, source), PlayerToLan);
            assert_eq!(verdict, Ok(Spread::Membership), "{kind}");
        }
    }
    dropped(
        &mld(130, PLAYER_LL),
        PlayerToLan,
        DropReason::MulticastQuerier,
    );
}

/// What is tried, the extension headers, what they end in, and the verdict.
type Hiding<'a> = (&'a str, Vec<(u8, Vec<u8>)>, u8, &'a [u8], DropReason);

#[test]
fn b3_every_hiding_place_of_a_router_advertisement_in_rfc_7113_is_searched() {
    let ra = router_advertisement(&[]);
    let hop = || (0, options_header(0));
    let dst = |units| (60, options_header(units));
    let frag = |offset, more| (44, fragment_header(offset, more));
    let padded = {
        let mut ra = ra.clone();
        ra.resize(24, 0);
        ra
    };
    let named = DropReason::RouterAdvertisement;
    let hidden = DropReason::MalformedIpv6;
    let cases: Vec<Hiding<'_>> = vec![
        ("plain", vec![], ND, &ra, named),
        ("RFC 7113, 2.1: hop-by-hop", vec![hop()], ND, &ra, named),
        (
            "RFC 7113, 2.1: destination options",
            vec![dst(0)],
            ND,
            &ra,
            named,
        ),
        (
            "a long destination options header",
            vec![dst(100)],
            ND,
            &ra,
            named,
        ),
        (
            "several",
            vec![hop(), dst(0), dst(3), dst(0)],
            ND,
            &ra,
            named,
        ),
        (
            "authentication header",
            vec![(51, vec![0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1])],
            ND,
            &ra,
            named,
        ),
        (
            "more headers than any packet has",
            (0..9).map(|_| dst(0)).collect(),
            ND,
            &ra,
            hidden,
        ),
        (
            "RFC 7113, 2.2: first fragment ends in the chain",
            vec![frag(0, true), dst(0)],
            ND,
            &[],
            hidden,
        ),
        (
            "RFC 7113, 2.2: destination options in the fragmentable part",
            vec![frag(0, true), dst(0)],
            ND,
            &padded,
            hidden,
        ),
        (
            "RFC 6980: fragmented",
            vec![frag(0, true)],
            ND,
            &padded,
            hidden,
        ),
        (
            "RFC 6980 and 6946: a fragment that is whole",
            vec![frag(0, false)],
            ND,
            &ra,
            hidden,
        ),
        (
            "two fragment headers",
            vec![frag(0, true), frag(0, true)],
            ND,
            &padded,
            hidden,
        ),
        (
            "overlap of the first eight bytes",
            vec![frag(1, false)],
            ND,
            &ra,
            hidden,
        ),
        (
            "unknown header",
            vec![(253, options_header(0))],
            ND,
            &ra,
            hidden,
        ),
        (
            "hop-by-hop that is not first",
            vec![dst(0), hop()],
            ND,
            &ra,
            hidden,
        ),
        (
            "routing header with segments left",
            vec![(43, vec![0, 0, 4, 1, 0, 0, 0, 0])],
            ND,
            &ra,
            hidden,
        ),
        ("IPv6 in IPv6", vec![], 41, &ra, hidden),
        ("cut off", vec![], ND, &ra[..7], hidden),
    ];
    for (what, extensions, next, body, reason) in cases {
        let frame = player_v6(&extensions, next, body);
        assert_eq!(
            Room::new().verdict(&frame, PlayerToLan),
            Err(reason),
            "{what}"
        );
        let frame = lan_v6(&extensions, next, body);
        assert_eq!(
            Room::new().verdict(&frame, LanToPlayer),
            Err(reason),
            "{what}, from the LAN"
        );
    }
}

#[test]
fn router_advertisements_cross_in_their_plain_form_where_the_host_says_so() {
    let room = Room::with_rules(Rules {
        ipv6: Ipv6Mode::Lan,
        ..Rules::default()
    });
    let ra = router_advertisement(&[]);
    assert!(room.verdict(&lan_v6(&[], ND, &ra), LanToPlayer).is_ok());
    let behind = lan_v6(&[(60, options_header(0))], ND, &ra);
    assert_eq!(
        room.verdict(&behind, LanToPlayer),
        Err(DropReason::RouterAdvertisement)
    );
    assert_eq!(
        room.verdict(&player_v6(&[], ND, &ra), PlayerToLan),
        Err(DropReason::RouterAdvertisement)
    );
}

#[test]
fn ipv6_fragments_without_discovery_pass() {
    let mut body = udp(1, 2, &[0; 1024]);
    passes(
        &player_v6(&[(44, fragment_header(0, true))], UDP, &body),
        PlayerToLan,
    );
    passes(
        &player_v6(&[(44, fragment_header(129, false))], UDP, &body),
        PlayerToLan,
    );
    body = icmpv6(PLAYER_LL, ALL_NODES, 128, &[0; 1020]);
    passes(
        &player_v6(&[(44, fragment_header(0, true))], ND, &body),
        PlayerToLan,
    );
    dropped(
        &player_v6(&[(44, fragment_header(0, true))], UDP, &[]),
        PlayerToLan,
        DropReason::MalformedIpv6,
    );
    dropped(
        &player_v6(&[(44, fragment_header(0x1FFF, false))], UDP, &[0; 16]),
        PlayerToLan,
        DropReason::MalformedIpv6,
    );
    // A later fragment that overlaps could turn the options into another chain.
    for behind in [(60, options_header(0)), (44, fragment_header(0, true))] {
        let extensions = [(44, fragment_header(0, true)), behind];
        dropped(
            &player_v6(&extensions, UDP, &udp(1, 2, &[0; 16])),
            PlayerToLan,
            DropReason::MalformedIpv6,
        );
    }
}

#[test]
fn dhcpv6_servers_are_heard_from_neither_side() {
    for (from, to) in [(547, 546), (547, 547), (5000, 546)] {
        let body = udp(from, to, &[7; 20]);
        for extensions in [
            vec![],
            vec![(0, options_header(0))],
            vec![(60, options_header(1))],
        ] {
            dropped(
                &player_v6(&extensions, UDP, &body),
                PlayerToLan,
                DropReason::DhcpServer,
            );
            dropped(
                &lan_v6(&extensions, UDP, &body),
                LanToPlayer,
                DropReason::Dhcpv6,
            );
        }
        let padded = udp(from, to, &[7; 24]);
        dropped(
            &player_v6(&[(44, fragment_header(0, true))], UDP, &padded),
            PlayerToLan,
            DropReason::MalformedIpv6,
        );
    }
    passes(&player_v6(&[], UDP, &udp(546, 547, &[1; 20])), PlayerToLan);
}

#[test]
fn neighbour_messages_name_their_senders_own_mac() {
    for kind in [135, 136] {
        let own = neighbour(kind, PLAYER_LL, PLAYER_LL, Some(PLAYER));
        passes(&player_v6(&[], ND, &own), PlayerToLan);
        let foreign = neighbour(kind, PLAYER_LL, PLAYER_LL, Some(ROUTER));
        dropped(
            &player_v6(&[], ND, &foreign),
            PlayerToLan,
            DropReason::NeighbourSpoof,
        );
        // The second of two options: receivers differ in which they take.
        let mut rest = vec![0; 4];
        rest.extend(PLAYER_LL.octets());
        for mac in [PLAYER, ROUTER] {
            rest.extend([if kind == 136 { 2 } else { 1 }, 1]);
            rest.extend(mac.octets());
        }
        let two = icmpv6(PLAYER_LL, ALL_NODES, kind, &rest);
        dropped(
            &player_v6(&[], ND, &two),
            PlayerToLan,
            DropReason::MalformedIpv6,
        );
        let mut endless = neighbour(kind, PLAYER_LL, PLAYER_LL, Some(PLAYER));
        endless[25] = 0;
        dropped(
            &player_v6(&[], ND, &endless),
            PlayerToLan,
            DropReason::MalformedIpv6,
        );
    }
    let mut solicitation = vec![0; 4];
    solicitation.extend([1, 1]);
    solicitation.extend(ROUTER.octets());
    let body = icmpv6(PLAYER_LL, ALL_NODES, 133, &solicitation);
    dropped(
        &player_v6(&[], ND, &body),
        PlayerToLan,
        DropReason::NeighbourSpoof,
    );
}

#[test]
fn only_detection_and_membership_come_from_no_address() {
    let none = Ipv6Addr::UNSPECIFIED;
    let from_none = |next: u8, body: &[u8]| {
        v6_frame(
            MacAddr::BROADCAST,
            PLAYER,
            &ipv6(none, ALL_NODES, &[], next, body),
        )
    };
    passes(
        &from_none(ND, &neighbour(135, none, PLAYER_LL, None)),
        PlayerToLan,
    );
    dropped(
        &from_none(ND, &neighbour(135, none, PLAYER_LL, Some(PLAYER))),
        PlayerToLan,
        DropReason::NeighbourSpoof,
    );
    for (next, body) in [
        (UDP, udp(1, 2, b"x")),
        (ND, icmpv6(none, ALL_NODES, 128, &[0; 4])),
        (ND, neighbour(136, none, PLAYER_LL, Some(PLAYER))),
    ] {
        dropped(&from_none(next, &body), PlayerToLan, DropReason::SourceIp);
    }
    let v4 = v4_frame(
        MacAddr::BROADCAST,
        PLAYER,
        &ipv4(
            Ipv4Addr::UNSPECIFIED,
            Ipv4Addr::BROADCAST,
            UDP,
            &udp(1, 2, b"x"),
        ),
    );
    dropped(&v4, PlayerToLan, DropReason::SourceIp);
}

#[test]
fn impossible_sources_are_refused_without_any_table() {
    for source in [
        [127, 0, 0, 1],
        [224, 0, 0, 1],
        [240, 0, 0, 1],
        [255; 4],
        [0, 0, 0, 1],
    ] {
        let packet = ipv4(source.into(), LAN_HOST_IP, 99, &[]);
        let frame = v4_frame(LAN_HOST, PLAYER, &packet);
        dropped(&frame, PlayerToLan, DropReason::SourceIp);
    }
    for source in [Ipv6Addr::LOCALHOST, ALL_NODES] {
        let packet = ipv6(source, ALL_NODES, &[], UDP, &udp(1, 2, b"x"));
        let frame = v6_frame(MacAddr::BROADCAST, PLAYER, &packet);
        dropped(&frame, PlayerToLan, DropReason::SourceIp);
    }
}

#[test]
fn the_gateway_pc_does_not_route_for_players() {
    let room = Room::at_gateway(Rules::default());
    let to = |mac, address: Ipv4Addr| {
        let packet = ipv4(PLAYER_IP, address, UDP, &udp(1, 2, b"x"));
        room.verdict(&v4_frame(mac, PLAYER, &packet), PlayerToLan)
    };
    assert!(to(GATEWAY, GATEWAY_IP).is_ok());
    for elsewhere in [
        [172, 17, 0, 2],
        [8, 8, 8, 8],
        [10, 73, 42, 10],
        [10, 73, 42, 255],
    ] {
        assert_eq!(
            to(GATEWAY, elsewhere.into()),
            Err(DropReason::HostNotAllowed)
        );
    }
    // By default the LAN's own router is a LAN host like any other.
    assert!(to(ROUTER, Ipv4Addr::new(8, 8, 8, 8)).is_ok());
}

#[test]
fn players_can_be_confined_to_listed_hosts() {
    let rules = Rules {
        allow_hosts: vec![IpAddr::V4(LAN_HOST_IP)],
        ..Rules::default()
    };
    let room = Room::at_gateway(rules);
    let send = |mac, address: Ipv4Addr, port| {
        let packet = ipv4(PLAYER_IP, address, UDP, &udp(68, port, b"x"));
        room.verdict(&v4_frame(mac, PLAYER, &packet), PlayerToLan)
    };
    assert!(send(LAN_HOST, LAN_HOST_IP, 27960).is_ok());
    assert_eq!(send(ROUTER, ROUTER_IP, 80), Err(DropReason::HostNotAllowed));
    assert!(send(OTHER_PLAYER, OTHER_PLAYER_IP, 27960).is_ok());
    // Discovery stays, and so does the renewal of a lease.
    assert!(send(MacAddr::BROADCAST, Ipv4Addr::BROADCAST, 27960).is_ok());
    assert!(send(MacAddr::BROADCAST, Ipv4Addr::new(10, 73, 42, 255), 27960).is_ok());
    let renewal = {
        let message = dhcp(1, PLAYER, Ipv4Addr::UNSPECIFIED, &[53, 1, 3]);
        let packet = udp_v4_checked((PLAYER_IP, 68), (ROUTER_IP, 67), &message);
        v4_frame(ROUTER, PLAYER, &packet)
    };
    assert!(room.verdict(&renewal, PlayerToLan).is_ok());
    let who_has = |target| arp(1, PLAYER, PLAYER_IP, target);
    assert!(room.verdict(&who_has(LAN_HOST_IP), PlayerToLan).is_ok());
    assert_eq!(
        room.verdict(&who_has(ROUTER_IP), PlayerToLan),
        Err(DropReason::HostNotAllowed)
    );
    assert!(room.verdict(&who_has(PLAYER_IP), PlayerToLan).is_ok());
}

#[test]
fn b19_players_can_be_confined_to_the_party_subnet() {
    let room = Room::at_gateway(Rules {
        party_subnet_only: true,
        ..Rules::default()
    });
    let send = |mac, address: Ipv4Addr| {
        let packet = ipv4(PLAYER_IP, address, UDP, &udp(1, 2, b"x"));
        room.verdict(&v4_frame(mac, PLAYER, &packet), PlayerToLan)
    };
    assert!(send(LAN_HOST, LAN_HOST_IP).is_ok());
    assert!(send(LAN_HOST, Ipv4Addr::new(169, 254, 3, 4)).is_ok());
    for elsewhere in [[8, 8, 8, 8], [10, 73, 43, 1]] {
        assert_eq!(
            send(ROUTER, elsewhere.into()),
            Err(DropReason::HostNotAllowed)
        );
    }
}

#[test]
fn our_loop_probe_goes_to_players_and_never_comes_from_them() {
    let probe = lanparty_l2::marker::loop_probe_frame(GATEWAY, [9; 16]);
    passes(&probe, LanToPlayer);
    let forged = lanparty_l2::marker::loop_probe_frame(PLAYER, [9; 16]);
    dropped(&forged, PlayerToLan, DropReason::EtherType);
    let other = ethernet(MacAddr::BROADCAST, LAN_HOST, 0x88B6, &[0; 46]);
    dropped(&other, LanToPlayer, DropReason::EtherType);
}

#[test]
fn a_fragment_is_judged_by_its_ethernet_header() {
    let room = Room::new();
    let header = |destination, source, ether_type| EthernetHeader {
        destination,
        source,
        ether_type: EtherType(ether_type),
    };
    let judge = |header, end, direction| {
        check_fragment_header(&header, end, direction, &room.context(direction))
    };
    let good = header(LAN_HOST, PLAYER, 0x0800);
    assert_eq!(judge(good, 1_514, PlayerToLan), Ok(Spread::Unicast));
    let group = header(MacAddr::BROADCAST, PLAYER, 0x86DD);
    assert_eq!(judge(group, 700, PlayerToLan), Ok(Spread::Flood));
    for (what, header, end, reason) in [
        ("jumbo", good, 1_515, DropReason::Oversize),
        ("runt", good, 13, DropReason::Runt),
        (
            "foreign source",
            header(LAN_HOST, OTHER_PLAYER, 0x0800),
            100,
            DropReason::SourceMac,
        ),
        (
            "tag",
            header(LAN_HOST, PLAYER, 0x8100),
            100,
            DropReason::VlanTagged,
        ),
        (
            "QinQ",
            header(LAN_HOST, PLAYER, 0x88A8),
            100,
            DropReason::VlanTagged,
        ),
        (
            "LLDP",
            header(LAN_HOST, PLAYER, 0x88CC),
            100,
            DropReason::LinkControl,
        ),
        (
            "bridge group",
            header(MacAddr([1, 0x80, 0xC2, 0, 0, 0]), PLAYER, 0x0800),
            100,
            DropReason::LinkControl,
        ),
        (
            "EtherType",
            header(LAN_HOST, PLAYER, 0x88B5),
            100,
            DropReason::EtherType,
        ),
    ] {
        assert_eq!(judge(header, end, PlayerToLan), Err(reason), "{what}");
    }
    let member = header(LAN_HOST, PLAYER, 0x0800);
    assert_eq!(
        judge(member, 100, LanToPlayer),
        Err(DropReason::MemberMacFromLan)
    );
}
