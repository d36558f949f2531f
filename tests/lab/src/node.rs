//! One host of the lab.

use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::Process;
use crate::wait;

/// A host: a network namespace, a `/run` and a `/sys` of its own, and the
/// machine's files otherwise.
#[derive(Debug)]
pub struct Node {
    name: String,
    /// Holds the namespaces open; it sleeps until the node is dropped.
    anchor: Child,
}

const ANCHOR: &str = "mount -t tmpfs -o mode=0755 run /run && mount -t sysfs sysfs /sys && ip link set lo up && echo ready && exec sleep infinity";

impl Node {
    /// Boots a host without any interface but loopback.
    ///
    /// # Errors
    /// When its namespaces cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        let mut anchor = Command::new("unshare")
            .args([
                "--net",
                "--mount",
                "--uts",
                "--propagation",
                "private",
                "--",
                "sh",
                "-ec",
            ])
            .arg(format!("hostname {name} && {ANCHOR}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run unshare")?;
        let mut ready = [0; 6];
        let mut stdout = anchor.stdout.take().context("the anchor has no output")?;
        std::io::Read::read_exact(&mut stdout, &mut ready)
            .with_context(|| format!("cannot boot the host {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            anchor,
        })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process whose namespaces are the host's.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.anchor.id()
    }

    /// A command that will run on this host.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args([
                "--net",
                "--mount",
                "--uts",
                "--target",
                &self.pid().to_string(),
                "--",
            ])
            .arg(program);
        command
    }

    /// Runs a line of shell on this host and returns what it printed.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn sh(&self, line: &str) -> Result<String> {
        let output = self
            .command("sh")
            .args(["-ec", line])
            .stdin(Stdio::null())
            .output()?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!(
                "on {}: `{line}` failed ({}): {}{}",
                self.name,
                output.status,
                stdout.trim(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(stdout)
    }

    /// Starts a program on this host; its log is `HOST-PROGRAM.log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, program: &Path, arguments: &[&str]) -> Result<Process> {
        let mut command = self.command(program);
        command.args(arguments);
        self.spawn_command(
            command,
            &program.file_name().unwrap_or_default().to_string_lossy(),
        )
    }

    /// Starts a command made by [`Self::command`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_command(&self, command: Command, label: &str) -> Result<Process> {
        Process::start(&format!("{}-{label}", self.name), command)
    }

    /// Runs `body` on a thread that is on this host, so that the sockets it
    /// opens are this host's and stay so.
    ///
    /// # Errors
    /// Whatever `body` returns, with the host's name.
    pub fn inside<T: Send>(&self, body: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let path = format!("/proc/{}/ns/net", self.pid());
        let namespace = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                    body()
                })
                .join()
                .map_err(|_| anyhow!("a thread on {} panicked", self.name))?
                .with_context(|| format!("on {}", self.name))
        })
    }

    /// The first IPv4 address of an interface, if it has one.
    ///
    /// # Errors
    /// When the interface does not exist.
    pub fn ipv4(&self, interface: &str) -> Result<Option<Ipv4Addr>> {
        let text = self.sh(&format!("ip -o -4 addr show dev {interface}"))?;
        Ok(text
            .split_whitespace()
            .skip_while(|word| *word != "inet")
            .nth(1)
            .and_then(|address| address.split('/').next())
            .and_then(|address| address.parse().ok()))
    }

    /// The link-local IPv6 address of an interface, once it is usable.
    ///
    /// # Errors
    /// When the interface does not exist.
    pub fn ipv6_link_local(&self, interface: &str) -> Result<Option<Ipv6Addr>> {
        let text = self.sh(&format!(
            "ip -o -6 addr show dev {interface} scope link -tentative"
        ))?;
        Ok(text
            .split_whitespace()
            .skip_while(|word| *word != "inet6")
            .nth(1)
            .and_then(|address| address.split('/').next())
            .and_then(|address| address.parse().ok()))
    }

    /// Waits for an IPv4 address on an interface that may not exist yet.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn wait_for_ipv4(&self, interface: &str, limit: Duration) -> Result<Ipv4Addr> {
        wait::until(
            &format!("{} to have an address on {interface}", self.name),
            limit,
            || self.ipv4(interface).ok().flatten(),
        )
    }

    /// The MAC address of an interface.
    ///
    /// # Errors
    /// When the interface does not exist.
    pub fn mac(&self, interface: &str) -> Result<lanparty_proto::MacAddr> {
        let text = self.sh(&format!("cat /sys/class/net/{interface}/address"))?;
        text.trim()
            .parse()
            .with_context(|| format!("{interface} has an odd address: {text}"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _gone_already = self.anchor.kill();
        let _gone_already = self.anchor.wait();
    }
}
