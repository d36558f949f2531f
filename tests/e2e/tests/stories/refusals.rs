//! Bad input gets one clear sentence with the remedy and its own exit code.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::party::{RELAY, file};
use lanparty_lab::{Node, Party, PartyOptions, Process, programs, sandbox};

/// Runs a program that must refuse, and checks how.
fn refused(node: &Node, program: &str, arguments: &[&str], code: i32, says: &[&str]) -> Result<()> {
    let path = programs::find(program)?;
    let mut process: Process = {
        let mut command = node.command(&path);
        command.args(arguments).env("RUST_BACKTRACE", "1");
        node.spawn_command(command, &format!("{program}-refused"))?
    };
    let what = format!("{program} {}", arguments.join(" "));
    let status = process
        .wait(Duration::from_secs(20))
        .context(what.clone())?;
    let log = process.log();
    let last = log.trim().lines().last().unwrap_or_default().to_lowercase();
    ensure!(
        status.code() == Some(code),
        "{what}: ended with {status}, not {code}:\n{log}"
    );
    for forbidden in ["panicked", "stack backtrace", "RUST_BACKTRACE"] {
        ensure!(!log.contains(forbidden), "{what}:\n{log}");
    }
    for word in says {
        ensure!(
            log.to_lowercase().contains(&word.to_lowercase()),
            "{what}: does not mention {word:?}:\n{log}\n(last line {last:?})"
        );
    }
    std::fs::remove_file(file(&format!("{}-{program}-refused.log", node.name())))?;
    Ok(())
}

#[test]
fn the_gateway_refuses_bad_input_in_plain_words() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            players: Vec::new(),
            ..PartyOptions::default()
        })?;
        party.start_relay()?;
        let certificate = party.relay_certificate();
        let certificate = certificate.to_string_lossy();
        let relay = RELAY.to_string();
        let node = &party.gateway_node;
        node.sh("ip link add cut0 type veth peer name cut1 && ip link set cut0 up")?;
        let good = [
            "--relay",
            &relay,
            "--server-name",
            "lanparty-relay.local",
            "--relay-ca-cert",
            &certificate,
            "--state-dir",
            "/mnt/refused",
        ];
        let with = |extra: &[&'static str]| -> Vec<String> {
            good.iter()
                .chain(extra)
                .map(|text| (*text).to_owned())
                .collect()
        };
        for (extra, code, says) in [
            (
                &["--room", "has space", "--iface", "eth0"][..],
                3,
                &["room"][..],
            ),
            (&["--room", "R", "--iface", "nosuch0"], 5, &["nosuch0"]),
            (&["--room", "R", "--iface", "lo"], 5, &["lo"]),
            (&["--room", "R", "--iface", "cut0"], 5, &["cut0", "cable"]),
        ] {
            let arguments = with(extra);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            refused(node, "lanparty-gateway", &arguments, code, says)?;
        }
        Ok(())
    });
}

#[test]
fn the_client_refuses_bad_input_in_plain_words() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            players: vec!["alice"],
            ..PartyOptions::default()
        })?;
        party.start_relay()?;
        let certificate = party.relay_certificate();
        let certificate = certificate.to_string_lossy();
        let relay = RELAY.to_string();
        let alice = &party.players[0].node;
        std::fs::write(file("garbage.der"), b"not a certificate")?;
        let base = [
            "--relay",
            &relay,
            "--server-name",
            "lanparty-relay.local",
            "--state-dir",
            "/mnt/refused",
        ];
        for (extra, code, says) in [
            (
                &["--room", "has space", "--relay-ca-cert", &certificate][..],
                3,
                &["room"][..],
            ),
            (
                &[
                    "--room",
                    "R",
                    "--relay-ca-cert",
                    &certificate,
                    "--virtual-mac",
                    "ff:ff:ff:ff:ff:ff",
                ],
                3,
                &["mac"],
            ),
            (
                &[
                    "--room",
                    "R",
                    "--relay-ca-cert",
                    &certificate,
                    "--virtual-mac",
                    "00:11:22:33:44:55",
                ],
                3,
                &["locally administered"],
            ),
            (
                &["--room", "R", "--relay-ca-cert", "/mnt/garbage.der"],
                4,
                &["garbage.der"],
            ),
            (
                &["--room", "R", "--relay-ca-cert", "/mnt/nosuch.der"],
                4,
                &["nosuch.der"],
            ),
        ] {
            let arguments: Vec<&str> = base.iter().chain(extra).copied().collect();
            refused(alice, "lanparty-client", &arguments, code, says)?;
        }
        Ok(())
    });
}

#[test]
fn a_relay_that_never_answers_is_named_and_given_up() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            players: vec!["alice"],
            ..PartyOptions::default()
        })?;
        party.start_relay()?;
        party.relay.as_mut().context("no relay")?.interrupt()?;
        let mut command = party.players[0]
            .node
            .command(programs::find("lanparty-client")?);
        command
            .args(party.member_arguments())
            .args(["--state-dir", "/mnt/unanswered"]);
        let mut client = party.players[0].node.spawn_command(command, "unanswered")?;
        let status = client.wait(Duration::from_secs(60))?;
        let log = client.log();
        ensure!(status.code() == Some(8), "{status}\n{log}");
        ensure!(
            log.contains(&RELAY.to_string()),
            "the relay is not named:\n{log}"
        );
        Ok(())
    });
}

