//! The computer's own internet changes in the middle of a game.

use anyhow::{Context as _, ensure};
use lanparty_lab::party::{HOME_ROUTER, TAP, WAN};
use lanparty_lab::windows::story;
use lanparty_lab::{sandbox, traffic, wait};

use crate::evening::{Evening, PATIENCE, wait_for_lan};

#[test]
fn a_game_goes_on_when_the_computers_internet_address_changes() {
    sandbox::test(|| {
        story(|rig| {
            let mut evening = Evening::joined(rig)?;
            wait_for_lan(&evening)?;
            let lease = evening.node()?.ipv4(TAP)?.context("no lease")?;
            let before = evening.party.rooms()?;
            let peer = "/rooms/0/members/1/peer";
            ensure!(before.pointer(peer).is_some(), "{before}");

            evening.node()?.sh(&format!(
                "ip addr flush dev {WAN} && ip addr add 198.51.100.77/24 dev {WAN} && ip route add default via {HOME_ROUTER}"
            ))?;
            let client = evening.windows.client.as_mut().context("no client")?;
            client.wait_for(
                "on the way to the relay is now 198.51.100.77; staying in the room",
                PATIENCE,
            )?;
            // The LAN speaks first: who moved must have said so.
            wait::until("the player to answer the LAN", PATIENCE, || {
                traffic::ping(&evening.party.host1, lease.into(), 1).ok()
            })?;
            let log = evening.log();
            ensure!(!log.contains("lost"), "it joined again:\n{log}");
            let after = evening.party.rooms()?;
            ensure!(
                after.pointer(peer) == before.pointer(peer),
                "{before} {after}"
            );
            Ok(())
        })
    });
}
