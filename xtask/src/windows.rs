//! `cargo xtask windows`: the rig in which the Windows player is tested.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use lanparty_lab::windows::{self, Adapter, Prefix, Rig, cross_cargo};
use lanparty_lab::{Process, packages, sandbox, wait};
use serde_json::Value;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Then run the unit tests of the Windows code under Wine
    #[arg(long)]
    tests: bool,
    /// Inside the sandbox: pairs of a directory and a test program
    #[arg(long, hide = true, num_args = 1..)]
    run_units: Vec<PathBuf>,
}

const PROGRAMS: &[&str] = &["lanparty-client-win"];

/// Crates whose unit tests run under Wine: those with code for Windows, and
/// those that everything else rests on.
const UNIT_TESTED: &[&str] = &[
    "lanparty-proto",
    "lanparty-ctrl",
    "lanparty-l2",
    "lanparty-net",
    "lanparty-seal",
    "lanparty-client-core",
    "lanparty-transport",
    "lanparty-os",
    "lanparty-client-tap",
    "lanparty-client-route",
    "lanparty-member-cli",
    "lanparty-player",
    "lanparty-client-win",
];

/// Crates with a `tests/windows.rs`, for a prefix with one ordinary adapter.
const ADAPTER_TESTED: &[&str] = &["lanparty-client-tap", "lanparty-client-route"];

/// A test that hangs under Wine must not hang everything.
const UNIT_LIMIT: Duration = Duration::from_secs(180);

/// Why there can be no rig on this machine.
#[derive(Debug)]
pub(crate) struct Unavailable(pub(crate) String);

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if sandbox::entered() {
        return units_inside(&arguments.run_units);
    }
    sandbox::require()?;
    if let Err(Unavailable(reason)) = prepare()? {
        bail!("{reason}");
    }
    if arguments.tests {
        unit_tests()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Installs packages, builds the rig and the programs. What other tests find
/// when it is not available is left behind as a sentence.
pub(crate) fn prepare() -> Result<std::result::Result<(), Unavailable>> {
    let start = wait::now();
    println!("system packages: another Rust with its sources, mingw, Wine (2 GB, once)");
    let _not_there = std::fs::remove_file(windows::skipped());
    if let Err(error) = packages::ensure(&[packages::WINDOWS]).and_then(|()| new_enough()) {
        let reason = format!("the Windows player cannot be tested here: {error:#}");
        if let Some(directory) = windows::skipped().parent() {
            std::fs::create_dir_all(directory)?;
        }
        std::fs::write(windows::skipped(), &reason)?;
        return Ok(Err(Unavailable(reason)));
    }
    windows::build(|step| println!("{step}"))?;
    println!("cross-building {}", PROGRAMS.join(", "));
    let mut cargo = cross_cargo("build");
    for program in PROGRAMS {
        cargo.args(["--package", program]);
    }
    let status = cargo.stdin(Stdio::null()).status()?;
    ensure!(status.success(), "the cross-build failed ({status})");
    println!("the Windows rig is ready ({} s)", start.elapsed().as_secs());
    Ok(Ok(()))
}

/// The distribution may have had an older compiler under the same name.
fn new_enough() -> Result<()> {
    let needed = env!("CARGO_PKG_RUST_VERSION");
    let output = Command::new("/usr/bin/rustc").arg("--version").output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        version(&said).is_some_and(|found| Some(found) >= version(needed)),
        "/usr/bin/rustc is {}, older than {needed}; put the package rustc-web in its place",
        said.trim()
    );
    Ok(())
}

/// Major and minor number of the first word that looks like a version.
fn version(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let mut numbers = word.split('.').map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    })
}

/// Runs the unit tests of the Windows code under Wine.
pub(crate) fn unit_tests() -> Result<()> {
    println!("cross-building unit tests");
    let mut tests = build_tests(UNIT_TESTED, &["--lib", "--bins"])?;
    tests.extend(build_tests(ADAPTER_TESTED, &["--test", "windows"])?);
    ensure!(!tests.is_empty(), "cargo built no tests for Windows");
    let pairs = tests.into_iter().flat_map(|(directory, program)| {
        [directory, program].map(|path| path.to_string_lossy().into_owned())
    });
    let arguments = ["windows", "--run-units"].map(str::to_owned);
    let status = sandbox::enter(arguments.into_iter().chain(pairs))?;
    ensure!(status.success(), "unit tests failed under Wine");
    Ok(())
}

fn build_tests(packages: &[&str], which: &[&str]) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut cargo = cross_cargo("test");
    for package in packages {
        cargo.args(["--package", package]);
    }
    let output = cargo
        .args(which)
        .args(["--no-run", "--message-format=json-render-diagnostics"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "the cross-build of the tests failed ({})",
        output.status
    );
    Ok(test_programs(&String::from_utf8_lossy(&output.stdout)))
}

/// Package directory and program of every test that cargo reports.
fn test_programs(messages: &str) -> Vec<(PathBuf, PathBuf)> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message.pointer("/profile/test") == Some(&Value::Bool(true)))
        .filter_map(|message| {
            let manifest = message.get("manifest_path")?.as_str()?.to_owned();
            let program = message.get("executable")?.as_str()?;
            Some((Path::new(&manifest).parent()?.to_owned(), program.into()))
        })
        .collect()
}

fn units_inside(pairs: &[PathBuf]) -> Result<ExitCode> {
    sandbox::prepare()?;
    let rig = Rig::find()?;
    let adapter = Adapter::ordinary();
    adapter.stand_in_link()?;
    Adapter::stand_in_home()?;
    let prefix = Prefix::install(&rig, "units", &[adapter])?;
    let mut failed = Vec::new();
    for pair in pairs.chunks_exact(2) {
        let [directory, program] = pair else { continue };
        let name = program.file_stem().unwrap_or_default().to_string_lossy();
        let mut command = prefix.command_here(program);
        command.current_dir(directory);
        let mut process = Process::start(&name, command)?;
        let outcome = process.wait(UNIT_LIMIT).context("under Wine");
        let log = process.log();
        let summary = log.lines().find(|line| line.starts_with("test result"));
        if outcome
            .as_ref()
            .is_ok_and(std::process::ExitStatus::success)
            && summary.is_some()
        {
            println!("{name}: {}", summary.unwrap_or_default());
        } else {
            println!("{name} FAILED ({outcome:?})\n{log}");
            failed.push(name.into_owned());
        }
    }
    drop(prefix);
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        println!("failed under Wine: {}", failed.join(", "));
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_compiler_is_told_by_its_version() {
        assert_eq!(
            version("rustc 1.96.0 (ac68faa20 2026-05-25)"),
            Some((1, 96))
        );
        assert!(version("rustc 1.63.0") < version("1.95"));
        assert_eq!(version("sh: not found"), None);
    }

    #[test]
    fn finds_the_test_programs_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","profile":{"test":false},"executable":"/t/a.exe"}
not json
{"reason":"compiler-artifact","manifest_path":"/w/b/Cargo.toml","profile":{"test":true},"executable":"/t/b.exe"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(
            test_programs(messages),
            [(PathBuf::from("/w/b"), PathBuf::from("/t/b.exe"))]
        );
    }
}
