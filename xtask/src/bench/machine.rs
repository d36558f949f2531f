//! Where and when figures were taken: without that they mean nothing.

use std::fs;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result};
use lanparty_lab::programs;
use serde::{Deserialize, Serialize};

use crate::cargo;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) memory_mib: u64,
    pub(super) kernel: String,
    /// The other tunnels and tools, each in its own words.
    pub(super) versions: Vec<String>,
}

impl Machine {
    pub(super) fn here() -> Result<Self> {
        let cpu = fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
        let memory = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
        let kib: u64 = field(&memory, "MemTotal")
            .and_then(|words| words.split_whitespace().next()?.parse().ok())
            .unwrap_or_default();
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        Ok(Self {
            cpu: field(&cpu, "model name").unwrap_or("unknown").to_owned(),
            cores: thread::available_parallelism()?.get(),
            memory_mib: kib / 1_024,
            kernel: format!("Linux {}", release.trim()),
            versions: versions(),
        })
    }
}

/// When a part was measured, and of which commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) date: String,
    pub(super) commit: String,
}

impl Stamp {
    pub(super) fn now() -> Result<Self> {
        let date = said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]));
        let mut git = Command::new("git");
        git.args(["describe", "--always", "--dirty", "--exclude=*"])
            .current_dir(cargo::workspace());
        Ok(Self {
            date: date.context("cannot run date")?,
            commit: said(&mut git).unwrap_or_else(|| "unknown".to_owned()),
        })
    }
}

/// The first line of what a program prints.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.to_owned())
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

fn versions() -> Vec<String> {
    const PACKAGES: [(&str, &str); 3] = [
        ("openvpn", "OpenVPN"),
        ("softether-vpnserver", "SoftEther"),
        ("iperf3", "iperf3"),
    ];
    let installed = |(package, name): (&str, &str)| {
        let mut query = Command::new(programs::on_system("dpkg-query")?);
        query.args(["--show", "--showformat=${Version}", package]);
        Some(format!("{name} {}", said(&mut query)?))
    };
    PACKAGES.into_iter().filter_map(installed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_what_follows_its_colon() {
        let text = "MemTotal:        8140904 kB\nMemFree: 12 kB\n";
        assert_eq!(field(text, "MemTotal"), Some("8140904 kB"));
        assert_eq!(field(text, "Nothing"), None);
    }
}
