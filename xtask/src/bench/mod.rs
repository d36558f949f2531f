//! `cargo xtask bench`: ratios measured in one run.
//!
//! Absolute figures say more about the machine than about the programs; only
//! ratios from one run are worth comparing.

mod flood;
mod hostile;
mod memory;
mod tunnel;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use lanparty_lab::party::HOST1;
use lanparty_lab::pings::Pings;
use lanparty_lab::{Party, packages, programs, sandbox};
use serde::Serialize;

use crate::cargo;
use crate::table::columns;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often each figure is measured; the median counts
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Seconds of each throughput run
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Minutes in which members come and go while the relay's memory is watched
    #[arg(long, default_value_t = 2)]
    churn_minutes: u64,
    /// Only this part; may be repeated
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Throughput, latency and CPU: sealed, in clear, and OpenVPN
    Tunnel,
    /// A room while strangers begin thousands of handshakes a second
    Flood,
    /// A room while one member does its worst
    Hostile,
    /// The relay's memory for each idle member, and while members come and go
    Memory,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel: Option<tunnel::Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flood: Option<flood::Report>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hostile: Vec<hostile::Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<memory::Report>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if sandbox::entered() {
        return inside(arguments);
    }
    sandbox::require()?;
    packages::ensure(&[packages::PARTY, packages::BENCH])?;
    cargo::build_release_programs()?;
    let status = sandbox::enter_with(
        std::env::args().skip(1),
        &[(
            programs::DIRECTORY,
            cargo::workspace().join("target/release"),
        )],
    )?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

fn inside(arguments: &Arguments) -> Result<ExitCode> {
    sandbox::prepare()?;
    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let mut report = Report::default();
    if wanted(Part::Tunnel) {
        report.tunnel = Some(tunnel::measure(arguments)?);
    }
    if wanted(Part::Flood) {
        eprintln!("a flood of handshakes");
        report.flood = Some(flood::measure()?);
    }
    if wanted(Part::Hostile) {
        report.hostile = hostile::measure()?;
    }
    if wanted(Part::Memory) {
        report.memory = Some(memory::measure(Duration::from_secs(
            arguments.churn_minutes * 60,
        ))?);
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print_tables(&report);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_tables(report: &Report) {
    let tables = [
        report.tunnel.as_ref().map(tunnel::Report::rows),
        report.flood.as_ref().map(flood::Report::rows),
        (!report.hostile.is_empty()).then(|| hostile::rows(&report.hostile)),
        report.memory.as_ref().map(memory::Report::rows),
    ];
    let tables: Vec<String> = tables
        .into_iter()
        .flatten()
        .map(|rows| columns(&rows))
        .collect();
    print!("{}", tables.join("\n"));
}

/// One line of a table.
fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// What a player's pings to a LAN host look like at the moment: a ping every
/// 5 ms for as long as a fight in a game lasts.
fn game(party: &Party) -> Result<Pings> {
    let player = party.players.first().context("nobody came")?;
    Pings::run(&player.node, HOST1.into(), Duration::from_millis(5), 1_000)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

fn percent(share: f64) -> String {
    format!("{:.2}", share * 100.0)
}
