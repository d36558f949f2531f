//! A player's own internet changes in the middle of a game.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::party::{HOME_ROUTER, Player, WAN};
use lanparty_lab::{Party, PartyOptions, sandbox};

/// What a game forgives.
const PAUSE: Duration = Duration::from_secs(1);

/// What the relay knows of the room: every name with its peer id.
fn members(party: &Party) -> Result<String> {
    let rooms = party.rooms()?;
    let members = rooms
        .pointer("/rooms/0/members")
        .and_then(|members| members.as_array());
    let members = members.context("no members")?.iter();
    Ok(members
        .map(|member| format!("{} {};", member["name"], member["peer"]))
        .collect())
}

/// The longest time between two answers, which `ping -D` stamps.
fn longest_pause(report: &str) -> Result<Duration> {
    let stamps: Vec<f64> = report
        .lines()
        .filter(|line| line.contains("time="))
        .filter_map(|line| line.split_once('[')?.1.split_once(']')?.0.parse().ok())
        .collect();
    ensure!(stamps.len() > 100, "few answers:\n{report}");
    let pauses = stamps.windows(2).map(|pair| pair[1] - pair[0]);
    Ok(Duration::from_secs_f64(pauses.fold(0.0, f64::max)))
}

fn is_moved(player: &mut Player, address: &str) -> Result<()> {
    let client = player.client.as_mut().context("no client")?;
    client.wait_for(
        &format!("on the way to the relay is now {address}; staying in the room"),
        Duration::from_secs(5),
    )
}

#[test]
fn a_game_goes_on_when_the_players_internet_address_changes() {
    sandbox::test(|| {
        let mut party = Party::start(PartyOptions {
            players: vec!["alice"],
            ..PartyOptions::default()
        })?;
        let before = members(&party)?;
        let lease = party.players[0].address()?;

        // The LAN asks and the player only answers: who moved must say so.
        let mut ping = party.host1.command("ping");
        ping.args(["-D", "-n", "-i", "0.02", &lease.to_string()]);
        let mut ping = party.host1.spawn_command(ping, "ping")?;
        std::thread::sleep(Duration::from_secs(1));
        // Another lease from the home router.
        party.players[0].node.sh(&format!(
            "ip addr flush dev {WAN} && ip addr add 198.51.100.77/24 dev {WAN} && ip route add default via {HOME_ROUTER}"
        ))?;
        is_moved(&mut party.players[0], "198.51.100.77")?;
        std::thread::sleep(Duration::from_secs(1));
        // From cable to wireless: another interface, the old one dead.
        let player = &mut party.players[0];
        party.internet.plug(&player.node, "wifi0", 1500)?;
        player.node.sh(&format!(
            "ip link set {WAN} down && ip addr add 198.51.100.78/24 dev wifi0 && ip route replace default via {HOME_ROUTER} dev wifi0"
        ))?;
        is_moved(player, "198.51.100.78")?;
        std::thread::sleep(Duration::from_secs(2));
        ping.interrupt()?;
        let pause = longest_pause(&ping.log())?;

        eprintln!("the longest pause was {pause:?}");
        ensure!(pause <= PAUSE, "frames paused for {pause:?}");
        ensure!(party.players[0].address()? == lease, "the lease changed");
        ensure!(
            members(&party)? == before,
            "{before} became {}",
            members(&party)?
        );
        Ok(())
    });
}
