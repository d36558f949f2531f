//! What remains of a DHCP answer on its way into a player's machine.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::frames::*;
use lanparty_l2::dhcp::{
    AddressGuard, DhcpRefusal, DhcpRewrite, Lease, Message, MessageType, UnsafeAddress,
    rewrite_for_player,
};
use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;

const MASK: [u8; 6] = [1, 4, 255, 255, 255, 0];
const ACK: [u8; 3] = [53, 1, 5];

/// Ethernet, IPv4 and UDP headers.
const MESSAGE_AT: usize = 14 + 20 + 8;

fn guard() -> AddressGuard {
    AddressGuard {
        keep_outside: vec![IpAddr::V4(Ipv4Addr::new(203, 0, 113, 5))],
        home_router: Some(IpAddr::V4(Ipv4Addr::new(192, 168, 178, 1))),
        allow_public: false,
    }
}

fn ack(options: &[u8]) -> Vec<u8> {
    dhcp_answer(PLAYER, PLAYER, PLAYER_IP, &[&ACK, options].concat())
}

fn rewrite(frame: &mut [u8]) -> Result<DhcpRewrite, DhcpRefusal> {
    rewrite_for_player(frame, PLAYER, &guard())
}

fn codes(frame: &[u8]) -> Vec<u8> {
    let message = Message::parse(&frame[MESSAGE_AT..]).unwrap();
    message.options().map(|option| option.code).collect()
}

fn udp_checksum_is_right(frame: &[u8]) -> bool {
    let source = Ipv4Addr::from(<[u8; 4]>::try_from(&frame[26..30]).unwrap());
    let to = Ipv4Addr::from(<[u8; 4]>::try_from(&frame[30..34]).unwrap());
    let datagram = &frame[34..];
    finish(sum(pseudo_v4(source, to, UDP, datagram), datagram)) == 0
}

#[test]
fn nothing_but_the_address_and_its_times_reaches_the_player() {
    let mut options = MASK.to_vec();
    options.extend([3, 4, 10, 73, 42, 1]);
    options.extend([6, 4, 10, 73, 42, 1]);
    options.extend([15, 3, b'l', b'a', b'n']);
    options.extend([26, 2, 2, 64]);
    options.extend([28, 4, 10, 73, 42, 255]);
    options.extend([33, 8, 8, 8, 8, 8, 10, 73, 42, 1]);
    options.extend([51, 4, 0, 0, 0x0e, 0x10]);
    options.extend([54, 4, 10, 73, 42, 1]);
    options.extend([58, 4, 0, 0, 7, 8]);
    options.extend([59, 4, 0, 0, 0x0c, 0x4e]);
    options.extend([61, 7, 1, 2, 0, 0, 0, 0, 1]);
    options.extend([121, 5, 0, 10, 73, 42, 1]);
    options.extend([249, 5, 0, 10, 73, 42, 1]);
    options.extend([252, 4, b'h', b't', b't', b'p']);
    let mut frame = ack(&options);
    let before = frame.len();
    let outcome = rewrite(&mut frame).unwrap();
    assert_eq!(
        outcome,
        DhcpRewrite::Rewritten(Lease {
            message: MessageType::Ack,
            address: PLAYER_IP,
            prefix_len: 24,
            server: Some(ROUTER_IP),
            duration: Some(Duration::from_secs(3_600)),
        })
    );
    assert_eq!(frame.len(), before);
    assert_eq!(codes(&frame), [53, 1, 28, 51, 54, 58, 59, 61]);
    assert!(udp_checksum_is_right(&frame));
    let once = frame.clone();
    rewrite(&mut frame).unwrap();
    assert_eq!(frame, once, "a second pass changes nothing");
}

