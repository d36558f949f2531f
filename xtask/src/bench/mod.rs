//! `cargo xtask bench`: ratios measured in one run.
//!
//! Absolute figures say more about the machine than about the programs; only
//! ratios from one run are worth comparing.

mod comparison;
mod flood;
pub(crate) mod gate;
mod goals;
mod hostile;
mod latency;
mod machine;
mod memory;
mod middle;
mod parts;
mod plot;
mod progress;
mod record;
mod relay;
mod report;
mod scaling;
mod shaped;
mod statistics;
mod svg;
mod tap;
mod tunnel;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum as _;
use lanparty_lab::party::HOST1;
use lanparty_lab::pings::Pings;
use lanparty_lab::{Party, packages, programs, sandbox};

use crate::cargo;
use parts::Part;
use progress::Progress;
use report::Report;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often each figure is measured; the median counts
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Seconds of each throughput run
    #[arg(long, default_value_t = 3)]
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
    /// Write report.json, report.txt and the plots there; parts that were not
    /// measured now are kept from an earlier report
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    /// Make docs/benchmarks.md from report.json in the directory of --out,
    /// and measure nothing
    #[arg(long, requires = "out")]
    record: bool,
    /// Only whether speed was lost, as the test command asks it
    #[arg(long)]
    gate: bool,
    #[arg(skip)]
    progress: Progress,
}

impl Arguments {
    /// Tells whoever waits what happens now, and how long the rest will take.
    fn say(&self, what: &str) {
        self.progress.say(what);
    }

    fn wanted(&self) -> Vec<Part> {
        let all = Part::value_variants().iter().copied();
        all.filter(|part| self.only.is_empty() || self.only.contains(part))
            .collect()
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if sandbox::entered() {
        return if arguments.gate {
            gate::inside()
        } else {
            inside(arguments)
        };
    }
    if arguments.gate {
        cargo::build_programs()?;
        gate::run()?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.record {
        let directory = arguments.out.as_ref().context("--record needs --out")?;
        record::write(&Report::load(directory)?, cargo::workspace())?;
        return Ok(ExitCode::SUCCESS);
    }
    sandbox::require()?;
    packages::ensure(&[packages::PARTY, packages::BENCH])?;
    if let Err(error) = packages::ensure(&[packages::RIVALS]) {
        eprintln!("{error:#}");
    }
    cargo::build_release_programs()?;
    if arguments.wanted().contains(&Part::Tap) {
        cargo::build_release_example(tap::PACKAGE, tap::PUMP)?;
    }
    let frames = [Part::Relay, Part::Scaling];
    if arguments.wanted().iter().any(|part| frames.contains(part)) {
        middle::build()?;
    }
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
    let wanted = arguments.wanted();
    let about = |part: &Part| part.about(arguments);
    arguments.progress.expect(wanted.iter().map(about));
    let mut report = match &arguments.out {
        Some(directory) => Report::load_or_new(directory)?,
        None => Report::new()?,
    };
    let mut failed = Vec::new();
    for part in wanted {
        // The rest is worth having when one part fails after many minutes.
        if let Err(error) = report.parts.measure(part, arguments) {
            eprintln!("{part}: {error:#}");
            failed.push(part.to_string());
        }
        arguments.progress.done();
        if let Some(directory) = &arguments.out {
            report.save(directory)?;
        }
    }
    if arguments.json {
        println!("{}", report.json()?);
    } else {
        print!("{}", report.text());
    }
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    Ok(ExitCode::SUCCESS)
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
