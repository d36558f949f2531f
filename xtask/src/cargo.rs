//! Running cargo and its subcommands for this workspace.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// Runs cargo in the workspace with the user's terminal.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(workspace());
    status(&mut command, &format!("cargo {}", arguments.join(" ")))
}

const PROGRAMS: [&str; 3] = [
    "lanparty-relay",
    "lanparty-gateway",
    "lanparty-client-linux",
];

/// Builds the programs in the profile that this program was built in.
pub(crate) fn build_programs() -> Result<()> {
    if cfg!(debug_assertions) {
        build(&[])
    } else {
        build_release_programs()
    }
}

/// Builds the programs as they are shipped.
pub(crate) fn build_release_programs() -> Result<()> {
    build(&["--release"])
}

/// Builds an example that the bench runs.
pub(crate) fn build_release_example(package: &str, example: &str) -> Result<()> {
    run(&[
        "build",
        "--release",
        "--package",
        package,
        "--example",
        example,
    ])
}

fn build(extra: &[&str]) -> Result<()> {
    let packages = PROGRAMS.iter().flat_map(|package| ["--package", package]);
    let arguments: Vec<&str> = ["build", "--bins"]
        .into_iter()
        .chain(packages)
        .chain(extra.iter().copied())
        .collect();
    run(&arguments)
}

/// A cargo subcommand, installed into the workspace's target directory when
/// the machine does not have it.
pub(crate) struct Tool {
    /// As in `cargo NAME`; the crate is called `cargo-NAME`.
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
}

impl Tool {
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<()> {
        self.run_with(arguments, &[])
    }

    /// [`Self::run`] with additions to the environment.
    pub(crate) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
        let program = self.find_or_install()?;
        let mut command = Command::new(program);
        command
            .arg(self.name)
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(workspace());
        status(
            &mut command,
            &format!("cargo {} {}", self.name, arguments.join(" ")),
        )
    }

    fn find_or_install(&self) -> Result<PathBuf> {
        let program = format!("cargo-{}", self.name);
        let root = workspace().join("target/tools");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path)
            .chain([root.join("bin")])
            .map(|directory| directory.join(&program))
            .find(|candidate| candidate.is_file());
        if let Some(found) = found {
            return Ok(found);
        }
        println!(
            "installing {program} {} into target/tools (once; some minutes)",
            self.version
        );
        let root_text = root.to_string_lossy();
        run(&[
            "install",
            "--locked",
            "--quiet",
            "--root",
            &root_text,
            "--version",
            self.version,
            &program,
        ])?;
        Ok(root.join("bin").join(program))
    }
}

/// Runs a command with the user's terminal; `what` names it in the error.
pub(crate) fn status(command: &mut Command, what: &str) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {what}"))?;
    if !status.success() {
        bail!("{what} failed ({status})");
    }
    Ok(())
}