#[test]
fn every_option_but_the_ten_is_gone() {
    let stay = [1, 28, 50, 51, 53, 54, 56, 58, 59, 61];
    for code in 1..=254_u8 {
        let len = if code == 53 { 1 } else { 4 };
        let value: &[u8] = match code {
            1 => &[255, 255, 255, 0],
            28 => &[10, 255, 255, 255],
            53 => &[5],
            _ => &[0x41; 4],
        };
        let mut frame = ack(&[&[code, len], value].concat());
        rewrite(&mut frame).unwrap_or_else(|refusal| panic!("{code}: {refusal}"));
        let left = codes(&frame).contains(&code);
        assert_eq!(left, stay.contains(&code), "option {code}");
    }
}

#[test]
fn repeats_and_wrong_lengths_do_not_smuggle() {
    // RFC 3396: a client would join the two to a mask of eight bytes.
    let mut repeated = ack(&[MASK, [1, 4, 0, 0, 0, 0]].concat());
    rewrite(&mut repeated).unwrap();
    assert_eq!(codes(&repeated), [53, 1]);
    // A mask that is too short is no mask: the class's counts, and passes.
    let mut long = ack(&[1, 5, 255, 0, 0, 0, 0, 3, 4, 10, 73, 42, 1]);
    rewrite(&mut long).unwrap();
    assert_eq!(codes(&long), [53]);
    let mut two_types = ack(&[53, 1, 9]);
    rewrite(&mut two_types).unwrap();
    assert_eq!(codes(&two_types), [53]);
}

#[test]
fn overloaded_fields_and_network_boot_are_blank() {
    let mut frame = ack(&[&MASK[..], &[52, 1, 3]].concat());
    let message = &mut frame[MESSAGE_AT..];
    message[20..24].copy_from_slice(&[10, 73, 42, 66]);
    message[44..50].copy_from_slice(&[3, 4, 10, 73, 42, 1]);
    message[108..114].copy_from_slice(&[6, 4, 10, 73, 42, 1]);
    frame[40..42].copy_from_slice(&[0, 0]);
    rewrite(&mut frame).unwrap();
    assert_eq!(codes(&frame), [53, 1]);
    let message = &frame[MESSAGE_AT..];
    assert!(message[20..28].iter().all(|byte| *byte == 0));
    assert!(message[44..236].iter().all(|byte| *byte == 0));
}

#[test]
fn what_stands_behind_the_end_is_blank() {
    let mut frame = ack(&[&MASK[..], &[255, 3, 4, 10, 73, 42, 1]].concat());
    rewrite(&mut frame).unwrap();
    let options = &frame[MESSAGE_AT + 240..];
    assert_eq!(options[..10], [53, 1, 5, 1, 4, 255, 255, 255, 0, 255]);
    assert!(options[10..].iter().all(|byte| *byte == 0));
    // An option that is cut off ends the list the same way.
    let message = {
        let mut message = dhcp(2, PLAYER, PLAYER_IP, &ACK);
        message.truncate(243);
        message.extend([3, 200, 1, 2, 3]);
        message
    };
    let packet = udp_v4_checked((ROUTER_IP, 67), (PLAYER_IP, 68), &message);
    let mut cut = v4_frame(PLAYER, ROUTER, &packet);
    rewrite(&mut cut).unwrap();
    assert_eq!(cut[MESSAGE_AT + 240..], [53, 1, 5, 255, 0, 0, 0, 0]);
}

#[test]
fn an_absent_checksum_stays_absent_and_a_wrong_one_is_not_repaired() {
    let mut frame = ack(&MASK);
    frame[40..42].copy_from_slice(&[0, 0]);
    rewrite(&mut frame).unwrap();
    assert_eq!(frame[40..42], [0, 0]);
    let mut damaged = ack(&MASK);
    damaged[MESSAGE_AT + 16] ^= 1;
    assert_eq!(rewrite(&mut damaged), Err(DhcpRefusal::Malformed));
}

