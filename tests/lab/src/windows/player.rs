//! A remote player on Windows.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::adapter::Adapter;
use super::prefix::{BOOT, Prefix};
use super::rig::Rig;
use crate::node::Node;
use crate::party::{Party, file};
use crate::process::Process;

const PROGRAM: &str = "lanparty-client-win";

/// The Windows client of a party, on the host of one of its players, with a
/// Linux interface where its TAP adapter is.
#[derive(Debug)]
pub struct WindowsPlayer {
    pub prefix: Prefix,
    /// The far ends of the adapters' cables, in their order.
    pub cables: Vec<Process>,
    pub client: Option<Process>,
    program: PathBuf,
    arguments: Vec<String>,
    log: String,
}

impl WindowsPlayer {
    /// Sets a Windows machine with these adapters up on `node` and boots it.
    ///
    /// # Errors
    /// When Wine or the stand-in driver does not start.
    pub fn boot(rig: &Rig, party: &Party, node: &Node, adapters: &[Adapter]) -> Result<Self> {
        // Wine looks its own name up when it boots, and would wait ten seconds
        // for name servers that the lab does not have.
        let hosts = file(&format!("{}-hosts", node.name()));
        fs::write(&hosts, format!("127.0.0.1 localhost {}\n", node.name()))?;
        node.sh(&format!("mount --bind {} /etc/hosts", hosts.display()))?;
        let prefix = Prefix::install(rig, node.name(), adapters)?;
        let cables = adapters
            .iter()
            .map(|adapter| prefix.plug(node, adapter))
            .collect::<Result<_>>()?;
        let mut arguments = party.player_arguments()?;
        // Drive Z is the Linux machine's root.
        for argument in &mut arguments {
            if argument.starts_with('/') {
                *argument = format!("Z:{}", argument.replace('/', "\\"));
            }
        }
        Ok(Self {
            prefix,
            cables,
            client: None,
            program: rig.program(PROGRAM)?,
            arguments,
            log: party.options.log.clone(),
        })
    }

    /// The arguments with which this player finds the party's room.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = self.arguments.clone();
        arguments.extend(["--state-dir".to_owned(), self.state()]);
        arguments
    }

    /// Where the client keeps its state, as Windows names it.
    #[must_use]
    pub fn state(&self) -> String {
        "C:\\player".to_owned()
    }

    /// The client with any arguments.
    #[must_use]
    pub fn command(&self, node: &Node, arguments: &[&str]) -> Command {
        let mut command = self.prefix.command(node, &self.program);
        command.args(arguments).env("LANPARTY_LOG", &self.log);
        command
    }

    /// Starts the client with the party's arguments and `extra`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&mut self, node: &Node, extra: &[&str]) -> Result<&mut Process> {
        let mut command = self.command(node, &[]);
        command
            .args(self.arguments())
            .args(["--name", node.name()])
            .args(extra);
        let client = node.spawn_command(command, "windows-client")?;
        Ok(self.client.insert(client))
    }

    /// Starts the client and waits until it has joined the room.
    ///
    /// # Errors
    /// When it does not join.
    pub fn join(&mut self, node: &Node, extra: &[&str]) -> Result<()> {
        self.start(node, extra)?.wait_for("joined room", BOOT)
    }

    /// Runs the client to its end, for subcommands and refusals.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn run(&self, node: &Node, arguments: &[&str]) -> Result<Said> {
        finish(&self.command(node, arguments))
    }

    /// What the client says about itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self, node: &Node) -> Result<serde_json::Value> {
        let state = self.state();
        let said = self.run(node, &["status", "--json", "--state-dir", &state])?;
        serde_json::from_str(&said.out)
            .with_context(|| format!("the client's status is not JSON: {said:?}"))
    }

    /// Asks the client to end, as Ctrl-C would on a real Windows, and waits.
    ///
    /// # Errors
    /// When it does not end, or not in order.
    pub fn stop(&mut self, node: &Node) -> Result<()> {
        let state = self.state();
        let said = self.run(node, &["stop", "--state-dir", &state])?;
        anyhow::ensure!(said.code == Some(0), "stop said {said:?}");
        let client = self.client.as_mut().context("no client runs")?;
        let status = client.wait(Duration::from_secs(20))?;
        anyhow::ensure!(
            status.success(),
            "the client ended with {status}:\n{}",
            client.log()
        );
        Ok(())
    }

    /// Does to an adapter what the device manager or a pulled plug does.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn device(&self, node: &Node, verb: &str, adapter: &Adapter) -> Result<()> {
        let mut command = self.prefix.rig_command(node);
        command.arg(verb).arg(adapter.guid());
        let said = finish(&command)?;
        anyhow::ensure!(said.code == Some(0), "{verb}: {said:?}");
        Ok(())
    }
}

/// What a program printed and how it ended.
#[derive(Debug)]
pub struct Said {
    pub out: String,
    pub err: String,
    pub code: Option<i32>,
}

/// A client that should have refused and plays on must not play for ever; one
/// that dials a relay which is not there takes half a minute.
const LIMIT: &str = "90";

fn limited(command: &Command) -> Command {
    let mut limited = Command::new("timeout");
    limited
        .arg(LIMIT)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

fn finish(command: &Command) -> Result<Said> {
    let mut command = limited(command);
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    Ok(Said {
        out: String::from_utf8_lossy(&stdout).replace("\r\n", "\n"),
        err: String::from_utf8_lossy(&stderr).replace("\r\n", "\n"),
        code: status.code(),
    })
}
