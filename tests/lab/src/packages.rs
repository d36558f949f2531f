//! The system's packages that a lab runs.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::programs;

/// A program that a lab needs and the Debian package that has it.
#[derive(Clone, Copy, Debug)]
pub struct Needed {
    pub program: &'static str,
    pub package: &'static str,
}

const fn needed(program: &'static str, package: &'static str) -> Needed {
    Needed { program, package }
}

/// What `cargo xtask party` runs besides the project's own programs.
pub const PARTY: &[Needed] = &[
    needed("unshare", "util-linux"),
    needed("setpriv", "util-linux"),
    needed("ip", "iproute2"),
    needed("sysctl", "procps"),
    needed("ping", "iputils-ping"),
    needed("dnsmasq", "dnsmasq-base"),
    needed("udhcpc", "udhcpc"),
];

/// What the end-to-end tests run on top of [`PARTY`].
pub const TESTS: &[Needed] = &[
    needed("avahi-daemon", "avahi-daemon"),
    needed("avahi-browse", "avahi-utils"),
    needed("dbus-daemon", "dbus"),
    needed("dhclient", "isc-dhcp-client"),
    needed("ethtool", "ethtool"),
    needed("dhcpcd", "dhcpcd-base"),
    needed("capsh", "libcap2-bin"),
    needed("atk6-fake_router26", "thc-ipv6"),
    needed("rdisc6", "ndisc6"),
    needed("tshark", "tshark"),
    needed("iperf3", "iperf3"),
    needed("tc", "iproute2"),
    needed("chrt", "util-linux"),
];

/// What `cargo xtask bench` runs on top of [`PARTY`].
pub const BENCH: &[Needed] = &[
    needed("iperf3", "iperf3"),
    needed("ethtool", "ethtool"),
    needed("openssl", "openssl"),
];

/// What the test command compares with.
pub const OPENVPN: &[Needed] = &[needed("openvpn", "openvpn")];

/// What the bench compares with, and can do without.
pub const RIVALS: &[Needed] = &[
    OPENVPN[0],
    needed("vpnserver", "softether-vpnserver"),
    needed("vpnclient", "softether-vpnclient"),
    needed("vpncmd", "softether-vpncmd"),
];

/// What `cargo xtask windows` runs: a compiler with the sources of its standard
/// library, a linker for Windows, and Wine.
pub const WINDOWS: &[Needed] = &[
    needed("/usr/bin/rustc", "rustc-web"),
    needed("/usr/bin/cargo", "cargo-web"),
    needed(
        "/usr/lib/rustlib/src/rust/library/std/Cargo.toml",
        "rust-web-src",
    ),
    needed(
        "/usr/bin/x86_64-w64-mingw32-gcc",
        "gcc-mingw-w64-x86-64-win32",
    ),
    needed("/usr/lib/wine/wine64", "wine64"),
];

/// Installs what is missing when root, else names it.
///
/// # Errors
/// One sentence with the command that installs what is missing.
pub fn ensure(wanted: &[&[Needed]]) -> Result<()> {
    let packages = missing(wanted);
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    let remedy = format!("apt-get install -y --no-install-recommends {list}");
    if !rustix::process::geteuid().is_root() || programs::on_system("apt-get").is_none() {
        bail!("these system packages are missing: {list}; install them with: {remedy}");
    }
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-qq", "-y", "--no-install-recommends"];
    arguments.extend(&packages);
    apt(&arguments)?;
    let still = missing(wanted);
    if still.is_empty() {
        Ok(())
    } else {
        bail!(
            "apt-get installed {list}, but still missing: {}",
            still.join(" ")
        )
    }
}

fn missing(wanted: &[&[Needed]]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = wanted
        .iter()
        .flat_map(|list| list.iter())
        .filter(|needed| programs::on_system(needed.program).is_none())
        .map(|needed| needed.package)
        .collect();
    packages.dedup();
    packages
}

fn apt(arguments: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Packages such as avahi-daemon start a service when they are
        // installed; the lab runs its own, in its own namespaces.
        .env("RUNLEVEL", "1")
        .stdin(Stdio::null())
        .output()
        .context("cannot run apt-get")?;
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "apt-get {} failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
}
