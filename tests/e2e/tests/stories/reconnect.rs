//! Relays die, gateways leave, and everything comes back.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::party::{HOST1, TAP};
use lanparty_lab::{Party, PartyOptions, sandbox, traffic, wait};
use rustix::process::Signal;

fn peer_ids(party: &Party) -> Result<Vec<(String, u64)>> {
    let rooms = party.rooms()?;
    let members = rooms
        .pointer("/rooms/0/members")
        .and_then(|members| members.as_array());
    let mut ids: Vec<_> = members
        .context("no members")?
        .iter()
        .filter_map(|member| {
            Some((
                member.get("name")?.as_str()?.to_owned(),
                member.get("peer")?.as_u64()?,
            ))
        })
        .collect();
    ids.sort();
    Ok(ids)
}

#[test]
fn a_killed_relay_comes_back_with_the_same_peers_within_five_seconds() {
    sandbox::test(|| {
        let mut party = Party::start(PartyOptions::default())?;
        let before = peer_ids(&party)?;
        ensure!(before.len() == 3, "{before:?}");
        let address = party.players[0].address()?;
        party.players[1].address()?;
        party.relay.as_mut().context("no relay")?.kill()?;
        // Longer than a hiccup, shorter than an evening.
        std::thread::sleep(Duration::from_secs(8));
        for player in &mut party.players {
            let client = player.client.as_mut().context("no client")?;
            ensure!(
                client.ended().is_none(),
                "{} ended:\n{}",
                client.name(),
                client.log()
            );
            let flags = player
                .node
                .sh(&format!("cat /sys/class/net/{TAP}/operstate"))?;
            ensure!(flags.trim() != "down", "the TAP went {flags}");
            ensure!(player.node.ipv4(TAP)? == Some(player.address()?));
        }
        party.start_relay()?;
        let back = wait::now();
        wait::until("frames to flow again", Duration::from_secs(5), || {
            traffic::ping(&party.players[0].node, HOST1.into(), 1).ok()
        })?;
        eprintln!(
            "frames flowed {:?} after the relay's return",
            back.elapsed()
        );
        wait::until(
            "everybody to be back with the same id",
            Duration::from_secs(5),
            || (peer_ids(&party).ok()? == before).then_some(()),
        )
        .with_context(|| format!("before {before:?}, after {:?}", peer_ids(&party)))?;
        ensure!(party.players[0].address()? == address, "the lease changed");
        Ok(())
    });
}

#[test]
fn a_relay_that_is_gone_is_announced_in_plain_words() {
    sandbox::test(|| {
        let mut party = Party::start(PartyOptions {
            players: vec!["alice"],
            ..PartyOptions::default()
        })?;
        party.relay.as_mut().context("no relay")?.interrupt()?;
        let client = party.players[0].client.as_mut().context("no client")?;
        client.wait_for("relay", Duration::from_secs(5))?;
        wait::until(
            "the client to say that it dials again",
            Duration::from_secs(40),
            || {
                let log = client.log().to_lowercase();
                (log.contains("again") || log.contains("retry")).then_some(())
            },
        )
    });
}

#[test]
fn the_gateway_leaves_and_returns_while_players_stay() {
    sandbox::test(|| {
        let mut party = Party::start(PartyOptions::default())?;
        let bob = party.players[1].address()?;
        party.gateway.as_mut().context("no gateway")?.interrupt()?;
        traffic::ping(&party.players[0].node, bob.into(), 3)
            .context("players without a gateway")?;
        ensure!(
            traffic::ping(&party.players[0].node, HOST1.into(), 1).is_err(),
            "the LAN answers without a gateway"
        );
        party.start_gateway()?;
        wait::until("the LAN to answer again", Duration::from_secs(5), || {
            traffic::ping(&party.players[0].node, HOST1.into(), 1).ok()
        })?;
        Ok(())
    });
}

#[test]
fn a_closed_terminal_ends_gateway_and_client_with_a_farewell() {
    sandbox::test(|| {
        let mut party = Party::start(PartyOptions {
            players: vec!["alice"],
            ..PartyOptions::default()
        })?;
        let client = party.players[0].client.as_mut();
        for process in [client, party.gateway.as_mut()] {
            let process = process.context("a program does not run")?;
            process.signal(Signal::HUP)?;
            let status = process.wait(Duration::from_secs(5))?;
            ensure!(status.success(), "{status}\n{}", process.log());
        }
        // Without a farewell the room would keep both for the idle timeout.
        let rooms = party.rooms()?;
        ensure!(rooms.pointer("/rooms/0").is_none(), "{rooms}");
        Ok(())
    });
}

#[test]
fn a_killed_players_ghost_is_replaced_at_once() {
    sandbox::test(|| {
        let mut party = Party::start(PartyOptions::default())?;
        let before = peer_ids(&party)?;
        let client = party.players[0].client.as_mut().context("no client")?;
        client.kill()?;
        party.start_player(0)?;
        ensure!(
            peer_ids(&party)? == before,
            "{before:?} became {:?}",
            peer_ids(&party)?
        );
        Ok(())
    });
}
