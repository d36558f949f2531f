//! What a player's session lets in and out of its machine.

use lanparty_client_core::SessionEvent;
use lanparty_l2::dhcp::AddressGuard;
use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;

use crate::frames::{checksum, lan_frame};
use crate::harness::{BUDGET, Member, gateway_info, mac, peer, player_info};

pub(crate) const LAN_HOST: MacAddr = MacAddr([0, 1, 2, 3, 4, 5]);

/// Player 2 with a gateway (1) and a fellow player (3) in its room.
fn player() -> Member {
    let mut player = Member::player(2).joined(2);
    player.introduce(gateway_info(1));
    player.introduce(player_info(3));
    player
}

fn from(sender: u16, frame: &[u8]) -> Vec<u8> {
    let [high, low] = sender.to_be_bytes();
    [&[0x11, 0, high, low, 0, 0], frame].concat()
}

fn arp(source: MacAddr, sender: [u8; 4]) -> Vec<u8> {
    let mut frame = [&[0xFF; 6], &source.octets()[..], &[8, 6]].concat();
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(source.octets());
    frame.extend(sender);
    frame.extend([0; 6]);
    frame.extend([10, 0, 0, 99]);
    frame.resize(60, 0);
    frame
}

/// A TCP SYN of the LAN host that announces an MSS of 1,460.
pub(crate) fn syn(to: MacAddr, from: MacAddr, addresses: [[u8; 4]; 2]) -> Vec<u8> {
    let mut frame = [&to.octets()[..], &from.octets(), &[8, 0]].concat();
    let mut ip = vec![0x45, 0, 0, 44, 0, 1, 0, 0, 64, 6, 0, 0];
    ip.extend(addresses.concat());
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut tcp = vec![
        0, 80, 0, 90, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 255, 255, 0, 0, 0, 0,
    ];
    tcp.extend([2, 4, 5, 0xB4]);
    frame.extend(ip);
    frame.extend(tcp);
    frame.resize(60, 0);
    frame
}

pub(crate) fn mss(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[56], frame[57]])
}

