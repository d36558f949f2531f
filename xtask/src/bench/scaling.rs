//! How a relay's cost grows with those who hear a frame, and with rooms.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::middle::{Load, Middle};
use super::parts::Measured;
use super::plot::{Axis, Kind, Line, Plot};
use super::statistics::median;
use super::{Arguments, row};

/// A game's state, as it is sent to everybody.
const FRAME: usize = 160;
const HEARERS: [u16; 4] = [1, 2, 10, 50];
const ROOMS: [u16; 3] = [1, 10, 100];

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    /// One member speaks to this many others of its room.
    hearers: Vec<Figures>,
    /// In each of this many rooms one member speaks to another.
    rooms: Vec<Figures>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Figures {
    count: u16,
    /// Copies delivered for each second of the relay's CPU time.
    per_cpu_second: f64,
    /// Copies delivered in a second.
    per_second: f64,
}

fn figures(relay: &Middle, arguments: &Arguments, count: u16, load: &Load) -> Result<Figures> {
    let (mut per_cpu_second, mut per_second) = (Vec::new(), Vec::new());
    for _ in 0..arguments.repeats {
        let outcome = relay.carry(load)?;
        per_cpu_second.extend(outcome.microseconds_per_frame().map(|cost| 1e6 / cost));
        per_second.push(outcome.per_second());
    }
    Ok(Figures {
        count,
        per_cpu_second: median(per_cpu_second).context("nothing came through")?,
        per_second: median(per_second).context("nothing came through")?,
    })
}

impl Measured for Report {
    const TITLE: &'static str = "How a relay scales";

    fn about(arguments: &Arguments) -> Duration {
        let runs = arguments.repeats * (HEARERS.len() + ROOMS.len());
        Duration::from_secs(arguments.seconds + 4) * u32::try_from(runs).unwrap_or(u32::MAX)
    }

    fn measure(arguments: &Arguments) -> Result<Self> {
        let relay = Middle::relay()?;
        let load = Load {
            bytes: FRAME,
            seconds: arguments.seconds,
            ..Load::default()
        };
        let mut report = Self {
            hearers: Vec::new(),
            rooms: Vec::new(),
        };
        for count in HEARERS {
            arguments.say(&format!("one member speaks to {count}"));
            let load = Load {
                hearers: Some(count),
                ..load
            };
            report
                .hearers
                .push(figures(&relay, arguments, count, &load)?);
        }
        for count in ROOMS {
            arguments.say(&format!("{count} rooms"));
            let load = Load {
                rooms: count,
                ..load
            };
            report.rooms.push(figures(&relay, arguments, count, &load)?);
        }
        Ok(report)
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let line = |name: &str, figures: &Figures| {
            row([
                &format!("{} {name}", figures.count),
                &format!("{:.0}", figures.per_cpu_second / 1e3),
                &format!("{:.0}", figures.per_second / 1e3),
            ])
        };
        let hearers = self.hearers.iter().map(|it| line("who hear a frame", it));
        let rooms = self.rooms.iter().map(|it| line("rooms of two", it));
        let heading = row([
            "160-byte frames",
            "copies per CPU second, thousands",
            "copies per second, thousands",
        ]);
        std::iter::once(heading)
            .chain(hearers)
            .chain(rooms)
            .collect()
    }

    fn plots(&self) -> Vec<Plot> {
        let line = |name: &str, all: &[Figures]| Line {
            name: name.to_owned(),
            points: all
                .iter()
                .map(|it| (f64::from(it.count), it.per_cpu_second / 1e3))
                .collect(),
        };
        vec![Plot::new(
            "relay-scaling",
            "Copies of a 160-byte frame for each second of CPU time",
            Kind::Lines {
                x: Axis {
                    label: "members who hear it, or rooms",
                    logarithmic: true,
                },
                y: Axis {
                    label: "thousand copies per CPU second",
                    logarithmic: false,
                },
                lines: vec![
                    line("members of one room", &self.hearers),
                    line("rooms of two", &self.rooms),
                ],
            },
        )]
    }
}
