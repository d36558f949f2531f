//! Invariant I7: what a killed program left is undone by `cleanup`, and by the
//! next start.

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::party::TAP;
use lanparty_lab::{Party, PartyOptions, programs, sandbox};

fn network(party: &Party) -> Result<String> {
    party.players[0]
        .node
        .sh("ip -br link; ip -br addr | grep -v fe80; ip route show table all; ip rule")
}

#[test]
fn cleanup_undoes_what_a_killed_client_left() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            players: vec!["alice"],
            ..PartyOptions::default()
        })?;
        std::thread::sleep(std::time::Duration::from_secs(2));
        let before = network(&party)?;
        party.start_dnsmasq()?;
        party.start_relay()?;
        party.start_gateway()?;
        party.start_player(0)?;
        party.players[0].address()?;
        ensure!(
            network(&party)? != before,
            "the client changed nothing, so this proves nothing"
        );
        party.players[0]
            .client
            .as_mut()
            .context("no client")?
            .kill()?;
        let alice = &party.players[0];
        let client = programs::find("lanparty-client")?;
        let said = alice.node.sh(&format!(
            "{} cleanup --state-dir {}",
            client.display(),
            alice.state().display()
        ))?;
        ensure!(
            network(&party)? == before,
            "cleanup said {said}\nbefore:\n{before}\nafter:\n{}",
            network(&party)?
        );
        ensure!(
            alice
                .node
                .sh("ps -o stat= -C udhcpc | grep -v Z || true")?
                .is_empty(),
            "the DHCP client outlived us"
        );
        Ok(())
    });
}

#[test]
fn the_next_start_after_a_kill_just_works() {
    sandbox::test(|| {
        let mut party = Party::start(PartyOptions {
            players: vec!["alice"],
            ..PartyOptions::default()
        })?;
        let address = party.players[0].address()?;
        party.players[0]
            .client
            .as_mut()
            .context("no client")?
            .kill()?;
        ensure!(
            party.players[0].node.ipv4(TAP).is_err(),
            "the TAP outlived its owner"
        );
        party.start_player(0)?;
        ensure!(party.players[0].address()? == address);
        party.gateway.as_mut().context("no gateway")?.kill()?;
        party.start_gateway()?;
        lanparty_lab::traffic::ping(&party.players[0].node, lanparty_lab::party::HOST1.into(), 3)?;
        Ok(())
    });
}
