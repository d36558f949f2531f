//! TAP adapters that are not as one would wish.

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::windows::{Adapter, Said, story};
use lanparty_lab::{sandbox, wait};

use crate::evening::{Evening, PATIENCE, refused};

const INTERFACE: i32 = 5;

/// Runs the client, which is to end by itself.
fn join_and_end(evening: &Evening, extra: &[&str]) -> Result<Said> {
    let arguments = evening.windows.arguments();
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    arguments.extend(extra);
    evening.windows.run(evening.node()?, &arguments)
}

#[test]
fn without_an_adapter_the_remedy_is_named() {
    sandbox::test(|| {
        story(|rig| {
            let evening = Evening::begin(rig, &[])?;
            refused(&join_and_end(&evening, &[])?, INTERFACE, &["tap-windows"])
        })
    });
}

#[test]
fn a_driver_with_a_known_hole_is_refused() {
    sandbox::test(|| {
        story(|rig| {
            let old = Adapter {
                version: (9, 21),
                ..Adapter::ordinary()
            };
            let evening = Evening::begin(rig, &[old])?;
            refused(&join_and_end(&evening, &[])?, INTERFACE, &["9.21", "9.27"])
        })
    });
}

#[test]
fn an_adapter_that_keeps_its_own_mac_is_refused() {
    sandbox::test(|| {
        story(|rig| {
            let stubborn = Adapter {
                stubborn_mac: true,
                ..Adapter::ordinary()
            };
            let evening = Evening::begin(rig, &[stubborn])?;
            let said = join_and_end(&evening, &["--virtual-mac", "02:00:5e:10:00:01"])?;
            refused(
                &said,
                INTERFACE,
                &["02:00:5e:10:00:01", "00:ff:fa:ce:00:00"],
            )
        })
    });
}

#[test]
fn the_adapter_gets_the_mac_that_was_asked_for() {
    sandbox::test(|| {
        story(|rig| {
            let mut evening = Evening::begin(rig, &[Adapter::ordinary()])?;
            evening.join(&["--virtual-mac", "02:00:5e:10:00:01"])?;
            let node = evening.node()?;
            let mac = wait::until("the interface to follow", PATIENCE, || {
                let mac = node.mac("lanparty0").ok()?.to_string();
                (mac == "02:00:5e:10:00:01").then_some(mac)
            })?;
            ensure!(evening.log().contains("joined room"), "{mac}");
            Ok(())
        })
    });
}

#[test]
fn of_two_adapters_the_named_one_is_taken_and_the_other_left_alone() {
    sandbox::test(|| {
        story(|rig| {
            let (ours, other) = (Adapter::ordinary(), Adapter::of_another_program());
            let mut evening = Evening::begin(rig, &[other.clone(), ours.clone()])?;
            let listed = evening.windows.run(evening.node()?, &["adapters"])?;
            for adapter in [&ours, &other] {
                let guid = adapter.guid().to_lowercase();
                let guid = guid.trim_matches(['{', '}']).to_owned();
                ensure!(
                    listed.out.to_lowercase().contains(&guid),
                    "{guid} is not in {listed:?}"
                );
                ensure!(listed.out.contains(adapter.connection), "{listed:?}");
            }
            evening.join(&["--tap-instance-id", &ours.guid()])?;
            evening.lease()?;
            let link = evening.node()?.sh("ip -o link show tap1")?;
            ensure!(link.contains("NO-CARRIER"), "the other has media: {link}");
            ensure!(
                link.contains("00:ff:fa:ce:00:"),
                "the other has our MAC: {link}"
            );
            Ok(())
        })
    });
}

#[test]
fn a_device_that_vanishes_ends_the_client_in_order() {
    sandbox::test(|| {
        story(|rig| {
            let mut evening = Evening::joined(rig)?;
            let node = &evening.party.players[0].node;
            evening
                .windows
                .device(node, "vanish", &Adapter::ordinary())?;
            let client = evening.windows.client.as_mut().context("no client")?;
            let status = client.wait(PATIENCE)?;
            let log = client.log();
            ensure!(status.code() == Some(INTERFACE), "{status}\n{log}");
            ensure!(!log.contains("panicked"), "{log}");
            // The room must know at once, and the adapter may come back.
            let rooms = evening.party.rooms()?;
            ensure!(!rooms.to_string().contains("alice"), "{rooms}");
            evening
                .windows
                .device(node, "enable", &Adapter::ordinary())?;
            evening.join(&[])?;
            evening.lease()
        })
    });
}
