//! Private namespaces around a whole lab.
//!
//! `unshare` starts this same program again as PID 1 of a PID namespace, with
//! its own mounts and network. When it ends, by exit, Ctrl-C, crash or
//! `kill -9`, the kernel ends every process inside and takes the interfaces,
//! mounts and files of the lab with them: there is no clean-up to forget.

use std::env;
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, Result, bail};

/// Set inside the sandbox, so that a program knows on which side it is.
const MARK: &str = "LANPARTY_LAB_SANDBOX";
/// A directory that every Linux has and no program under test uses; a tmpfs
/// covers it inside the sandbox, and logs and state of the lab live there.
pub const DIRECTORY: &str = "/mnt";

/// True inside the sandbox.
#[must_use]
pub fn entered() -> bool {
    env::var_os(MARK).is_some()
}

/// True where this process may create namespaces.
#[must_use]
pub fn available() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs this program again inside a sandbox, with `arguments`.
///
/// # Errors
/// When namespaces cannot be created.
pub fn enter(arguments: impl IntoIterator<Item = String>) -> Result<ExitStatus> {
    if !available() {
        bail!(
            "a party needs network namespaces, so it must be run as root (try: sudo -E cargo xtask party)"
        );
    }
    let program = env::current_exe().context("cannot find the path of this program")?;
    Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--ipc",
            "--uts",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["--propagation", "private", "--"])
        .arg(program)
        .args(arguments)
        .env(MARK, "1")
        .status()
        .context("cannot run `unshare`; it comes with the package util-linux")
}

/// Prepares the inside of the sandbox: the lab's own file system and loopback.
///
/// # Errors
/// When a mount or an interface cannot be set up.
pub fn prepare() -> Result<()> {
    if !entered() {
        bail!("this must run inside the lab's sandbox");
    }
    sh(
        "mount -t tmpfs -o mode=0755 lab /mnt && mount -t tmpfs -o mode=0755 run /run && ip link set lo up",
    )
}

/// Wraps a test that needs a lab: outside, starts the test again inside a
/// sandbox and passes its result on; inside, runs `body`.
///
/// Without root the test is skipped, and says so.
///
/// # Panics
/// When the test fails inside.
pub fn test(name: &str, body: impl FnOnce() -> Result<()>) {
    if entered() {
        let outcome = prepare().and_then(|()| body());
        if let Err(error) = outcome {
            panic!("{name}: {error:?}");
        }
        return;
    }
    if !available() {
        eprintln_skip(name);
        return;
    }
    let status = enter([
        name.to_owned(),
        "--exact".to_owned(),
        "--nocapture".to_owned(),
    ])
    .unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert!(
        status.success(),
        "{name} failed inside its sandbox ({status})"
    );
}

#[expect(
    clippy::print_stderr,
    reason = "a skipped test must be seen in the test's output"
)]
fn eprintln_skip(name: &str) {
    eprintln!("SKIPPED {name}: network namespaces need root");
}

/// Runs a line of shell and returns an error with its output when it fails.
pub(crate) fn sh(line: &str) -> Result<()> {
    let output = Command::new("sh")
        .args(["-ec", line])
        .output()
        .context("cannot run sh")?;
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "`{line}` failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
}