#[test]
fn a_checksum_that_comes_out_as_zero_is_sent_as_ones() {
    // RFC 768: zero says that there is none. One transaction id of all makes
    // the sum come out so.
    let all_ones = (0..=u16::MAX).filter(|id| {
        let mut message = dhcp(2, PLAYER, PLAYER_IP, &ACK);
        message[4..6].copy_from_slice(&id.to_be_bytes());
        let packet = udp_v4_checked((ROUTER_IP, 67), (PLAYER_IP, 68), &message);
        let mut frame = v4_frame(PLAYER, ROUTER, &packet);
        rewrite(&mut frame).unwrap();
        assert_ne!(frame[40..42], [0, 0], "{id}");
        frame[40..42] == [0xFF, 0xFF]
    });
    assert!(all_ones.count() > 0);
}

#[test]
fn bytes_between_the_udp_and_the_ip_length_are_blank() {
    let message = dhcp(2, PLAYER, PLAYER_IP, &[&ACK[..], &MASK].concat());
    let mut datagram = udp(67, 68, &message);
    datagram.extend(b"evil");
    let packet = ipv4(ROUTER_IP, PLAYER_IP, UDP, &datagram);
    let mut frame = v4_frame(PLAYER, ROUTER, &packet);
    rewrite(&mut frame).unwrap();
    assert_eq!(frame[frame.len() - 4..], [0; 4]);
}

#[test]
fn padding_behind_the_packet_is_blank() {
    let mut frame = ack(&MASK);
    frame.extend([3, 4, 10, 73, 42, 1]);
    rewrite(&mut frame).unwrap();
    assert_eq!(frame[frame.len() - 6..], [0; 6]);
}

#[test]
fn the_servers_text_cannot_reach_a_shell() {
    let text = b"() { :;}; `reboot` $(x)\n";
    let mut option = vec![56, u8::try_from(text.len()).unwrap()];
    option.extend(text);
    let mut frame = ack(&option);
    rewrite(&mut frame).unwrap();
    let message = Message::parse(&frame[MESSAGE_AT..]).unwrap();
    assert_eq!(message.option(56), Some(&b"?? ? :??? ?reboot? ??x??"[..]));
}

#[test]
fn answers_for_others_are_not_for_us() {
    for mut frame in [
        dhcp_answer(MacAddr::BROADCAST, LAN_HOST, PLAYER_IP, &ACK),
        dhcp_answer(OTHER_PLAYER, PLAYER, PLAYER_IP, &ACK),
    ] {
        let refusal = rewrite(&mut frame).unwrap_err();
        assert_eq!(refusal.reason(), DropReason::DhcpNotForUs);
    }
    let mut broadcast = dhcp_answer(MacAddr::BROADCAST, PLAYER, PLAYER_IP, &ACK);
    assert!(rewrite(&mut broadcast).is_ok());
}

#[test]
fn only_offers_acknowledgements_and_refusals_come_from_servers() {
    for (kind, passes) in [
        (1, false),
        (2, true),
        (3, false),
        (5, true),
        (6, true),
        (9, false),
    ] {
        let mut frame = dhcp_answer(PLAYER, PLAYER, PLAYER_IP, &[53, 1, kind]);
        assert_eq!(rewrite(&mut frame).is_ok(), passes, "type {kind}");
    }
    let mut bootp = dhcp_answer(PLAYER, PLAYER, PLAYER_IP, &[]);
    assert_eq!(rewrite(&mut bootp), Err(DhcpRefusal::Malformed));
    let mut request = ack(&MASK);
    request[MESSAGE_AT] = 1;
    request[40..42].copy_from_slice(&[0, 0]);
    assert_eq!(rewrite(&mut request), Err(DhcpRefusal::Unexpected));
}

#[test]
fn other_frames_are_left_alone() {
    for frame in [
        arp(1, LAN_HOST, LAN_HOST_IP, PLAYER_IP),
        v4_frame(
            PLAYER,
            LAN_HOST,
            &ipv4(LAN_HOST_IP, PLAYER_IP, UDP, &udp(53, 5353, b"x")),
        ),
        dhcp_request(PLAYER, &[53, 1, 1]),
    ] {
        let mut same = frame.clone();
        assert_eq!(rewrite(&mut same), Ok(DhcpRewrite::NotDhcp));
        assert_eq!(same, frame);
    }
}

