//! Protocols other than IP, compared bit by bit on the far side.

use std::time::Duration;

use anyhow::{Result, ensure};
use lanparty_lab::packet::{RawSocket, ipx_packet};
use lanparty_lab::party::{LAN, TAP};
use lanparty_lab::{Party, PartyOptions, sandbox};
use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{EtherType, EthernetHeader};

fn frame(source: MacAddr, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let header = EthernetHeader {
        destination: MacAddr::BROADCAST,
        source,
        ether_type: EtherType(ether_type),
    };
    let mut frame = header.encode().to_vec();
    frame.extend(payload);
    frame.resize(frame.len().max(60), 0);
    frame
}

/// An IEEE 802.3 frame: the EtherType field is the payload's length.
fn length_frame(source: MacAddr, payload: &[u8]) -> Vec<u8> {
    frame(
        source,
        u16::try_from(payload.len()).unwrap_or_default(),
        payload,
    )
}

fn ipx_framings(source: MacAddr) -> [(&'static str, Vec<u8>); 4] {
    let packet = ipx_packet(source, 80);
    [
        ("Ethernet II", frame(source, 0x8137, &packet)),
        ("raw 802.3", length_frame(source, &packet)),
        (
            "802.2",
            length_frame(source, &[&[0xE0, 0xE0, 0x03], &packet[..]].concat()),
        ),
        (
            "SNAP",
            length_frame(
                source,
                &[&[0xAA, 0xAA, 0x03, 0, 0, 0, 0x81, 0x37], &packet[..]].concat(),
            ),
        ),
    ]
}

fn wake_on_lan(source: MacAddr) -> Vec<u8> {
    let target = [0x00, 0x1B, 0x21, 0x12, 0x34, 0x56];
    frame(
        source,
        0x0842,
        &[&[0xFF; 6], &target.repeat(16)[..]].concat(),
    )
}

fn crosses(from: &RawSocket, to: &RawSocket, frame: &[u8]) -> Result<bool> {
    for _attempt in 0..5 {
        from.send(frame)?;
        if to
            .receive(Duration::from_millis(400), |seen| seen == frame)
            .is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
fn ipx_in_four_framings_and_wake_on_lan_cross_bit_by_bit_both_ways() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions::default())?;
        let alice = RawSocket::open(&party.players[0].node, TAP)?;
        let bob = RawSocket::open(&party.players[1].node, TAP)?;
        let host = RawSocket::open(&party.host1, LAN)?;
        let (player_mac, host_mac) = (party.players[0].node.mac(TAP)?, party.host1.mac(LAN)?);
        for (name, frame) in ipx_framings(player_mac) {
            ensure!(crosses(&alice, &host, &frame)?, "IPX {name}: player to LAN");
            ensure!(
                crosses(&alice, &bob, &frame)?,
                "IPX {name}: player to player"
            );
        }
        for (name, frame) in ipx_framings(host_mac) {
            ensure!(crosses(&host, &alice, &frame)?, "IPX {name}: LAN to player");
        }
        ensure!(
            crosses(&alice, &host, &wake_on_lan(player_mac))?,
            "Wake-on-LAN from a player"
        );
        ensure!(
            crosses(&host, &alice, &wake_on_lan(host_mac))?,
            "Wake-on-LAN from the LAN"
        );
        Ok(())
    });
}

#[test]
fn other_ethertypes_cross_only_when_the_host_allows_them() {
    sandbox::test(|| {
        for allowed in [false, true] {
            let arguments = ["--allow-ethertype", "0x88b5"].map(str::to_owned);
            let party = Party::start(PartyOptions {
                players: vec!["alice"],
                gateway_arguments: if allowed {
                    arguments.to_vec()
                } else {
                    Vec::new()
                },
                ..PartyOptions::default()
            })?;
            let alice = RawSocket::open(&party.players[0].node, TAP)?;
            let host = RawSocket::open(&party.host1, LAN)?;
            let up = frame(party.players[0].node.mac(TAP)?, 0x88B5, b"softlan up");
            let down = frame(party.host1.mac(LAN)?, 0x88B5, b"softlan down");
            ensure!(
                crosses(&alice, &host, &up)? == allowed,
                "player to LAN, allowed: {allowed}"
            );
            ensure!(
                crosses(&host, &alice, &down)? == allowed,
                "LAN to player, allowed: {allowed}"
            );
        }
        Ok(())
    });
}
