//! The host decides who is in the room.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::party::{HOST1, TAP, file};
use lanparty_lab::{Party, PartyOptions, Process, programs, sandbox, traffic, wait};
use serde_json::Value;

/// Until the other programs have done what the host asked for.
const SOON: Duration = Duration::from_secs(20);

fn party(players: Vec<&'static str>, gateway: &[&str]) -> Result<Party> {
    party_in(true, players, gateway)
}

fn party_in(keyed: bool, players: Vec<&'static str>, gateway: &[&str]) -> Result<Party> {
    let mut party = Party::build(PartyOptions {
        keyed,
        players,
        gateway_arguments: gateway.iter().map(|text| (*text).to_owned()).collect(),
        ..PartyOptions::default()
    })?;
    party.start_relay()?;
    party.start_gateway()?;
    Ok(party)
}

/// Runs a command of the gateway.
pub(crate) fn tell(party: &Party, command: &str) -> Result<String> {
    let gateway = programs::find("lanparty-gateway")?;
    party.gateway_node.sh(&format!(
        "{} {command} --state-dir {}",
        gateway.display(),
        file("gateway-state").display()
    ))
}

/// The names in one of the lists that `peers` shows, sorted.
fn names(party: &Party, list: &str) -> Result<Vec<String>> {
    let peers: Value = serde_json::from_str(&tell(party, "peers --json")?)?;
    let list = peers.get(list).and_then(Value::as_array);
    let names = list.context("no such list")?.iter();
    let mut names: Vec<_> = names
        .filter_map(|entry| Some(entry.get("name")?.as_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn wait_for_names(party: &Party, list: &str, expected: &[&str]) -> Result<()> {
    wait::until(&format!("{expected:?} in {list}"), SOON, || {
        (names(party, list).ok()? == expected).then_some(())
    })
}

/// The end of a player's client: its exit status and what it said.
fn end(party: &mut Party, number: usize) -> Result<(Option<i32>, String)> {
    let client = party.players[number].client.take();
    let mut client = client.context("no client")?;
    let status = client.wait(SOON)?;
    Ok((status.code(), client.log()))
}

/// A client that is not expected to get in.
fn knock(party: &Party, number: usize) -> Result<Process> {
    let player = &party.players[number];
    let mut command = player.node.command(programs::find("lanparty-client")?);
    command
        .args(party.player_arguments()?)
        .args(["--tap-name", TAP, "--name", player.name(), "--state-dir"])
        .arg(player.state());
    player.node.spawn_command(command, "knocking")
}

#[test]
fn a_kicked_player_is_out_and_may_come_back() {
    sandbox::test(|| {
        let mut party = party(vec!["alice", "bob"], &[])?;
        party.start_player(0)?;
        party.start_player(1)?;
        wait_for_names(&party, "members", &["alice", "bob"])?;
        let said = tell(&party, "kick alice")?;
        ensure!(said.contains("alice"), "{said}");
        let (code, log) = end(&mut party, 0)?;
        ensure!(code == Some(10), "{code:?}\n{log}");
        wait_for_names(&party, "members", &["bob"])?;
        ensure!(tell(&party, "kick alice").is_err());
        party.start_player(0)?;
        Ok(())
    });
}

#[test]
fn a_ban_holds_over_restarts_until_it_is_lifted() {
    sandbox::test(|| {
        let mut party = party(vec!["alice"], &[])?;
        party.start_player(0)?;
        wait_for_names(&party, "members", &["alice"])?;
        let said = tell(&party, "ban alice")?;
        ensure!(
            said.contains("approval") && said.contains("rotate-key"),
            "{said}"
        );
        let (code, log) = end(&mut party, 0)?;
        ensure!(code == Some(10), "{code:?}\n{log}");

        party.gateway.as_mut().context("no gateway")?.interrupt()?;
        party.start_gateway()?;
        ensure!(names(&party, "banned")? == ["alice"]);
        let mut refused = knock(&party, 0)?;
        let status = refused.wait(SOON)?;
        ensure!(status.code() == Some(10), "{status}\n{}", refused.log());
        ensure!(names(&party, "members")?.is_empty());

        tell(&party, "unban alice")?;
        party.start_player(0)?;
        Ok(())
    });
}

#[test]
fn a_newcomer_waits_until_the_host_approves() {
    sandbox::test(|| {
        let mut party = party(vec!["alice", "bob"], &["--require-approval"])?;
        let mut alice = knock(&party, 0)?;
        wait_for_names(&party, "asking", &["alice"])?;
        let gateway = party.gateway.as_mut().context("no gateway")?;
        gateway.wait_for("alice asks to be let in", SOON)?;
        alice.wait_for("waiting for the host", SOON)?;
        ensure!(!alice.log().contains("joined room"), "{}", alice.log());
        tell(&party, "approve alice")?;
        alice.wait_for("joined room", SOON)?;
        wait_for_names(&party, "members", &["alice"])?;
        ensure!(names(&party, "asking")?.is_empty());

        let mut bob = knock(&party, 1)?;
        wait_for_names(&party, "asking", &["bob"])?;
        tell(&party, "deny bob")?;
        let status = bob.wait(SOON)?;
        ensure!(status.code() == Some(10), "{status}\n{}", bob.log());

        // Whoever was approved needs it once.
        alice.interrupt()?;
        party.start_player(0)?;
        Ok(())
    });
}

#[test]
fn a_room_without_a_key_has_the_same_commands_but_no_key_to_replace() {
    sandbox::test(|| {
        let party = party_in(false, vec!["alice"], &["--require-approval"])?;
        let mut alice = knock(&party, 0)?;
        wait_for_names(&party, "asking", &["alice"])?;
        tell(&party, "approve alice")?;
        alice.wait_for("joined room", SOON)?;
        wait_for_names(&party, "members", &["alice"])?;
        let error = tell(&party, "rotate-key").unwrap_err().to_string();
        ensure!(error.contains("--new-room"), "{error}");
        let said = tell(&party, "ban alice")?;
        ensure!(said.contains("approval"), "{said}");
        let status = alice.wait(SOON)?;
        ensure!(status.code() == Some(10), "{status}\n{}", alice.log());
        Ok(())
    });
}

#[test]
fn approval_that_begins_later_leaves_everybody_in_the_room() {
    sandbox::test(|| {
        let mut party = party(vec!["alice", "bob"], &[])?;
        party.start_player(0)?;
        wait_for_names(&party, "members", &["alice"])?;
        tell(&party, "approval on")?;
        let bob = knock(&party, 1)?;
        wait_for_names(&party, "asking", &["bob"])?;
        ensure!(names(&party, "members")? == ["alice"]);
        drop(bob);
        tell(&party, "approval off")?;
        party.start_player(1)?;
        Ok(())
    });
}

#[test]
fn a_command_without_a_gateway_says_what_is_missing() {
    sandbox::test(|| {
        let mut party = party(vec![], &[])?;
        party.gateway.as_mut().context("no gateway")?.interrupt()?;
        let error = tell(&party, "peers").unwrap_err().to_string();
        ensure!(error.contains("no gateway answers"), "{error}");
        Ok(())
    });
}

#[test]
fn members_follow_the_host_to_a_new_key_and_earlier_invites_are_worthless() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            keyed: true,
            ..PartyOptions::default()
        })?;
        party.start_dnsmasq()?;
        party.start_relay()?;
        party.start_gateway()?;
        party.start_player(0)?;
        let alice = party.players[0].node.mac(TAP)?;
        let address = party.players[0].address()?;
        let old = party.invite()?;

        let said = tell(&party, "rotate-key")?;
        ensure!(said.contains("new key"), "{said}");
        ensure!(party.invite()? != old);
        let client = party.players[0].client.as_mut().context("no client")?;
        client.wait_for("this computer moves along", SOON)?;
        wait::until("two rooms, one after the other", SOON, || {
            let joined = client.log().matches("joined room").count();
            (joined == 2).then_some(())
        })?;
        wait_for_names(&party, "members", &["alice"])?;
        wait::until("frames to flow again", SOON, || {
            traffic::ping(&party.players[0].node, HOST1.into(), 1).ok()
        })?;
        ensure!(party.players[0].address()? == address);
        ensure!(party.players[0].node.mac(TAP)? == alice);

        let bob = &party.players[1];
        let mut command = bob.node.command(programs::find("lanparty-client")?);
        command
            .args([&old, "--tap-name", TAP, "--state-dir"])
            .arg(bob.state());
        let mut refused = bob.node.spawn_command(command, "with-the-old-invite")?;
        let status = refused.wait(SOON)?;
        ensure!(status.code() == Some(10), "{status}\n{}", refused.log());
        party.start_player(1)?;
        wait_for_names(&party, "members", &["alice", "bob"])
    });
}

#[test]
fn a_key_can_be_replaced_while_no_gateway_runs() {
    sandbox::test(|| {
        let mut party = party(vec!["alice"], &[])?;
        let old = party.invite()?;
        party.gateway.as_mut().context("no gateway")?.interrupt()?;
        tell(&party, "rotate-key")?;
        let new = party.invite()?;
        ensure!(new != old);
        party.start_gateway()?;
        ensure!(party.invite()? == new);
        party.start_player(0)?;
        Ok(())
    });
}
