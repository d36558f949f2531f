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

/// Says what is missing before anything is built or installed for a lab.
///
/// # Errors
/// Without root.
pub fn require() -> Result<()> {
    if available() {
        return Ok(());
    }
    bail!("a party needs network namespaces, so it must be run as root (for example with sudo -E)");
}

/// Runs this program again inside a sandbox, with `arguments`.
///
/// # Errors
/// When namespaces cannot be created.
pub fn enter(arguments: impl IntoIterator<Item = String>) -> Result<ExitStatus> {
    enter_with(arguments, &[])
}

/// [`enter`] with additions to the environment.
///
/// # Errors
/// As [`enter`].
pub fn enter_with(
    arguments: impl IntoIterator<Item = String>,
    environment: &[(&str, std::path::PathBuf)],
) -> Result<ExitStatus> {
    require()?;
    let program = env::current_exe().context("cannot find the path of this program")?;
    // The sandbox must end even when this process is killed.
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare"])
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
        .envs(environment.iter().map(|(name, value)| (name, value)))
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

/// Wraps the body of a test that needs a lab: outside, starts the same test
/// again inside a sandbox and passes its result on; inside, runs `body`.
///
/// Without root the test is skipped, and says so.
///
/// # Panics
/// When the test fails inside.
pub fn test<F: FnOnce() -> Result<()>>(body: F) {
    let name = test_name(std::any::type_name::<F>());
    if entered() {
        if let Err(error) = prepare().and_then(|()| body()) {
            panic!("{name}: {error:?}");
        }
        return;
    }
    if !available() {
        eprintln_skip(name);
        return;
    }
    let status = enter([name, "--exact", "--include-ignored", "--nocapture"].map(str::to_owned))
        .unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert!(
        status.success(),
        "{name} failed inside its sandbox ({status})"
    );
}

/// The test harness knows a test by its path without the crate, which is also
/// how the compiler names the closure in its body.
fn test_name(closure: &'static str) -> &'static str {
    let test = closure.strip_suffix("::{{closure}}").unwrap_or(closure);
    test.split_once("::").map_or(test, |(_crate, path)| path)
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
