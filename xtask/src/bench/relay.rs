//! What a relay's frame costs, beside the least that any relay with
//! encryption has to do, and beside plain quinn on tokio.
//!
//! The program in the middle has one processor, whoever sends and hears has
//! the other; all is on one host's loopback, where a batch stays a batch.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::middle::{Load, Middle};
use super::parts::Measured;
use super::plot::{Bars, Group, Kind, Plot};
use super::statistics::median;
use super::{Arguments, row};

/// Bytes of a frame: one that fills a packet, and one of a game.
const FRAMES: [usize; 2] = [1_300, SMALL];
/// So small that members put many into one datagram when they have them.
const SMALL: usize = 160;
/// What the relay is called with those.
const BUNDLED: &str = "bundled";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    frames: Vec<Figures>,
}

/// CPU time for a frame of one length, in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Figures {
    bytes: usize,
    relay: f64,
    /// As members send them when they come faster than they leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bundled: Option<f64>,
    forwarder: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quinn: Option<f64>,
}

impl Report {
    fn of(&self, bytes: usize) -> Option<&Figures> {
        self.frames.iter().find(|figures| figures.bytes == bytes)
    }

    /// Frames per second of one core, the relay's over the bare forwarder's.
    pub(super) fn rate_over_forwarder(&self, bytes: usize) -> Option<f64> {
        let figures = self.of(bytes)?;
        Some(figures.forwarder / figures.relay)
    }

    /// The same where frames share datagrams.
    pub(super) fn bundled_over_forwarder(&self) -> Option<f64> {
        let figures = self.of(SMALL)?;
        Some(figures.forwarder / figures.bundled?)
    }

    /// CPU time for a full frame, the relay's over that of quinn on tokio.
    pub(super) fn cost_over_quinn(&self) -> Option<f64> {
        let figures = self.of(FRAMES[0])?;
        Some(figures.relay / figures.quinn?)
    }
}

/// Offers frames to each of these in turn, so often and for so many seconds.
pub(super) fn measure(
    middles: &[Middle],
    repeats: usize,
    seconds: u64,
    say: impl Fn(&str),
) -> Result<Report> {
    let mut seen: BTreeMap<(usize, &str), Vec<f64>> = BTreeMap::new();
    for repeat in 1..=repeats {
        say(&format!("frames through relays, {repeat} of {repeats}"));
        for bytes in FRAMES {
            for middle in middles {
                let load = Load {
                    bytes,
                    seconds,
                    ..Load::default()
                };
                let mut carry = |load: &Load, name| -> Result<()> {
                    let outcome = middle.carry(load)?;
                    let costs = seen.entry((bytes, name)).or_default();
                    costs.extend(outcome.microseconds_per_frame());
                    Ok(())
                };
                carry(&load, middle.name())?;
                if bytes == SMALL && middle.name() == Middle::RELAY {
                    let bundled = true;
                    carry(&Load { bundled, ..load }, BUNDLED)?;
                }
            }
        }
    }
    let of = |bytes, name| median(seen.get(&(bytes, name))?.iter().copied());
    let figures = |&bytes: &usize| {
        Some(Figures {
            bytes,
            relay: of(bytes, Middle::RELAY)?,
            bundled: of(bytes, BUNDLED),
            forwarder: of(bytes, Middle::FORWARDER)?,
            quinn: of(bytes, Middle::QUINN),
        })
    };
    Ok(Report {
        frames: FRAMES.iter().filter_map(figures).collect(),
    })
}

impl Measured for Report {
    const TITLE: &'static str = "What a frame costs a relay";

    fn about(arguments: &Arguments) -> Duration {
        let each = FRAMES.len() * 3 + 1;
        let runs = u32::try_from(arguments.repeats * each).unwrap_or(u32::MAX);
        // The load's warm-up comes before each.
        Duration::from_secs(arguments.seconds + 3) * runs
    }

    fn measure(arguments: &Arguments) -> Result<Self> {
        let (repeats, seconds) = (arguments.repeats, arguments.seconds);
        measure(&Middle::all()?, repeats, seconds, |what| {
            arguments.say(what);
        })
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![row([
            "CPU for a frame, µs",
            "relay",
            "bare AES-GCM forwarder",
            "quinn on tokio",
            "rate over forwarder",
            "cost over quinn",
        ])];
        for figures in &self.frames {
            let number = |number: Option<f64>| {
                number.map_or_else(|| "-".to_owned(), |number| format!("{number:.2}"))
            };
            rows.push(row([
                &format!("{} bytes", figures.bytes),
                &number(Some(figures.relay)),
                &number(Some(figures.forwarder)),
                &number(figures.quinn),
                &number(self.rate_over_forwarder(figures.bytes)),
                &number(figures.quinn.map(|quinn| figures.relay / quinn)),
            ]));
            if let Some(bundled) = figures.bundled {
                rows.push(row([
                    &format!("{} bytes, many in a datagram", figures.bytes),
                    &number(Some(bundled)),
                    &number(Some(figures.forwarder)),
                    "-",
                    &number(self.bundled_over_forwarder()),
                    "-",
                ]));
            }
        }
        rows
    }

    fn plots(&self) -> Vec<Plot> {
        let group = |figures: &Figures| Group {
            name: format!("{} bytes", figures.bytes),
            values: vec![
                Some(figures.relay),
                figures.bundled,
                Some(figures.forwarder),
                figures.quinn,
            ],
        };
        let series = [
            "softlan-vpn relay",
            "softlan-vpn relay, bundles",
            "bare AES-GCM forwarder",
            "quinn on tokio",
        ];
        vec![Plot::new(
            "relay-frame",
            "CPU time for a frame",
            Kind::Bars(Bars {
                unit: "µs",
                series: series.map(str::to_owned).to_vec(),
                groups: self.frames.iter().map(group).collect(),
            }),
        )]
    }
}
