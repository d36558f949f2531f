//! Superframes go into the tunnel and come out of it, and nobody on the other
//! side ever sees a frame that a cable could not have carried.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::party::{HOST1, LAN, TAP};
use lanparty_lab::wireshark::{Capture, Found};
use lanparty_lab::{Party, PartyOptions, sandbox, superframes};
use serde_json::Value;

const COPY: usize = 8 << 20;
const DATAGRAM: u16 = 1_201;
/// Of which many fit into one datagram of the tunnel.
const SMALL: u16 = 118;
const BURSTS: usize = 20;
/// A player whose adapter joins nothing, so that what it is given can be seen
/// frame by frame.
const PLAIN: usize = 1;

#[test]
fn superframes_cross_the_party_and_wireshark_has_nothing_to_object() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            players: vec!["alice", "plain"],
            ..PartyOptions::default()
        })?;
        // Its interface cuts nothing and finishes no checksums, as many do, so
        // that the kernel does it and the LAN gets to see every frame.
        let cut_all = format!("ethtool -K {LAN} tx off tso off gso off gro off");
        party.gateway_node.sh(&cut_all)?;
        party.host1.sh(&format!("ethtool -K {LAN} gro off"))?;
        party.start_dnsmasq()?;
        party.start_relay()?;
        party.start_gateway()?;
        party.start_player(0)?;
        party.options.player_arguments.push("--no-offload".into());
        party.start_player(PLAIN)?;
        for player in &party.players {
            player.address()?;
        }
        up(&party)?;
        down(&party)
    });
}

#[test]
fn small_datagrams_of_a_burst_travel_together_and_arrive_as_they_were() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions::default())?;
        let alice = &party.players[0];
        let address = alice.address()?;
        let (one, other) = (
            (&alice.node, (address, 7_402).into()),
            (&party.host1, (HOST1, 7_402).into()),
        );
        superframes::datagrams_between(one, other, SMALL, BURSTS)?;
        for status in [alice.status()?, party.gateway_status()?] {
            let tunnel = &status["counters"];
            let (datagrams, frames) = (
                number(tunnel, "datagrams_out")?,
                number(tunnel, "frames_out")?,
            );
            ensure!(datagrams * 3 < frames, "they travelled alone: {tunnel}");
        }
        Ok(())
    });
}

/// From superframes of a player's kernel to frames on the LAN.
fn up(party: &Party) -> Result<()> {
    let alice = &party.players[0];
    let capture = Capture::of(alice.node.mac(TAP)?, &party.host1, LAN)?;
    exchange(party, 0)?;
    flawless(party, 0, &capture.finish()?)?;

    let tap = &alice.status()?["tap"];
    let (reads, read) = (number(tap, "reads")?, number(tap, "frames_in")?);
    ensure!(reads * 2 < read, "no superframes from the player: {tap}");
    let (writes, written) = (number(tap, "writes")?, number(tap, "frames_out")?);
    ensure!(
        writes * 3 < written * 2,
        "nothing joined for the player: {tap}"
    );
    let lan = &party.gateway_status()?["lan"];
    let (packets, frames) = (number(lan, "packets_out")?, number(lan, "frames_out")?);
    ensure!(
        packets * 3 < frames * 2,
        "nothing joined for the LAN: {lan}"
    );
    Ok(())
}

/// From superframes of the LAN to frames at a player.
fn down(party: &Party) -> Result<()> {
    let before = party.gateway_status()?["lan"].clone();
    let plain = &party.players[PLAIN];
    let capture = Capture::of(party.host1.mac(LAN)?, &plain.node, TAP)?;
    exchange(party, PLAIN)?;
    flawless(party, PLAIN, &capture.finish()?)?;

    let lan = &party.gateway_status()?["lan"];
    let packets = number(lan, "packets_in")? - number(&before, "packets_in")?;
    let frames = number(lan, "frames_in")? - number(&before, "frames_in")?;
    ensure!(packets * 2 < frames, "no superframes from the LAN: {lan}");
    let tap = &plain.status()?["tap"];
    let (writes, written) = (number(tap, "writes")?, number(tap, "frames_out")?);
    ensure!(writes == written, "joined in spite of --no-offload: {tap}");
    Ok(())
}

/// TCP and UDP, both ways, between a player and a LAN host.
fn exchange(party: &Party, player: usize) -> Result<()> {
    let player = &party.players[player];
    let host = &party.host1;
    let address = player.address()?;
    let at_host: SocketAddr = (HOST1, 7_402).into();
    superframes::exchange_between(&player.node, host, at_host, COPY)?;
    let (one, other) = ((&player.node, (address, 7_402).into()), (host, at_host));
    superframes::datagrams_between(one, other, DATAGRAM, BURSTS)?;
    Ok(())
}

fn flawless(party: &Party, player: usize, found: &Found) -> Result<()> {
    ensure!(found.bad.is_empty(), "Wireshark objects to {:?}", found.bad);
    let (tcp, udp) = (COPY / 1_460 / 2, BURSTS * 41 / 2);
    ensure!(
        found.tcp >= tcp as u64 && found.udp >= udp as u64,
        "hardly anything was captured: {found:?}"
    );
    for node in [&party.host1, &party.players[player].node] {
        let malformed = node.inside(superframes::malformed)?;
        ensure!(malformed.is_empty(), "{}: {malformed:?}", node.name());
    }
    Ok(())
}

fn number(status: &Value, name: &str) -> Result<u64> {
    let value = status[name].as_u64();
    value.with_context(|| format!("no {name} in {status}"))
}
