//! Invariant I8: full-size frames cross whatever the path's MTU.

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::party::{HOST1, Player};
use lanparty_lab::{Party, PartyOptions, sandbox, traffic};
use serde_json::Value;

fn fragments(player: &Player, counter: &str) -> Result<u64> {
    let status = player.status()?;
    status
        .pointer(&format!("/counters/{counter}"))
        .and_then(Value::as_u64)
        .with_context(|| format!("no {counter} in {status}"))
}

fn party() -> Result<Party> {
    Party::start(PartyOptions {
        players: vec!["wide", "middle", "narrow"],
        player_mtu: vec![1500, 1400, 1280],
        ..PartyOptions::default()
    })
}

#[test]
fn full_size_frames_cross_on_paths_of_1500_1400_and_1280_bytes() {
    sandbox::test(|| {
        let party = party()?;
        for (number, player) in party.players.iter().enumerate() {
            let port = 7300 + u16::try_from(number)?;
            let arrived = traffic::udp(
                &party.host1,
                &player.node,
                (player.address()?, port).into(),
                1_472,
                20,
            )?;
            ensure!(
                arrived == 20,
                "{}: {arrived} of 20 full-size datagrams",
                player.name()
            );
            ensure!(
                fragments(player, "fragments_in")? > 0,
                "{}: a 1,514-byte frame cannot have come in one datagram",
                player.name()
            );
        }
        for from in &party.players {
            for to in party.players.iter().filter(|to| to.name() != from.name()) {
                let arrived = traffic::udp(
                    &from.node,
                    &to.node,
                    (to.address()?, 7310).into(),
                    1_316,
                    10,
                )?;
                ensure!(
                    arrived == 10,
                    "{} to {}: {arrived} of 10",
                    from.name(),
                    to.name()
                );
            }
        }
        Ok(())
    });
}

#[test]
fn players_tcp_uses_single_datagrams_on_every_path() {
    sandbox::test(|| {
        let party = party()?;
        for player in &party.players {
            // Let path MTU discovery settle, then count only the copy.
            traffic::copy(&player.node, &party.host1, (HOST1, 7320).into(), 2_000_000)?;
            let before = (
                fragments(player, "fragments_in")?,
                fragments(player, "fragments_out")?,
            );
            traffic::copy(&player.node, &party.host1, (HOST1, 7321).into(), 5_000_000)?;
            traffic::copy(
                &party.host1,
                &player.node,
                (player.address()?, 7322).into(),
                5_000_000,
            )?;
            let after = (
                fragments(player, "fragments_in")?,
                fragments(player, "fragments_out")?,
            );
            ensure!(
                after.0 - before.0 < 20 && after.1 - before.1 < 20,
                "{}: fragments went from {before:?} to {after:?}",
                player.name()
            );
        }
        Ok(())
    });
}
