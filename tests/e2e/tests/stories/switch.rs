//! What the party's switch sees of remote players.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use lanparty_lab::packet::RawSocket;
use lanparty_lab::party::{LAN, TAP};
use lanparty_lab::{Party, PartyOptions, sandbox, wait};

/// EtherType of the gateway's own frames (docs/protocol.md).
const OWN_FRAMES: [u8; 2] = [0x88, 0xB6];

#[test]
fn the_switch_is_reminded_of_a_silent_player() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions {
            players: vec!["alice"],
            gateway_arguments: ["--cam-refresh", "2"].map(str::to_owned).to_vec(),
            ..PartyOptions::default()
        })?;
        let mac = party.players[0].node.mac(TAP)?;
        // The first reminder comes with the player; the ones after it matter.
        std::thread::sleep(Duration::from_secs(1));
        // Addressed to the gateway's own NIC, a reminder goes no further than
        // the switch's port, so that is where to listen.
        let port = RawSocket::open(party.switch.switch(), &party.gateway_port)?;
        let is_reminder = |frame: &[u8]| {
            frame.get(6..12) == Some(&mac.octets()[..])
                && frame.get(12..14) == Some(&OWN_FRAMES[..])
        };
        let reminders = port.collect(Duration::from_secs(7), is_reminder);
        ensure!(reminders.len() >= 2, "{} reminders in 7 s", reminders.len());
        ensure!(reminders.len() <= 5, "{} reminders in 7 s", reminders.len());

        party
            .switch
            .switch()
            .sh("ip link set br0 type bridge fdb_flush")?;
        let known = wait::until(
            "the switch to know the player",
            Duration::from_secs(5),
            || party.switch.port_of(mac).ok().flatten(),
        )?;
        ensure!(known == party.gateway_port, "the player is behind {known}");
        Ok(())
    });
}

#[test]
fn a_player_that_left_is_no_longer_refreshed() {
    sandbox::test(|| {
        let mut party = Party::start(PartyOptions {
            players: vec!["alice"],
            gateway_arguments: ["--cam-refresh", "1"].map(str::to_owned).to_vec(),
            ..PartyOptions::default()
        })?;
        let mac = party.players[0].node.mac(TAP)?;
        party.players[0]
            .client
            .as_mut()
            .context("no client")?
            .interrupt()?;
        let ear = RawSocket::open(&party.host1, LAN)?;
        std::thread::sleep(Duration::from_millis(300));
        party
            .switch
            .switch()
            .sh("ip link set br0 type bridge fdb_flush")?;
        let heard = ear.collect(Duration::from_secs(3), |frame| {
            frame.get(6..12) == Some(&mac.octets()[..])
        });
        ensure!(
            heard.is_empty(),
            "{} frames with the MAC of a player that left",
            heard.len()
        );
        ensure!(party.switch.port_of(mac)?.is_none());
        Ok(())
    });
}

/// The LAN's own hosts must stay behind their own ports, whatever we inject.
#[test]
fn b9_no_lan_host_ever_moves_to_the_gateways_port() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions::default())?;
        lanparty_lab::checks::run(&party, |_| ());
        for host in [&party.host1, &party.host2] {
            let port = party.switch.port_of(host.mac(LAN)?)?;
            ensure!(
                port.is_some() && port.as_deref() != Some(&party.gateway_port),
                "{}: {port:?}",
                host.name()
            );
        }
        Ok(())
    });
}