#[test]
fn a_relay_with_another_certificate_is_refused() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            players: vec!["alice"],
            ..PartyOptions::default()
        })?;
        party.start_relay()?;
        std::fs::copy(party.relay_certificate(), file("old.der"))?;
        party.relay.as_mut().context("no relay")?.interrupt()?;
        std::fs::remove_dir_all(file("relay-state"))?;
        party.start_relay()?;
        let relay = RELAY.to_string();
        refused(
            &party.players[0].node,
            "lanparty-client",
            &[
                "--relay",
                &relay,
                "--server-name",
                "lanparty-relay.local",
                "--relay-ca-cert",
                "/mnt/old.der",
                "--room",
                "R",
                "--state-dir",
                "/mnt/refused",
            ],
            4,
            &["certificate"],
        )
    });
}

#[test]
fn a19_each_fault_of_the_relays_certificate_has_its_own_sentence() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            players: vec!["alice"],
            ..PartyOptions::default()
        })?;
        party.start_relay()?;
        let certificate = party.relay_certificate();
        let certificate = certificate.to_string_lossy();
        let relay = RELAY.to_string();
        let wrong_pin = "0".repeat(64);
        for (trust, says) in [
            (&["--relay-pin", &*wrong_pin][..], "get a new invite"),
            (
                &[
                    "--relay-ca-cert",
                    &*certificate,
                    "--server-name",
                    "b.example",
                ],
                "is not for the name",
            ),
            (&["--server-name", "lanparty-relay.local"], "authorit"),
        ] {
            let base = [
                "--relay",
                &*relay,
                "--room",
                "R",
                "--state-dir",
                "/mnt/refused",
            ];
            let arguments = [&base[..], trust].concat();
            let alice = &party.players[0].node;
            refused(alice, "lanparty-client", &arguments, 4, &[says])?;
        }
        Ok(())
    });
}

#[test]
fn the_relay_refuses_bad_input_in_plain_words() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            players: Vec::new(),
            ..PartyOptions::default()
        })?;
        party.start_relay()?;
        let node = &party.relay_node;
        for (arguments, code, says) in [
            (
                &["--listen", "443/udp", "--state-dir", "/mnt/second"][..],
                6,
                &["443"][..],
            ),
            (
                &["--listen", "443/tcp", "--state-dir", "/mnt/second"],
                2,
                &["udp"],
            ),
            (
                &["--listen", "203.0.113.9:443", "--state-dir", "/mnt/second"],
                6,
                &["203.0.113.9"],
            ),
            (
                &["--listen", "444/udp", "--state-dir", "/mnt/relay-state"],
                11,
                &["relay-state"],
            ),
        ] {
            refused(node, "lanparty-relay", arguments, code, says)?;
        }
        Ok(())
    });
}

#[test]
fn programs_without_their_capabilities_say_which_one_is_missing() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            players: vec!["alice"],
            ..PartyOptions::default()
        })?;
        party.start_relay()?;
        let relay = RELAY.to_string();
        let certificate = party.relay_certificate();
        let certificate = certificate.to_string_lossy();
        for (node, program, extra, capability) in [
            (
                &party.gateway_node,
                "lanparty-gateway",
                &["--iface", "eth0"][..],
                "CAP_NET_RAW",
            ),
            (
                &party.players[0].node,
                "lanparty-client",
                &[],
                "CAP_NET_ADMIN",
            ),
        ] {
            let path = programs::find(program)?;
            let mut command = node.command("capsh");
            let line = [
                &[
                    "exec",
                    &path.to_string_lossy(),
                    "--relay",
                    &relay,
                    "--server-name",
                    "lanparty-relay.local",
                    "--relay-ca-cert",
                    &certificate,
                    "--room",
                    "R",
                    "--state-dir",
                    "/mnt/unprivileged",
                ],
                extra,
            ]
            .concat()
            .join(" ");
            command.args(["--drop=all", "--", "-c", &line]);
            let mut process = node.spawn_command(command, &format!("{program}-bare"))?;
            let status = process.wait(Duration::from_secs(20))?;
            let log = process.log();
            ensure!(status.code() == Some(7), "{program}: {status}\n{log}");
            ensure!(
                log.contains(capability),
                "{program} does not name {capability}:\n{log}"
            );
            ensure!(!log.contains("panicked"), "{log}");
        }
        Ok(())
    });
}

#[test]
fn every_program_tells_its_version() {
    sandbox::test(|| {
        let node = Node::new("somewhere")?;
        for program in programs::ALL {
            let said = node.sh(&format!("{} --version", programs::find(program)?.display()))?;
            ensure!(said.starts_with(program), "{said}");
        }
        Ok(())
    });
}
