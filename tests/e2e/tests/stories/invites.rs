//! The host shares one link, and who has it is in.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::party::{HOST1, RELAY, TAP, file, leases};
use lanparty_lab::{Party, PartyOptions, Process, programs, sandbox, traffic, wait};

use crate::host_commands::tell;

/// Long enough for a client to be refused, with a cold start.
const REFUSAL: Duration = Duration::from_secs(20);

fn keyed(players: Vec<&'static str>) -> PartyOptions {
    PartyOptions {
        keyed: true,
        players,
        ..PartyOptions::default()
    }
}

/// A party whose players have not come yet.
fn before_the_players(players: Vec<&'static str>) -> Result<Party> {
    started(keyed(players))
}

fn started(options: PartyOptions) -> Result<Party> {
    let mut party = Party::build(options)?;
    party.start_dnsmasq()?;
    party.start_relay()?;
    party.start_gateway()?;
    Ok(party)
}

/// Starts a player's client with these arguments and a state directory.
fn client(party: &Party, number: usize, label: &str, arguments: &[&str]) -> Result<Process> {
    let player = &party.players[number];
    let mut command = player.node.command(programs::find("lanparty-client")?);
    command
        .args(arguments)
        .args(["--tap-name", TAP, "--name", player.name(), "--state-dir"])
        .arg(player.state());
    player.node.spawn_command(command, label)
}

/// The part of an invite that nobody else may see.
fn key_of(invite: &str) -> Result<&str> {
    let (_, key) = invite.split_once('#').context("no key")?;
    Ok(key)
}

#[test]
fn a_player_joins_a_sealed_room_by_the_invite_alone_and_gets_an_address() {
    sandbox::test(|| {
        let party = Party::start(keyed(vec!["alice"]))?;
        traffic::ping(&party.players[0].node, HOST1.into(), 3)?;
        ensure!(leases().contains("10.73.42."), "no lease: {}", leases());
        let room = fs::metadata(file("gateway-state/room"))?;
        ensure!(room.permissions().mode() & 0o777 == 0o600, "{room:?}");
        for log in [
            party.gateway.as_ref().context("no gateway")?.log(),
            party.players[0].client.as_ref().context("no client")?.log(),
        ] {
            ensure!(log.contains("sealed"), "{log}");
        }
        Ok(())
    });
}

#[test]
fn an_invite_stays_valid_when_the_gateway_starts_again() {
    sandbox::test(|| {
        let mut party = before_the_players(vec!["alice"])?;
        let invite = party.invite()?;
        let relay = format!("lanparty://{RELAY}/PARTY?pin=sha256:");
        ensure!(invite.starts_with(&relay), "{invite}");
        party.gateway.as_mut().context("no gateway")?.interrupt()?;
        ensure!(party.invite()? == invite, "it cannot be printed meanwhile");
        party.start_gateway()?;
        ensure!(party.invite()? == invite);
        party.start_player(0)?;
        Ok(())
    });
}

#[test]
fn the_key_is_in_no_log_and_a_key_in_sight_is_warned_of() {
    sandbox::test(|| {
        let mut party = started(PartyOptions {
            log: "debug".to_owned(),
            ..keyed(vec!["alice"])
        })?;
        let invite = party.invite()?;
        let room: serde_json::Value =
            serde_json::from_slice(&fs::read(file("gateway-state/room"))?)?;
        let bytes = room.get("key").and_then(serde_json::Value::as_str);
        let secrets = [key_of(&invite)?, bytes.context("no key")?];
        let mut client = client(&party, 0, "in-sight", &[&invite])?;
        client.wait_for("joined room", REFUSAL)?;
        let log = client.log();
        ensure!(log.contains("--ask-invite"), "no warning:\n{log}");
        client.interrupt()?;
        party.start_player(0)?;
        let alice = party.players[0].client.as_ref().context("no client")?.log();
        ensure!(!alice.contains("--ask-invite"), "{alice}");
        let gateway = party.gateway.as_ref().context("no gateway")?.log();
        let relay = party.relay.as_ref().context("no relay")?.log();
        for log in [log, alice, gateway, relay] {
            ensure!(!secrets.iter().any(|secret| log.contains(secret)), "{log}");
        }
        Ok(())
    });
}

#[test]
fn a_relay_with_another_key_than_the_invite_says_is_refused() {
    sandbox::test(|| {
        let mut party = before_the_players(vec!["alice"])?;
        let invite = party.invite()?;
        party.relay.as_mut().context("no relay")?.interrupt()?;
        fs::remove_dir_all(file("relay-state"))?;
        party.start_relay()?;
        let mut client = client(&party, 0, "another-relay", &["--invite", &invite])?;
        let status = client.wait(REFUSAL)?;
        let log = client.log();
        ensure!(status.code() == Some(4), "{status}\n{log}");
        ensure!(
            log.contains("pinned") && log.contains("new invite"),
            "{log}"
        );
        Ok(())
    });
}

#[test]
fn a_damaged_invite_is_explained() {
    sandbox::test(|| {
        let party = before_the_players(vec!["alice"])?;
        let invite = party.invite()?;
        let damaged = invite.replacen("PARTY", "PARTV", 1);
        let cut = &invite[..invite.len() - 1];
        for (label, text) in [("damaged", &*damaged), ("cut", cut)] {
            let mut client = client(&party, 0, label, &[text])?;
            let status = client.wait(REFUSAL)?;
            let log = client.log();
            ensure!(status.code() == Some(3), "{status}\n{log}");
            ensure!(log.contains("was changed on its way"), "{log}");
            ensure!(!log.contains(key_of(&invite)?), "{log}");
        }
        Ok(())
    });
}

/// A stranger must not learn whether a room exists, nor a banned member that
/// it is they who are unwanted.
#[test]
fn a_wrong_key_an_unknown_room_and_a_banned_member_get_the_same_answer() {
    sandbox::test(|| {
        let mut party = before_the_players(vec!["alice"])?;
        party.start_player(0)?;
        tell(&party, "ban alice")?;
        let mut alice = party.players[0].client.take().context("no client")?;
        alice.wait(REFUSAL)?;

        let wrong = file("wrong-key");
        fs::write(&wrong, "5a".repeat(32))?;
        let wrong = wrong.to_string_lossy().into_owned();
        let long = |room: &str| {
            let mut arguments = party.member_arguments();
            arguments.pop();
            arguments.extend([room, "--room-key-file", &wrong].map(str::to_owned));
            arguments
        };
        let mut answers = Vec::new();
        for (label, arguments) in [
            ("banned", party.player_arguments()?),
            ("wrong-key", long("PARTY")),
            ("unknown-room", long("NOSUCH")),
        ] {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let mut client = client(&party, 0, label, &arguments)?;
            let status = client.wait(REFUSAL)?;
            let log = client.log();
            let last = log.trim().lines().last().unwrap_or_default().to_owned();
            answers.push((status.code(), last));
        }
        ensure!(answers[0].0 == Some(10), "{answers:?}");
        ensure!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:#?}"
        );
        Ok(())
    });
}

#[test]
fn a_room_without_a_key_says_so_and_has_an_invite_too() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            players: vec!["alice"],
            ..PartyOptions::default()
        })?;
        party.start_relay()?;
        party.start_gateway()?;
        let invite = party.invite()?;
        let mut client = client(&party, 0, "open", &["--invite", &invite])?;
        client.wait_for("joined room", REFUSAL)?;
        wait::until("the warning", REFUSAL, || {
            client.log().contains("this room has no key").then_some(())
        })?;
        ensure!(!client.log().contains("--ask-invite"), "{}", client.log());
        Ok(())
    });
}
