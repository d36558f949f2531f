//! A room with a key: everything works, and the relay holds nothing of it.

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::party::{HOST1, Player};
use lanparty_lab::{Party, PartyOptions, sandbox, traffic};
use serde_json::Value;

use crate::party;

fn sealed(players: Vec<&'static str>) -> PartyOptions {
    PartyOptions {
        keyed: true,
        players,
        ..PartyOptions::default()
    }
}

fn number(player: &Player, pointer: &str) -> Result<u64> {
    let status = player.status()?;
    let value = status.pointer(pointer).and_then(Value::as_u64);
    Ok(value.unwrap_or(0))
}

/// Leases, pings, discovery, TCP: what `cargo xtask party --once` checks.
#[test]
fn every_check_of_the_party_passes_in_a_sealed_room() {
    sandbox::test(|| {
        let party = Party::start(sealed(vec!["alice", "bob"]))?;
        party::all_pass(&party)?;
        let [alice, bob] = &party.players[..] else {
            anyhow::bail!("nobody came")
        };
        traffic::copy(&alice.node, &party.host1, (HOST1, 7000).into(), 20_000_000)?;
        let address = (bob.address()?, 7001).into();
        traffic::copy(&alice.node, &bob.node, address, 20_000_000)?;
        for player in [alice, bob] {
            for reason in ["seal_forged", "seal_replayed", "clear_in_sealed_room"] {
                let count = number(player, &format!("/drops/{reason}"))?;
                ensure!(count == 0, "{}: {count} {reason}", player.name());
            }
            for peer in player.status()?["peers"].as_array().context("no peers")? {
                ensure!(peer["standing"] == "verified", "{peer}");
            }
        }
        Ok(())
    });
}

/// Invariant I8, where the relay splits frames that it cannot read.
#[test]
fn full_size_frames_cross_a_sealed_room_on_paths_of_1500_and_1280_bytes() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions {
            player_mtu: vec![1500, 1280],
            ..sealed(vec!["wide", "narrow"])
        })?;
        for (number_of_player, player) in party.players.iter().enumerate() {
            let port = 7300 + u16::try_from(number_of_player)?;
            let target = (player.address()?, port).into();
            let arrived = traffic::udp(&party.host1, &player.node, target, 1_472, 20)?;
            ensure!(arrived == 20, "{}: {arrived} of 20", player.name());
            let fragments = number(player, "/counters/fragments_in")?;
            ensure!(fragments > 0, "{}: no fragments", player.name());
        }
        let [wide, narrow] = &party.players[..] else {
            anyhow::bail!("nobody came")
        };
        for (from, to) in [(wide, narrow), (narrow, wide)] {
            let target = (to.address()?, 7310).into();
            let arrived = traffic::udp(&from.node, &to.node, target, 1_316, 10)?;
            ensure!(arrived == 10, "to {}: {arrived} of 10", to.name());
        }
        // TCP asks for segments that fit one sealed datagram of the path.
        for player in &party.players {
            traffic::copy(&player.node, &party.host1, (HOST1, 7320).into(), 2_000_000)?;
            let before = number(player, "/counters/fragments_out")?;
            traffic::copy(&player.node, &party.host1, (HOST1, 7321).into(), 5_000_000)?;
            let fragments = number(player, "/counters/fragments_out")? - before;
            ensure!(fragments < 20, "{}: {fragments} fragments", player.name());
        }
        Ok(())
    });
}

const MARKER: &[u8; 33] = b"knight to f6 and then queen to g5";

/// Says the marker through the room again and again.
fn say_it(from: &Player, to: SocketAddr) -> Result<()> {
    from.node.inside(|| {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        let payload = MARKER.repeat(30);
        for _ in 0..500 {
            // Nobody listens, so that an ICMP error may come back.
            let _refused = socket.send_to(&payload, to);
        }
        Ok(())
    })
}

/// How often the marker stands anywhere in a process's memory.
fn in_memory(pid: u32) -> Result<usize> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut found = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let range = line
            .split_once(' ')
            .and_then(|(range, _)| range.split_once('-'));
        let (start, end) = range.context("no range")?;
        let start = u64::from_str_radix(start, 16)?;
        let length = usize::try_from(u64::from_str_radix(end, 16)? - start)?;
        let mut bytes = vec![0; length];
        // Some mappings cannot be read; what a program keeps can.
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            let (first, rest) = (MARKER[0], &MARKER[1..]);
            let after = bytes.split(|byte| *byte == first).skip(1);
            found += after.filter(|after| after.starts_with(rest)).count();
        }
    }
    Ok(found)
}

/// Says the marker to a LAN host and looks for it in the relay.
fn found_in_the_relay(options: PartyOptions) -> Result<usize> {
    let party = Party::start(options)?;
    let [alice] = &party.players[..] else {
        anyhow::bail!("nobody came")
    };
    traffic::ping(&alice.node, HOST1.into(), 3)?;
    say_it(alice, (HOST1, 7777).into())?;
    let relay = party.relay.as_ref().context("no relay")?;
    in_memory(relay.pid())
}

#[test]
fn a5_what_players_say_is_nowhere_in_the_relays_memory() {
    sandbox::test(|| {
        let found = found_in_the_relay(sealed(vec!["alice"]))?;
        ensure!(found == 0, "the relay knows it {found} times");
        Ok(())
    });
}

/// What makes the search above worth something.
#[test]
fn in_a_room_without_a_key_the_relay_knows_what_players_say() {
    sandbox::test(|| {
        let found = found_in_the_relay(PartyOptions {
            keyed: false,
            ..sealed(vec!["alice"])
        })?;
        ensure!(found > 0, "the search finds nothing");
        Ok(())
    });
}
