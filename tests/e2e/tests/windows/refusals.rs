//! Command lines that cannot work, each with one sentence and its own code.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use lanparty_lab::sandbox;
use lanparty_lab::windows::{Adapter, Said, story};

use crate::evening::{Evening, refused};

const USAGE: i32 = 2;
const CONFIGURATION: i32 = 3;
const CERTIFICATE: i32 = 4;
const INTERFACE: i32 = 5;
const RELAY_UNREACHABLE: i32 = 8;

/// The party's arguments with the value of one flag replaced.
fn with(evening: &Evening, flag: &str, value: &str) -> Result<Said> {
    let mut arguments = evening.windows.arguments();
    let place = arguments.iter().position(|argument| argument == flag);
    let slot = place.and_then(|place| arguments.get_mut(place + 1));
    value.clone_into(slot.with_context(|| format!("the party has no {flag}"))?);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    evening.windows.run(evening.node()?, &arguments)
}

#[test]
fn what_cannot_work_is_refused_in_one_sentence() {
    sandbox::test(|| {
        story(|rig| {
            let evening = Evening::begin(rig, &[Adapter::ordinary()])?;
            let node = evening.node()?;
            let before = evening.network()?;
            refused(
                &evening.windows.run(node, &["--nonsense"])?,
                USAGE,
                &["--nonsense"],
            )?;
            refused(
                &with(&evening, "--room", "no spaces")?,
                CONFIGURATION,
                &["room"],
            )?;
            refused(
                &with(&evening, "--relay-ca-cert", "C:\\missing.der")?,
                CERTIFICATE,
                &["missing.der"],
            )?;
            let nobody = Ipv4Addr::new(198, 51, 100, 77).to_string();
            refused(
                &with(&evening, "--relay", &nobody)?,
                RELAY_UNREACHABLE,
                &["relay"],
            )?;
            let arguments = evening.windows.arguments();
            let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            arguments.extend([
                "--tap-instance-id",
                "{00000001-0000-0000-0000-000000000000}",
            ]);
            refused(
                &evening.windows.run(node, &arguments)?,
                INTERFACE,
                &["adapter"],
            )?;
            let after = evening.network()?;
            anyhow::ensure!(after == before, "before:\n{before}\nafter:\n{after}");
            Ok(())
        })
    });
}
