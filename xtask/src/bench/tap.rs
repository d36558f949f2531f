//! Inner TCP through two TAPs that our own code joins, with offloads and
//! without: what they are worth before QUIC and the network cost anything.

use std::time::Duration;

use anyhow::{Context as _, Result};
use lanparty_lab::{Node, iperf};
use serde::{Deserialize, Serialize};

use super::parts::Measured;
use super::statistics::median;
use super::{Arguments, row};
use crate::cargo;

/// The program that joins the two adapters.
pub(super) const PACKAGE: &str = "lanparty-client-tap";
pub(super) const PUMP: &str = "pump";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    with: Figures,
    without: Figures,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Figures {
    megabits: f64,
    /// Of the program between the adapters.
    cpu_seconds_per_gigabyte: f64,
}

impl Report {
    /// Inner TCP with offloads over without.
    pub(super) fn ratio(&self) -> Option<f64> {
        (self.without.megabits > 0.0).then(|| self.with.megabits / self.without.megabits)
    }
}

fn once(offload: bool, time: Duration) -> Result<Figures> {
    let [one, other] = [Node::new("one")?, Node::new("other")?];
    let program = cargo::workspace()
        .join("target/release/examples")
        .join(PUMP);
    let processes = [one.pid().to_string(), other.pid().to_string()];
    let mut arguments: Vec<&str> = processes.iter().map(String::as_str).collect();
    arguments.extend((!offload).then_some("--no-offload"));
    let mut pump = one.spawn(&program, &arguments)?;
    pump.wait_for("joined", Duration::from_secs(10))?;
    for (node, last) in [(&one, 1), (&other, 2)] {
        node.sh(&format!("ip addr add 10.78.0.{last}/24 dev tap0"))?;
    }
    let before = pump.cpu_time()?;
    let carried = iperf::tcp(&one, &other, [10, 78, 0, 2].into(), time)?;
    let cpu = pump.cpu_time()?.saturating_sub(before);
    Ok(Figures {
        megabits: carried.bits_per_second / 1e6,
        cpu_seconds_per_gigabyte: cpu.as_secs_f64() / (carried.bytes / 1e9),
    })
}

fn middle(of: &[Figures]) -> Result<Figures> {
    let median =
        |figure: fn(&Figures) -> f64| median(of.iter().map(figure)).context("nothing was measured");
    Ok(Figures {
        megabits: median(|figures| figures.megabits)?,
        cpu_seconds_per_gigabyte: median(|figures| figures.cpu_seconds_per_gigabyte)?,
    })
}

impl Measured for Report {
    const TITLE: &'static str = "Two TAPs joined by our own code";

    fn about(arguments: &Arguments) -> Duration {
        let runs = u32::try_from(2 * arguments.repeats).unwrap_or(u32::MAX);
        Duration::from_secs(arguments.seconds + 2) * runs
    }

    fn measure(arguments: &Arguments) -> Result<Self> {
        let time = Duration::from_secs(arguments.seconds);
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for repeat in 1..=arguments.repeats {
            arguments.say(&format!("TAPs, {repeat} of {}", arguments.repeats));
            with.push(once(true, time)?);
            without.push(once(false, time)?);
        }
        Ok(Self {
            with: middle(&with)?,
            without: middle(&without)?,
        })
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let line = |name: &str, figures: Figures| {
            row([
                name,
                &format!("{:.0}", figures.megabits),
                &format!("{:.2}", figures.cpu_seconds_per_gigabyte),
            ])
        };
        vec![
            row(["TAP", "Mbit/s", "CPU s/GB"]),
            line("with offloads", self.with),
            line("without (--no-offload)", self.without),
        ]
    }
}
