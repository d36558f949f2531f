//! One Windows machine: a Wine prefix and the wineserver that serves it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::adapter::Adapter;
use super::rig::Rig;
use crate::node::Node;
use crate::process::Process;
use crate::sandbox;

pub(super) const WINE: &str = "/usr/lib/wine/wine64";
pub(super) const WINESERVER: &str = "/usr/lib/wine/wineserver64";

/// A cold Wine boots its services in some seconds; on a busy two-core machine
/// it has taken four times as long.
pub(super) const BOOT: Duration = Duration::from_secs(60);

/// Which Windows messages Wine prints; for looking into a failing story.
const DEBUG: &str = "LANPARTY_LAB_WINEDEBUG";

/// A machine of its own; dropping it ends everything that runs on it.
#[derive(Debug)]
pub struct Prefix {
    directory: PathBuf,
    adapters: Vec<Adapter>,
}

impl Prefix {
    /// Installs a machine with these adapters, in the lab's own directory.
    ///
    /// # Errors
    /// When the template cannot be copied.
    pub fn install(rig: &Rig, name: &str, adapters: &[Adapter]) -> Result<Self> {
        Self::install_into(
            rig,
            Path::new(sandbox::DIRECTORY).join(format!("{name}-windows")),
            adapters,
        )
    }

    fn install_into(rig: &Rig, directory: PathBuf, adapters: &[Adapter]) -> Result<Self> {
        let status = Command::new("cp")
            .args(["--archive", "--no-target-directory"])
            .arg(rig.template())
            .arg(&directory)
            .status()?;
        anyhow::ensure!(status.success(), "cannot copy the template prefix");
        let mut registry = OpenOptions::new()
            .append(true)
            .open(directory.join("system.reg"))
            .context("the template has no registry")?;
        // Wine reads the file when it starts: a key that stands there twice is
        // one key.
        for (number, adapter) in adapters.iter().enumerate() {
            registry.write_all(adapter.registry(number).as_bytes())?;
        }
        Ok(Self {
            directory,
            adapters: adapters.to_vec(),
        })
    }

    #[must_use]
    pub fn adapters(&self) -> &[Adapter] {
        &self.adapters
    }

    /// Where drive C is on the Linux side.
    #[must_use]
    pub fn drive_c(&self) -> PathBuf {
        self.directory.join("drive_c")
    }

    /// A command that runs a Windows program of this machine on `node`.
    #[must_use]
    pub fn command(&self, node: &Node, program: &Path) -> Command {
        let mut command = node.command(WINE);
        command.arg(program);
        self.environment(&mut command);
        command
    }

    /// A command that runs a Windows program of this machine right here.
    #[must_use]
    pub fn command_here(&self, program: &Path) -> Command {
        let mut command = Command::new(WINE);
        command.arg(program);
        self.environment(&mut command);
        command
    }

    fn environment(&self, command: &mut Command) {
        command
            .env("WINEPREFIX", &self.directory)
            .env(
                "WINEDEBUG",
                std::env::var(DEBUG).unwrap_or_else(|_| "-all".to_owned()),
            )
            .env("WINEARCH", "win64")
            // No Mono and no Gecko; the stand-ins instead of Wine's own.
            .env(
                "WINEDLLOVERRIDES",
                "mscoree,mshtml=;iphlpapi,cfgmgr32,bcryptprimitives=n",
            )
            .env_remove("DISPLAY");
    }

    /// Plugs the far end of an adapter's cable into `node`, which boots the
    /// machine if it does not run yet.
    ///
    /// # Errors
    /// When the driver does not start.
    pub fn plug(&self, node: &Node, adapter: &Adapter) -> Result<Process> {
        let mut command = self.rig_command(node);
        command
            .arg("cable")
            .arg(adapter.guid())
            .arg(adapter.index.to_string())
            .arg(adapter.interface);
        let mut cable = node.spawn_command(command, &format!("cable-{}", adapter.interface))?;
        cable.wait_for("cable ready", BOOT)?;
        Ok(cable)
    }

    /// The rig's own hands inside the machine.
    #[must_use]
    pub fn rig_command(&self, node: &Node) -> Command {
        self.command(node, Path::new("C:\\rig.exe"))
    }

    /// Ends every Windows process of this machine.
    pub fn shut_down(&self) {
        let mut command = Command::new(WINESERVER);
        command
            .arg("-k")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.environment(&mut command);
        let _nothing_ran = command.status();
        // Debian's Wine notes the random name of its socket's directory here.
        let note = self.directory.join("wineserver");
        if let Ok(name) = fs::read_to_string(&note) {
            let _not_there = fs::remove_dir_all(Path::new("/tmp").join(name.trim()));
            let _not_there = fs::remove_file(note);
        }
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Boots a fresh prefix in `directory` and shuts it down once its registry is
/// on disk.
pub(super) fn create(directory: &Path) -> Result<Prefix> {
    fs::create_dir_all(directory)?;
    let prefix = Prefix {
        directory: directory.to_owned(),
        adapters: Vec::new(),
    };
    for (program, arguments) in [(WINE, ["wineboot", "-i"].as_slice()), (WINESERVER, &["-w"])] {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        prefix.environment(&mut command);
        let output = command
            .output()
            .with_context(|| format!("cannot run {program}"))?;
        anyhow::ensure!(
            output.status.success(),
            "{program} {} failed ({}): {}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(prefix)
}
