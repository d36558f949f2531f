//! Programs that stand between the load generator's members, each with a
//! processor of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use lanparty_lab::party::file;
use lanparty_lab::{Node, Process, programs};
use serde::Deserialize;

use crate::cargo;

/// The package of the load generator and of the bare forwarder.
pub(super) const PACKAGE: &str = "lanparty-load";
/// A workspace of its own, because the project's has neither tokio nor quinn.
const QUINN: &str = "tests/rivals/quinn-tokio";
const START: Duration = Duration::from_secs(10);
const PORT: u16 = 4_443;

/// What is offered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Of a frame, with its Ethernet header.
    pub(super) bytes: usize,
    /// Many in each datagram, as members send small ones.
    pub(super) bundled: bool,
    pub(super) seconds: u64,
    /// Rooms of two members each.
    pub(super) rooms: u16,
    /// Instead: members of one room who hear what one of them says.
    pub(super) hearers: Option<u16>,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            bytes: 1_300,
            bundled: false,
            seconds: 3,
            rooms: 1,
            hearers: None,
        }
    }
}

/// What came through, as the generator tells it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Outcome {
    frames: f64,
    seconds: f64,
    cpu_seconds: f64,
}

impl Outcome {
    pub(super) fn microseconds_per_frame(&self) -> Option<f64> {
        let counts = self.frames > 0.0 && self.cpu_seconds > 0.0;
        counts.then(|| self.cpu_seconds * 1e6 / self.frames)
    }

    pub(super) fn per_second(&self) -> f64 {
        self.frames / self.seconds
    }
}

/// A forwarder that runs, on a host of its own.
#[derive(Debug)]
pub(super) struct Middle {
    name: &'static str,
    /// How the generator calls it.
    kind: &'static str,
    node: Node,
    process: Process,
    certificate: Option<PathBuf>,
}

impl Middle {
    pub(super) const RELAY: &'static str = "relay";
    pub(super) const FORWARDER: &'static str = "forwarder";
    pub(super) const QUINN: &'static str = "quinn on tokio";

    /// What is the project's own: the relay and the bound.
    pub(super) fn ours() -> Result<Vec<Self>> {
        Ok(vec![Self::relay()?, Self::forwarder()?])
    }

    /// All of them; without quinn on tokio where that cannot be built.
    pub(super) fn all() -> Result<Vec<Self>> {
        let mut all = Self::ours()?;
        match Self::quinn() {
            Ok(quinn) => all.push(quinn),
            Err(error) => eprintln!("without quinn on tokio: {error:#}"),
        }
        Ok(all)
    }

    pub(super) fn relay() -> Result<Self> {
        let certificate = file("middle-relay.der");
        Self::start(Self::RELAY, "relay", Some(certificate.clone()), |node| {
            let mut command = pinned(node, 0, programs::find("lanparty-relay")?);
            command.args(["--listen", &address().to_string(), "--state-dir"]);
            command.arg(file("middle-relay-state"));
            command.arg("--dev-cert-der-out").arg(&certificate);
            // Limits that protect a public relay would be what is measured.
            for flag in [
                "--max-connections-per-address",
                "--max-handshakes-per-address",
                "--max-rooms-per-address",
            ] {
                command.args([flag, "1000"]);
            }
            command.args(["--player-bandwidth", "100000", "--player-flood", "10000000"]);
            Ok(command)
        })
    }

    fn forwarder() -> Result<Self> {
        Self::start(Self::FORWARDER, "bare", None, |node| {
            let mut command = pinned(node, 0, programs::find("forwarder")?);
            command.args(["--listen", &address().to_string()]);
            Ok(command)
        })
    }

    fn quinn() -> Result<Self> {
        let certificate = file("middle-quinn.der");
        Self::start(Self::QUINN, "quic", Some(certificate.clone()), |node| {
            let program = quinn_target().join("release/quinn-tokio");
            anyhow::ensure!(program.is_file(), "it is not built");
            let mut command = pinned(node, 0, program);
            command.arg(address().to_string()).arg(&certificate);
            Ok(command)
        })
    }

    fn start(
        name: &'static str,
        kind: &'static str,
        certificate: Option<PathBuf>,
        command: impl FnOnce(&Node) -> Result<Command>,
    ) -> Result<Self> {
        let node = Node::new("middle")?;
        let mut process = node.spawn_command(command(&node)?, kind)?;
        process.wait_for("listening", START)?;
        Ok(Self {
            name,
            kind,
            node,
            process,
            certificate,
        })
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// Offers all that it can carry.
    pub(super) fn carry(&self, load: &Load) -> Result<Outcome> {
        let mut command = pinned(&self.node, 1, programs::find("load")?);
        command.args(["--through", self.kind, "--address", &address().to_string()]);
        command.args(["--process", &self.process.pid().to_string()]);
        command.args(["--frame", &load.bytes.to_string()]);
        command.args(["--seconds", &load.seconds.to_string()]);
        if load.bundled {
            command.arg("--bundled");
        }
        if let Some(certificate) = &self.certificate {
            command.arg("--certificate").arg(certificate);
        }
        match load.hearers {
            Some(hearers) => command.args(["--hearers", &hearers.to_string()]),
            None => command.args(["--rooms", &load.rooms.to_string()]),
        };
        let output = command.output().context("cannot run the load generator")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str(last).with_context(|| {
            let said = String::from_utf8_lossy(&output.stderr);
            format!("{}: the load generator failed: {said}", self.name)
        })
    }
}

/// Builds the load generator and the bare forwarder.
pub(super) fn build_ours(is_release: bool) -> Result<()> {
    let mut arguments = vec!["build", "--package", PACKAGE, "--bins"];
    if is_release {
        arguments.push("--release");
    }
    cargo::run(&arguments)
}

/// Builds what the bench measures; quinn on tokio may be missing afterwards.
pub(super) fn build() -> Result<()> {
    build_ours(true)?;
    let manifest = cargo::workspace().join(QUINN).join("Cargo.toml");
    let built = cargo::run(&[
        "build",
        "--release",
        "--locked",
        "--manifest-path",
        &manifest.to_string_lossy(),
        "--target-dir",
        &quinn_target().to_string_lossy(),
    ]);
    if let Err(error) = built {
        eprintln!("without quinn on tokio: {error:#}");
    }
    Ok(())
}

fn quinn_target() -> PathBuf {
    cargo::workspace().join("target/rivals")
}

fn address() -> SocketAddr {
    ([127, 0, 0, 1], PORT).into()
}

fn pinned(node: &Node, processor: u32, program: PathBuf) -> Command {
    let mut command = node.command("taskset");
    command
        .args(["--cpu-list", &processor.to_string()])
        .arg(program);
    command
}
