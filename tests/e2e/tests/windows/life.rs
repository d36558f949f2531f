//! Instances, relays and crashes.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use lanparty_lab::windows::{Adapter, story};
use lanparty_lab::{sandbox, wait};

use crate::evening::{Evening, PATIENCE, refused, wait_for_lan};

const INTERFACE: i32 = 5;
const STATE: i32 = 11;

#[test]
fn a_second_instance_is_refused_and_harms_nothing() {
    sandbox::test(|| {
        story(|rig| {
            let evening = Evening::joined(rig)?;
            let arguments = evening.windows.arguments();
            let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let said = evening.windows.run(evening.node()?, &arguments)?;
            refused(&said, STATE, &["already uses"])?;
            // One with a state directory of its own still finds the adapter taken.
            *arguments.last_mut().context("no arguments")? = "C:\\another";
            let said = evening.windows.run(evening.node()?, &arguments)?;
            refused(&said, INTERFACE, &["use"])?;
            wait_for_lan(&evening)
        })
    });
}

#[test]
fn a_relay_that_was_gone_is_found_again() {
    sandbox::test(|| {
        story(|rig| {
            let mut evening = Evening::joined(rig)?;
            wait_for_lan(&evening)?;
            evening.party.relay.as_mut().context("no relay")?.kill()?;
            // Longer than a hiccup, shorter than an evening.
            std::thread::sleep(Duration::from_secs(8));
            let address = evening.node()?.ipv4("lanparty0")?;
            evening.party.start_relay()?;
            let back = wait::now();
            wait_for_lan(&evening)?;
            eprintln!("frames flowed {:?} after the return", back.elapsed());
            ensure!(evening.node()?.ipv4("lanparty0")? == address);
            let client = evening.windows.client.as_mut().context("no client")?;
            ensure!(client.ended().is_none(), "{}", client.log());
            Ok(())
        })
    });
}

#[test]
fn cleanup_undoes_what_a_killed_client_left() {
    sandbox::test(|| {
        story(|rig| {
            let mut evening = Evening::begin(rig, &[Adapter::ordinary()])?;
            let before = evening.network()?;
            evening.join(&[])?;
            evening.lease()?;
            evening
                .windows
                .client
                .as_mut()
                .context("no client")?
                .kill()?;
            evening.forget_lease()?;
            let left = evening.network()?;
            ensure!(
                left != before,
                "the client left nothing, so this proves nothing"
            );
            let state = evening.windows.state();
            let said = evening
                .windows
                .run(evening.node()?, &["cleanup", "--state-dir", &state])?;
            ensure!(said.code == Some(0), "{said:?}");
            let after = evening.network()?;
            ensure!(
                after == before,
                "cleanup said {said:?}\nbefore:\n{before}\nafter:\n{after}\nchanges:\n{}",
                evening.changes()
            );
            Ok(())
        })
    });
}

#[test]
fn the_next_start_after_a_kill_just_works() {
    sandbox::test(|| {
        story(|rig| {
            let mut evening = Evening::joined(rig)?;
            let address = evening.node()?.ipv4("lanparty0")?;
            evening
                .windows
                .client
                .as_mut()
                .context("no client")?
                .kill()?;
            evening.forget_lease()?;
            evening.join(&[])?;
            evening.lease()?;
            ensure!(
                evening.node()?.ipv4("lanparty0")? == address,
                "another lease"
            );
            wait_for_lan(&evening)?;
            let node = &evening.party.players[0].node;
            evening.windows.stop(node)?;
            wait::until("the media to go down", PATIENCE, || {
                let link = node.sh("ip -o link show lanparty0").ok()?;
                link.contains("NO-CARRIER").then_some(())
            })
        })
    });
}
