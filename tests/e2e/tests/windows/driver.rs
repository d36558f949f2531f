//! The rig itself: what the stories stand on.

use anyhow::ensure;
use lanparty_lab::windows::{Adapter, Prefix, story};
use lanparty_lab::{Node, sandbox};

#[test]
fn the_stand_in_driver_keeps_what_it_promises() {
    sandbox::test(|| {
        story(|rig| {
            let node = Node::new("home")?;
            let adapter = Adapter::ordinary();
            let prefix = Prefix::install(rig, "home", std::slice::from_ref(&adapter))?;
            let output = prefix
                .rig_command(&node)
                .arg("probe")
                .arg(adapter.guid())
                .output()?;
            let said = String::from_utf8_lossy(&output.stdout);
            ensure!(said.contains("probe passed"), "{said}");
            Ok(())
        })
    });
}

#[test]
fn the_cables_far_end_is_the_interface_that_windows_sees() {
    sandbox::test(|| {
        story(|rig| {
            let node = Node::new("home")?;
            let adapter = Adapter::ordinary();
            let prefix = Prefix::install(rig, "home", std::slice::from_ref(&adapter))?;
            let _cable = prefix.plug(&node, &adapter)?;
            let link = node.sh("ip -o link show lanparty0")?;
            ensure!(link.starts_with("77: "), "{link}");
            ensure!(link.contains("NO-CARRIER"), "the media is up: {link}");
            ensure!(link.contains("00:ff:fa:ce:00:00"), "{link}");
            let output = prefix
                .rig_command(&node)
                .args(["vanish", &adapter.guid()])
                .output()?;
            ensure!(output.status.success(), "{output:?}");
            let output = prefix
                .rig_command(&node)
                .args(["probe", &adapter.guid()])
                .output()?;
            ensure!(!output.status.success(), "a vanished device opened");
            Ok(())
        })
    });
}
