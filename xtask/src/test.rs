//! `cargo xtask test`: everything that must hold before a change lands.

use std::process::ExitCode;

use anyhow::Result;
use lanparty_lab::{packages, sandbox};

use crate::cargo::{self, Tool};
use crate::{bench, windows};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Leave out formatting, lints and licences
    #[arg(long)]
    only_tests: bool,
}

const NEXTEST: Tool = Tool {
    name: "nextest",
    version: "0.9.143",
};
const DENY: Tool = Tool {
    name: "deny",
    version: "0.20.2",
};

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if sandbox::available() {
        step("system packages");
        packages::ensure(&[packages::PARTY, packages::TESTS, packages::BENCH])?;
        if let Err(error) = packages::ensure(&[packages::RIVALS]) {
            println!("SKIPPED, what compares with other tunnels: {error:#}");
        }
    } else {
        println!("not root: tests that need network namespaces will be skipped and say so");
    }
    if !arguments.only_tests {
        step("formatting");
        cargo::run(&["fmt", "--all", "--check"])?;
        step("lints");
        cargo::run(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "--deny",
            "warnings",
        ])?;
        step("bans, licences and sources of dependencies");
        DENY.run(&[
            "--log-level",
            "error",
            "check",
            "bans",
            "licenses",
            "sources",
        ])?;
    }
    step("programs");
    // Not this program: built beside the others it has other features, and
    // could not find itself again after its file was replaced.
    cargo::run(&[
        "build",
        "--workspace",
        "--exclude",
        "xtask",
        "--bins",
        "--quiet",
    ])?;
    if sandbox::available() {
        step("the Windows player, cross-built and under Wine");
        match windows::prepare()? {
            Ok(()) => windows::unit_tests()?,
            Err(windows::Unavailable(reason)) => println!("SKIPPED: {reason}"),
        }
    }
    // Before the tests, which build this program anew: see above.
    step("speed, against OpenVPN and without a seal");
    bench::gate::run()?;
    step("tests");
    NEXTEST.run(&["run", "--workspace", "--no-fail-fast"])?;
    println!("everything passed");
    Ok(ExitCode::SUCCESS)
}

fn step(name: &str) {
    println!("── {name}");
}
