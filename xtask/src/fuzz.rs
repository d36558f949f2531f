//! `cargo xtask fuzz`: grows the corpora that the ordinary tests replay.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::cargo::{self, Tool};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long in all; each target gets an equal share
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
    /// Only this target; may be repeated
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,
}

const FUZZ: Tool = Tool {
    name: "fuzz",
    version: "0.13.2",
};
const DIRECTORY: &str = "target/fuzz";
/// An input that takes longer is a finding too. Chosen far above what the
/// slowest target, the journal, takes on a busy disk.
const TIMEOUT: &str = "-timeout=20";

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let all = names(&cargo::workspace().join("fuzz/fuzz_targets"))?;
    let unknown = arguments.targets.iter().find(|name| !all.contains(*name));
    if let Some(unknown) = unknown {
        let all: Vec<_> = all.into_iter().collect();
        bail!(
            "there is no fuzz target {unknown:?}; there are {}",
            all.join(", ")
        );
    }
    let chosen: Vec<&String> = all
        .iter()
        .filter(|name| arguments.targets.is_empty() || arguments.targets.contains(name))
        .collect();
    // Apart, so that only a finding can make a run fail.
    build()?;
    let share = (arguments.minutes * 60 / u32::try_from(chosen.len())?).max(5);
    let mut broken = Vec::new();
    for (number, target) in chosen.iter().enumerate() {
        println!(
            "── {target} ({} of {}), {share} s",
            number + 1,
            chosen.len()
        );
        let corpus = cargo::workspace().join("fuzz/corpus").join(target);
        let before = names(&corpus)?.len();
        if let Err(error) = grow(target, share) {
            println!("   {error:#}");
            broken.push(target.as_str());
            continue;
        }
        println!("   {} inputs reach new code", keep(target)? - before);
    }
    if broken.is_empty() {
        println!("nothing broke; commit the new files of fuzz/corpus that are worth keeping");
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "broken: {}; the inputs are in fuzz/artifacts: mend the code, then move them into fuzz/corpus",
        broken.join(", ")
    );
    Ok(ExitCode::FAILURE)
}

/// Where a target's finds wait until those that matter are kept.
fn finds(target: &str) -> String {
    format!("{DIRECTORY}/finds/{target}")
}

fn grow(target: &str, seconds: u32) -> Result<()> {
    let finds = finds(target);
    fs::create_dir_all(cargo::workspace().join(&finds))?;
    let corpus = format!("fuzz/corpus/{target}");
    fuzzer(
        target,
        &[&finds, &corpus],
        &[&format!("-max_total_time={seconds}")],
    )
}

/// Moves the finds that reach code which the corpus does not into the corpus,
/// and returns the size of that.
fn keep(target: &str) -> Result<usize> {
    let corpus = format!("fuzz/corpus/{target}");
    // By code reached, not by how often: counts would keep hundreds.
    let options = ["-merge=1", "-use_counters=0"];
    fuzzer(target, &[&corpus, &finds(target)], &options)?;
    Ok(names(&cargo::workspace().join(corpus))?.len())
}

/// Builds every target with coverage, which needs flags that the compiler calls
/// unstable. Without sanitizers: they look for errors that code without
/// `unsafe` does not have.
fn build() -> Result<()> {
    let arguments = ["build", "--sanitizer", "none", "--target-dir", DIRECTORY];
    FUZZ.run_with(&arguments, &[("RUSTC_BOOTSTRAP", "1")])
}

fn fuzzer(target: &str, directories: &[&str], options: &[&str]) -> Result<()> {
    let artifacts = format!("fuzz/artifacts/{target}/");
    fs::create_dir_all(cargo::workspace().join(&artifacts))?;
    let program = format!(
        "{DIRECTORY}/{}-unknown-linux-gnu/release/{target}",
        std::env::consts::ARCH
    );
    let log = format!("{DIRECTORY}/{target}.log");
    let output = File::create(cargo::workspace().join(&log))?;
    let mut command = Command::new(cargo::workspace().join(program));
    command
        // The replay refuses larger inputs.
        .args(["-max_len=4096", TIMEOUT, "-verbosity=0"])
        .arg(format!("-artifact_prefix={artifacts}"))
        .args(options)
        .args(directories)
        .stdout(output.try_clone()?)
        .stderr(output)
        .current_dir(cargo::workspace());
    cargo::status(
        &mut command,
        &format!("the fuzz target {target} (its words: {log})"),
    )
}

fn names(directory: &Path) -> Result<BTreeSet<String>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    entries
        .map(|entry| {
            let path = entry?.path();
            Ok(path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned())
        })
        .collect()
}