#[test]
fn a_broadcast_address_that_is_not_the_subnets_goes() {
    for (broadcast, stays) in [
        ([10, 73, 42, 255], true),
        ([8, 8, 8, 8], false),
        ([10, 73, 42, 10], false),
        ([10, 73, 43, 255], false),
    ] {
        let mut frame = ack(&[&MASK[..], &[28, 4], &broadcast].concat());
        rewrite(&mut frame).unwrap();
        assert_eq!(codes(&frame).contains(&28), stays, "{broadcast:?}");
    }
}

#[test]
fn addresses_that_would_disturb_the_players_network_are_refused() {
    let offer = |address: [u8; 4], mask: [u8; 4]| guard().check(address.into(), Some(mask.into()));
    for (address, mask, prefix_len) in [
        ([10, 1, 2, 3], [255, 0, 0, 0], 8),
        ([172, 16, 2, 3], [255, 255, 0, 0], 16),
        ([192, 168, 1, 3], [255, 255, 255, 0], 24),
        ([169, 254, 1, 3], [255, 255, 0, 0], 16),
        ([192, 168, 1, 3], [255, 255, 255, 255], 32),
    ] {
        assert_eq!(offer(address, mask), Ok(prefix_len), "{address:?}");
    }
    let not_private = |address| matches!(address, Err(UnsafeAddress::NotPrivate { .. }));
    assert!(not_private(offer([8, 8, 8, 8], [255, 255, 255, 0])));
    assert!(not_private(offer([172, 32, 0, 1], [255, 255, 255, 0])));
    assert!(not_private(offer([0, 0, 0, 0], [255, 255, 255, 0])));
    let too_short = |address| matches!(address, Err(UnsafeAddress::MaskTooShort { .. }));
    assert!(too_short(offer([10, 1, 2, 3], [254, 0, 0, 0])));
    assert!(too_short(offer([10, 1, 2, 3], [0, 0, 0, 0])));
    assert!(too_short(offer([192, 168, 1, 3], [255, 254, 0, 0])));
    assert!(too_short(offer([172, 16, 1, 3], [255, 0, 0, 0])));
    assert!(matches!(
        offer([192, 168, 1, 3], [255, 0, 255, 0]),
        Err(UnsafeAddress::BrokenMask { .. })
    ));
    assert!(matches!(
        offer([192, 168, 178, 30], [255, 255, 255, 0]),
        Err(UnsafeAddress::CoversHomeRouter { .. })
    ));
    assert!(matches!(
        offer([192, 168, 1, 30], [255, 255, 0, 0]),
        Err(UnsafeAddress::CoversHomeRouter { .. })
    ));
}

#[test]
fn the_relay_stays_outside_even_where_public_addresses_are_allowed() {
    let open = AddressGuard {
        allow_public: true,
        ..guard()
    };
    let mask = Some(Ipv4Addr::new(255, 255, 255, 0));
    assert_eq!(open.check(Ipv4Addr::new(198, 51, 100, 9), mask), Ok(24));
    let same_net = Ipv4Addr::new(203, 0, 113, 9);
    assert!(matches!(
        open.check(same_net, mask),
        Err(UnsafeAddress::CoversRelay { .. })
    ));
    let mapped = AddressGuard {
        keep_outside: vec![IpAddr::V6(Ipv4Addr::new(203, 0, 113, 5).to_ipv6_mapped())],
        ..open
    };
    assert!(
        mapped.check(same_net, mask).is_err(),
        "from a dual-stack socket"
    );
}

#[test]
fn without_a_mask_the_class_decides_what_is_covered() {
    let in_ten = AddressGuard {
        keep_outside: vec![IpAddr::V4(Ipv4Addr::new(10, 200, 0, 1))],
        ..AddressGuard::default()
    };
    let mut frame = ack(&[]);
    let refusal = rewrite_for_player(&mut frame, PLAYER, &in_ten).unwrap_err();
    assert_eq!(refusal.reason(), DropReason::DhcpUnsafe);
    assert!(refusal.to_string().contains("another subnet"), "{refusal}");
}
