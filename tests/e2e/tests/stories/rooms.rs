//! Invariant I1: a frame never leaves its room.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::packet::{RawSocket, ipx_ethernet_ii};
use lanparty_lab::party::{LAN, TAP, WAN};
use lanparty_lab::{Node, Party, PartyOptions, programs, sandbox};

#[test]
fn two_rooms_on_one_relay_never_hear_each_other() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            players: vec!["alice", "bob", "carol", "dave"],
            player_arguments: Vec::new(),
            ..PartyOptions::default()
        })?;
        party.start_relay()?;
        party.start_player(0)?;
        party.start_player(1)?;
        party.options.room = "OTHER".to_owned();
        party.start_player(2)?;
        party.start_player(3)?;

        let raw: Vec<RawSocket> = party
            .players
            .iter()
            .map(|player| RawSocket::open(&player.node, TAP))
            .collect::<Result<_>>()?;
        for (shouter, neighbour) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
            let source = party.players[shouter].node.mac(TAP)?;
            let frame = ipx_ethernet_ii(source, 40 + shouter);
            for _repeat in 0..5 {
                raw[shouter].send(&frame)?;
            }
            let limit = Duration::from_secs(2);
            ensure!(
                raw[neighbour]
                    .receive(limit, |seen| seen == frame)
                    .is_some(),
                "{neighbour} did not hear its own room"
            );
            for stranger in (0..4).filter(|number| *number != shouter && *number != neighbour) {
                let heard = raw[stranger].collect(Duration::from_millis(300), |seen| seen == frame);
                ensure!(heard.is_empty(), "{stranger} heard {shouter}'s room");
            }
        }
        Ok(())
    });
}

#[test]
fn a_room_has_one_gateway_and_the_second_is_told() {
    sandbox::test(|| {
        let mut party = Party::start(PartyOptions {
            players: Vec::new(),
            ..PartyOptions::default()
        })?;
        let second = Node::new("second")?;
        party.internet.plug(&second, WAN, 1500)?;
        party.switch.plug(&second, LAN, 1500)?;
        second.sh(&format!(
            "ip addr add 198.51.100.3/24 dev {WAN} && ip addr add 10.73.42.3/24 dev {LAN}"
        ))?;
        let mut command = second.command(programs::find("lanparty-gateway")?);
        command
            .args(party.member_arguments())
            .args(["--iface", LAN, "--state-dir", "/mnt/second"]);
        let mut gateway = second.spawn_command(command, "gateway")?;
        let status = gateway.wait(Duration::from_secs(20))?;
        let log = gateway.log();
        ensure!(status.code() == Some(10), "{status}\n{log}");
        ensure!(log.contains("gateway"), "{log}");
        let first = party.gateway.as_mut().context("no gateway")?;
        ensure!(
            first.ended().is_none(),
            "the first gateway ended:\n{}",
            first.log()
        );
        Ok(())
    });
}