/// A DHCP offer of `address` with a router and a domain name server.
fn offer(address: [u8; 4], chaddr: MacAddr) -> Vec<u8> {
    let mut dhcp = vec![2, 1, 6, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0];
    dhcp.extend(address);
    dhcp.extend([0; 8]);
    dhcp.extend(chaddr.octets());
    dhcp.resize(236, 0);
    dhcp.extend([99, 130, 83, 99, 53, 1, 2, 1, 4, 255, 255, 255, 0]);
    dhcp.extend([
        3, 4, 10, 0, 0, 1, 6, 4, 10, 0, 0, 1, 54, 4, 10, 0, 0, 1, 255,
    ]);
    let udp_len = (dhcp.len() + 8) as u16;
    let mut ip = vec![
        0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 255, 255, 255, 255,
    ];
    ip[2..4].copy_from_slice(&(udp_len + 20).to_be_bytes());
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut frame = [&[0xFF; 6], &LAN_HOST.octets()[..], &[8, 0]].concat();
    frame.extend(ip);
    frame.extend([0, 67, 0, 68]);
    frame.extend(udp_len.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(dhcp);
    frame
}

#[test]
fn only_the_players_own_mac_goes_out() {
    let mut player = player();
    assert_eq!(player.send(&arp(mac(2), [10, 0, 0, 2]), BUDGET), Ok(()));
    let foreign = arp(mac(9), [10, 0, 0, 2]);
    assert_eq!(player.send(&foreign, BUDGET), Err(DropReason::SourceMac));
    assert_eq!(player.session.drops().get(DropReason::SourceMac), 1);
}

#[test]
fn a_fellow_player_cannot_speak_for_a_lan_host() {
    let mut player = player();
    player
        .receive(&from(1, &arp(LAN_HOST, [10, 0, 0, 1])))
        .unwrap();
    let forged = from(3, &arp(mac(3), [10, 0, 0, 1]));
    assert_eq!(player.receive(&forged), Err(DropReason::ArpSpoof));
    let honest = from(3, &arp(mac(3), [10, 0, 0, 3]));
    assert_eq!(player.receive(&honest), Ok(()));
    let stolen = from(3, &arp(mac(2), [10, 0, 0, 3]));
    assert_eq!(player.receive(&stolen), Err(DropReason::SourceMac));
}

#[test]
fn the_lan_cannot_speak_with_a_players_mac() {
    let mut player = player();
    for last in [2, 3] {
        let looped = from(1, &arp(mac(last), [10, 0, 0, 3]));
        assert_eq!(player.receive(&looped), Err(DropReason::MemberMacFromLan));
    }
}

#[test]
fn unicast_for_somebody_else_stays_out() {
    let mut player = player();
    let mut frame = lan_frame(100);
    frame[5] = 9;
    let result = player.receive(&from(1, &frame));
    assert_eq!(result, Err(DropReason::NoSuchPeer));
}

#[test]
fn handshakes_are_clamped_both_ways() {
    let mut player = player();
    let request = syn(LAN_HOST, mac(2), [[10, 0, 0, 2], [10, 0, 0, 1]]);
    player.send(&request, 1_234).unwrap();
    assert_eq!(mss(&player.datagrams[0][6..]), 1_234 - 6 - 14 - 40);
    let answer = syn(mac(2), LAN_HOST, [[10, 0, 0, 1], [10, 0, 0, 2]]);
    player.receive(&from(1, &answer)).unwrap();
    assert_eq!(usize::from(mss(&player.frames[0].0)), BUDGET - 6 - 14 - 40);
}

#[test]
fn a_lease_comes_in_without_router_and_name_server() {
    let mut player = player();
    let offer = offer([10, 0, 0, 7], mac(2));
    player.receive(&from(1, &offer)).unwrap();
    let (frame, source) = &player.frames[0];
    assert_eq!((frame.len(), *source), (offer.len(), peer(1)));
    let options = &frame[14 + 20 + 8 + 240..];
    assert!(!options.windows(2).any(|o| o == [3, 4] || o == [6, 4]));
    let Some(SessionEvent::Lease(lease)) = player.events.last() else {
        panic!("{:?}", player.events)
    };
    assert_eq!(
        (lease.address.octets(), lease.prefix_len),
        ([10, 0, 0, 7], 24)
    );
}

#[test]
fn an_offer_that_covers_the_relay_is_refused_and_told() {
    let mut player = player();
    player.session.set_address_guard(AddressGuard {
        keep_outside: vec![[10, 0, 0, 200].into()],
        ..AddressGuard::default()
    });
    let result = player.receive(&from(1, &offer([10, 0, 0, 7], mac(2))));
    assert_eq!(result, Err(DropReason::DhcpUnsafe));
    let Some(SessionEvent::AddressRefused(refused)) = player.events.last() else {
        panic!("{:?}", player.events)
    };
    assert!(refused.to_string().contains("relay"), "{refused}");
}

#[test]
fn a_lease_for_another_player_stays_out() {
    let mut player = player();
    let result = player.receive(&from(1, &offer([10, 0, 0, 7], mac(3))));
    assert_eq!(result, Err(DropReason::DhcpNotForUs));
}

#[test]
fn a_priority_tag_is_stripped_both_ways() {
    let mut player = player();
    let mut tagged = arp(mac(2), [10, 0, 0, 2]);
    tagged.splice(12..12, [0x81, 0, 0xE0, 0]);
    player.send(&tagged, BUDGET).unwrap();
    assert_eq!(player.datagrams[0][6..], arp(mac(2), [10, 0, 0, 2]));
    let mut tagged = lan_frame(100);
    tagged.splice(12..12, [0x81, 0, 0xE0, 0]);
    player.receive(&from(1, &tagged)).unwrap();
    assert_eq!(player.frames[0].0, lan_frame(100));
}
