//! Playing without a window.

use anyhow::ensure;
use lanparty_lab::party::TAP;
use lanparty_lab::windows::{Adapter, story};
use lanparty_lab::{sandbox, wait};

use crate::evening::{Evening, PATIENCE, wait_for_lan};

#[test]
fn a_service_is_installed_started_stopped_and_removed() {
    sandbox::test(|| {
        story(|rig| {
            let evening = Evening::begin(rig, &[Adapter::ordinary()])?;
            let node = evening.node()?;
            let before = evening.network()?;
            let service = |verb: &str, extra: &[&str]| {
                let arguments = [&["service", verb], extra].concat();
                let said = evening.windows.run(node, &arguments)?;
                ensure!(said.code == Some(0), "service {verb}: {said:?}");
                Ok(said)
            };
            let arguments = evening.windows.arguments();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            service("install", &arguments)?;
            service("start", &[])?;
            wait::until("the service to bring the media up", PATIENCE, || {
                let link = node.sh(&format!("ip -o link show {TAP}")).ok()?;
                link.contains("LOWER_UP").then_some(())
            })?;
            evening.lease()?;
            wait_for_lan(&evening)?;
            service("stop", &[])?;
            wait::until("the media to go down", PATIENCE, || {
                let link = node.sh(&format!("ip -o link show {TAP}")).ok()?;
                link.contains("NO-CARRIER").then_some(())
            })?;
            evening.forget_lease()?;
            let after = evening.network()?;
            ensure!(after == before, "before:\n{before}\nafter:\n{after}");
            service("remove", &[])?;
            let said = evening.windows.run(node, &["service", "start"])?;
            ensure!(said.code != Some(0), "a removed service started: {said:?}");
            Ok(())
        })
    });
}
