//! What the host and the operator can look at afterwards.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::party::{HOST1, TAP};
use lanparty_lab::{Party, PartyOptions, Process, sandbox, traffic, wait};

/// A line of the log that has every one of these words.
fn line_with(process: &Option<Process>, words: &[&str]) -> Result<String> {
    let log = process.as_ref().context("the program does not run")?.log();
    log.lines()
        .find(|line| words.iter().all(|word| line.contains(word)))
        .map(str::to_owned)
        .with_context(|| format!("no line with {words:?} in:\n{log}"))
}

#[test]
fn relay_and_gateway_record_every_frame_decision_when_asked() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions {
            players: vec!["alice"],
            log: "info,relay::frames=trace,gateway::frames=trace".to_owned(),
            ..PartyOptions::default()
        })?;
        let alice = &party.players[0];
        alice.address()?;
        traffic::ping(&alice.node, HOST1.into(), 3)?;
        let mac = alice.node.mac(TAP)?.to_string();
        let common = ["0x0800", mac.as_str(), "room", "peer", "action"];
        let relay = line_with(
            &party.relay,
            &[&common[..], &["relay::frames", "targets"]].concat(),
        )?;
        let gateway = line_with(
            &party.gateway,
            &[&common[..], &["gateway::frames", "direction", "length"]].concat(),
        )?;
        eprintln!("{relay}\n{gateway}");
        Ok(())
    });
}

#[test]
fn nothing_is_recorded_per_frame_unless_asked() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions {
            players: vec!["alice"],
            ..PartyOptions::default()
        })?;
        let alice = &party.players[0];
        alice.address()?;
        traffic::ping(&alice.node, HOST1.into(), 3)?;
        let mac = alice.node.mac(TAP)?.to_string();
        for process in [&party.relay, &party.gateway] {
            ensure!(line_with(process, &["frames", &mac]).is_err());
        }
        Ok(())
    });
}

#[test]
fn the_relay_lists_every_members_last_stats() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions {
            players: vec!["alice"],
            ..PartyOptions::default()
        })?;
        party.players[0].address()?;
        let members = wait::until("stats of every member", Duration::from_secs(15), || {
            let rooms = party.rooms().ok()?;
            let members = rooms.pointer("/rooms/0/members")?.as_array()?.clone();
            let has_stats =
                |member: &serde_json::Value| member.pointer("/stats/uptime_s").is_some();
            (members.len() == 2 && members.iter().all(has_stats)).then_some(members)
        })?;
        for member in members {
            for field in ["peer", "role", "name", "last_seen_ms"] {
                ensure!(
                    member.get(field).is_some_and(|value| !value.is_null()),
                    "{field} is missing: {member}"
                );
            }
        }
        Ok(())
    });
}
