//! A game's stream through tunnels on a home's line, while a bulk copy through
//! the same tunnel takes all that the line gives.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use lanparty_lab::bottleneck::{self, Loaded};
use lanparty_lab::flow::Flow;
use lanparty_lab::line::{Direction, Line as HomeLine};
use lanparty_lab::party::PartyOptions;
use lanparty_lab::tunnel::Kind;
use lanparty_proto::{ethernet, mtu, overlay};
use serde::{Deserialize, Serialize};

use super::Arguments;
use super::parts::Measured;
use super::plot::{Axis, Kind as PlotKind, Line, Plot};
use super::statistics::median;

/// What is put on the line, in the order of columns.
struct Contender {
    name: &'static str,
    kind: Kind,
    congestion: Option<&'static str>,
}

const CONTENDERS: [Contender; 6] = [
    contender("sealed", Kind::Sealed, None),
    contender("in clear", Kind::Clear, None),
    contender("OpenVPN TAP", Kind::OpenVpn, None),
    contender("SoftEther", Kind::SoftEther, None),
    contender("sealed, Cubic", Kind::Sealed, Some("cubic")),
    contender("sealed, BBR", Kind::Sealed, Some("bbr")),
];
/// Those that a promise was made for.
const OURS: [&str; 2] = ["sealed", "in clear"];

const fn contender(name: &'static str, kind: Kind, congestion: Option<&'static str>) -> Contender {
    Contender {
        name,
        kind,
        congestion,
    }
}

impl Contender {
    fn options(&self) -> PartyOptions {
        let flag = self.congestion.map(|name| ["--congestion", name]);
        let flags: Vec<String> = flag.into_iter().flatten().map(str::to_owned).collect();
        PartyOptions {
            players: vec!["alice"],
            lines: vec![Some(HomeLine::shaped())],
            relay_arguments: flags.clone(),
            gateway_arguments: flags.clone(),
            player_arguments: flags,
            ..PartyOptions::default()
        }
    }
}

const DIRECTIONS: [(&str, Direction); 2] = [("up", Direction::Up), ("down", Direction::Down)];

/// Said of each direction while datagrams flood it, whose sender heeds no loss: how
/// long a tunnel lets the line's queue become when its load does not give way.
const FLOODED: [(&str, &str); 3] = [
    ("flooded_p50_ms", "p50 beside a flood, ms"),
    ("flooded_p99_ms", "p99 beside a flood, ms"),
    ("flooded_loss_percent", "lost beside a flood, %"),
];

/// What is said of each direction: the end of a key, and words for people.
const OF_A_DIRECTION: [(&str, &str); 8] = [
    ("p50_ms", "p50, ms"),
    ("p99_ms", "p99, ms"),
    ("max_ms", "longest, ms"),
    (OVER_IDLE, "p99 minus at rest, ms"),
    ("loss_percent", "lost, %"),
    (USED, "bottleneck used, %"),
    (GOODPUT, "goodput of the copy, % of the rate"),
    ("dropped", "frames that the bottleneck dropped"),
];
const OVER_IDLE: &str = "p99_minus_idle_ms";
const USED: &str = "used_percent";
const GOODPUT: &str = "goodput_percent";

type Figures = BTreeMap<String, f64>;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    /// Medians, in the order of columns.
    contenders: Vec<Medians>,
    ceilings: Vec<Ceiling>,
    /// Of the last repeat.
    series: Vec<Series>,
    /// What was not measured, and why.
    skipped: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Medians {
    name: String,
    figures: Figures,
}

/// The most that a copy can get out of a line, 0 to 100.
#[derive(Debug, Serialize, Deserialize)]
struct Ceiling {
    name: String,
    goodput_percent: f64,
}

/// Round trips one by one.
#[derive(Debug, Serialize, Deserialize)]
struct Series {
    name: String,
    direction: String,
    /// Seconds since the first, and the round trip in ms, if it ended.
    points: Vec<(f64, Option<f64>)>,
}

impl Series {
    fn of(name: &str, direction: &str, flow: &Flow) -> Self {
        let trips = flow.trips().iter();
        Self {
            name: name.to_owned(),
            direction: direction.to_owned(),
            points: trips
                .map(|trip| (trip.sent.as_secs_f64(), trip.round.map(milliseconds)))
                .collect(),
        }
    }
}

struct Seen {
    figures: Figures,
    series: Vec<Series>,
}

fn measure(contender: &Contender, time: Duration) -> Result<Seen> {
    let tunnel = contender.kind.start(contender.options())?;
    let idle = bottleneck::idle(&tunnel, time)?;
    let mut figures = Figures::from([
        ("idle_p50_ms".to_owned(), milliseconds(idle.round(50))),
        ("idle_p99_ms".to_owned(), milliseconds(idle.round(99))),
    ]);
    let mut series = Vec::new();
    for (name, direction) in DIRECTIONS {
        let loaded = bottleneck::loaded(&tunnel, direction, time)?;
        series.push(Series::of(contender.name, name, &loaded.flow));
        let of_loaded = of_a_direction(&loaded, &idle);
        let keys = OF_A_DIRECTION.map(|(key, _)| format!("{name}_{key}"));
        figures.extend(keys.into_iter().zip(of_loaded));
        let flow = bottleneck::flooded(&tunnel, direction, time)?.flow;
        let keys = FLOODED.map(|(key, _)| format!("{name}_{key}"));
        let of_flooded = [
            milliseconds(flow.round(50)),
            milliseconds(flow.round(99)),
            flow.loss() * 100.0,
        ];
        figures.extend(keys.into_iter().zip(of_flooded));
    }
    Ok(Seen { figures, series })
}

/// In the order of [`OF_A_DIRECTION`].
fn of_a_direction(loaded: &Loaded, idle: &Flow) -> [f64; 8] {
    let flow = &loaded.flow;
    let p99 = milliseconds(flow.round(99));
    [
        milliseconds(flow.round(50)),
        p99,
        milliseconds(flow.round(100)),
        p99 - milliseconds(idle.round(99)),
        flow.loss() * 100.0,
        loaded.used * 100.0,
        loaded.goodput * 100.0,
        loaded.dropped as f64,
    ]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What a full-size TCP segment of the TAP takes on the line, header by header.
fn ceiling(sealed: bool) -> f64 {
    const IPV4: usize = 20;
    const UDP: usize = 8;
    /// With timestamps (RFC 7323).
    const TCP: usize = 32;
    /// Short header with 8-byte connection id and 1-byte packet number (RFC
    /// 9000 section 17.3.1), tag (RFC 9001 section 5.3), and the DATAGRAM
    /// frame's type and 2-byte length (RFC 9221 section 4).
    const QUIC: usize = 1 + 8 + 1 + 16 + 1 + 2;
    let packet = usize::from(mtu::DEFAULT_TAP_MTU);
    let seal = if sealed {
        overlay::SEALED_LEN + overlay::TAG_LEN
    } else {
        0
    };
    let outer = ethernet::HEADER_LEN + IPV4 + UDP + QUIC;
    let inner = overlay::HEADER_LEN + seal + ethernet::HEADER_LEN + packet;
    (packet - IPV4 - TCP) as f64 / (outer + inner) as f64 * 100.0
}

impl Report {
    fn figure(&self, name: &str, key: &str) -> Option<f64> {
        let mut contenders = self.contenders.iter();
        let medians = contenders.find(|contender| contender.name == name)?;
        medians.figures.get(key).copied()
    }

    /// p99 over that at rest, in ms, of ours in whichever kind of room is worse.
    pub(super) fn over_idle(&self, direction: &str) -> Option<f64> {
        let key = format!("{direction}_{OVER_IDLE}");
        let seen = OURS.map(|name| self.figure(name, &key));
        seen.into_iter().flatten().reduce(f64::max)
    }

    /// The worst of ours in either direction, in percent.
    pub(super) fn used(&self) -> Option<f64> {
        self.least(USED)
    }

    /// The worst of ours in either direction, in percent.
    pub(super) fn goodput(&self) -> Option<f64> {
        self.least(GOODPUT)
    }

    fn least(&self, what: &str) -> Option<f64> {
        let seen = DIRECTIONS.iter().flat_map(|(direction, _)| {
            OURS.map(|name| self.figure(name, &format!("{direction}_{what}")))
        });
        seen.flatten().reduce(f64::min)
    }

    fn lines(&self, direction: &str) -> Vec<Line> {
        let series = self.series.iter().filter(|it| it.direction == direction);
        let line = |series: &Series| Line {
            name: series.name.clone(),
            points: series
                .points
                .iter()
                .filter_map(|(at, ms)| Some((*at, (*ms)?)))
                .collect(),
        };
        series.map(line).collect()
    }
}

impl Measured for Report {
    const TITLE: &'static str =
        "A game beside a bulk copy on a line of 50 Mbit/s up and 10 down, queues of 100 ms";

    fn about(arguments: &Arguments) -> Duration {
        // Starting, draining and the floods' warming up.
        let once = Duration::from_secs(35) + bottleneck::WARM_UP * 2 + time(arguments) * 5;
        let runs = CONTENDERS.len() * arguments.repeats;
        once * u32::try_from(runs).unwrap_or(u32::MAX)
    }

    fn measure(arguments: &Arguments) -> Result<Self> {
        let mut skipped = Vec::new();
        let mut seen: Vec<Vec<Figures>> = vec![Vec::new(); CONTENDERS.len()];
        let mut last: Vec<Vec<Series>> = CONTENDERS.iter().map(|_| Vec::new()).collect();
        for repeat in 1..=arguments.repeats {
            // In turns, so that a slow minute of the machine hits all.
            for (number, contender) in CONTENDERS.iter().enumerate() {
                let name = contender.name;
                if let Some(why) = contender.kind.missing() {
                    if repeat == 1 {
                        skipped.push(format!("{name}: {why}"));
                    }
                    continue;
                }
                let repeats = arguments.repeats;
                arguments.say(&format!("shaped, repeat {repeat} of {repeats}: {name}"));
                match measure(contender, time(arguments)) {
                    Ok(measured) => {
                        seen[number].push(measured.figures);
                        last[number] = measured.series;
                    }
                    Err(error) if contender.kind.is_rival() => {
                        skipped.push(format!("{name}, repeat {repeat}: {error}"));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        let contenders = CONTENDERS
            .iter()
            .zip(&seen)
            .map(|(contender, repeats)| Medians {
                name: contender.name.to_owned(),
                figures: medians(repeats),
            });
        Ok(Self {
            contenders: contenders.collect(),
            ceilings: [(OURS[0], true), (OURS[1], false)]
                .map(|(name, sealed)| Ceiling {
                    name: name.to_owned(),
                    goodput_percent: ceiling(sealed),
                })
                .into(),
            series: last.into_iter().flatten().collect(),
            skipped,
        })
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let columns = || CONTENDERS.iter().map(|contender| contender.name);
        let line = |title: String, key: &str| -> Vec<String> {
            let cells = columns().map(|name| cell(self.figure(name, key)));
            std::iter::once(title).chain(cells).collect()
        };
        let mut rows = vec![
            std::iter::once("")
                .chain(columns())
                .map(str::to_owned)
                .collect(),
            line("at rest, p50, ms".to_owned(), "idle_p50_ms"),
            line("at rest, p99, ms".to_owned(), "idle_p99_ms"),
        ];
        for (direction, _) in DIRECTIONS {
            rows.extend([&OF_A_DIRECTION[..], &FLOODED].concat().into_iter().map(
                |(key, words)| {
                    line(
                        format!("{direction}: {words}"),
                        &format!("{direction}_{key}"),
                    )
                },
            ));
        }
        let ceiling = |name| {
            let mut ceilings = self.ceilings.iter();
            ceilings
                .find(|it| it.name == name)
                .map(|it| it.goodput_percent)
        };
        let ceilings = columns().map(|name| cell(ceiling(name)));
        let title = "most that goodput can be, %".to_owned();
        rows.push(std::iter::once(title).chain(ceilings).collect());
        rows.extend(self.skipped.iter().map(|it| vec![format!("SKIPPED {it}")]));
        rows
    }

    fn plots(&self) -> Vec<Plot> {
        let plot = |name, title, direction| {
            let axis = |label, logarithmic| Axis { label, logarithmic };
            let kind = PlotKind::Lines {
                x: axis("seconds", false),
                y: axis("round trip, ms", true),
                lines: self.lines(direction),
            };
            Plot::new(name, title, kind)
        };
        vec![
            plot(
                "shaped-up",
                "A game's round trips while a copy fills an uplink of 50 Mbit/s",
                "up",
            ),
            plot(
                "shaped-down",
                "A game's round trips while a copy fills a downlink of 10 Mbit/s",
                "down",
            ),
        ]
    }
}

/// Of each stream: 6 s hold 400 datagrams, so that p99 is not one of them.
fn time(arguments: &Arguments) -> Duration {
    Duration::from_secs(2 * arguments.seconds.max(1))
}

fn medians(repeats: &[Figures]) -> Figures {
    let keys = repeats.iter().flat_map(Figures::keys);
    keys.filter_map(|key| {
        let seen = repeats.iter().filter_map(|figures| figures.get(key));
        Some((key.clone(), median(seen.copied())?))
    })
    .collect()
}

fn cell(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(sealed: &[(&str, f64)], clear: &[(&str, f64)]) -> Report {
        let medians = |name: &str, figures: &[(&str, f64)]| Medians {
            name: name.to_owned(),
            figures: figures
                .iter()
                .map(|(key, it)| ((*key).to_owned(), *it))
                .collect(),
        };
        Report {
            contenders: vec![medians("sealed", sealed), medians("in clear", clear)],
            ceilings: Vec::new(),
            series: Vec::new(),
            skipped: vec!["SoftEther: not installed".to_owned()],
        }
    }

    #[test]
    fn ours_are_judged_by_the_worse_room_and_direction() {
        let report = report(
            &[("up_p99_minus_idle_ms", 4.0), ("up_used_percent", 97.0)],
            &[("up_p99_minus_idle_ms", 6.0), ("down_used_percent", 99.0)],
        );
        assert_eq!(report.over_idle("up"), Some(6.0));
        assert_eq!(report.over_idle("down"), None);
        assert_eq!(report.used(), Some(97.0));
        assert_eq!(report.goodput(), None);
    }

    #[test]
    fn a_copy_cannot_get_more_than_its_headers_leave() {
        // 1,292 bytes of 1,457, and of 1,435 in clear.
        assert_eq!(cell(Some(ceiling(true))), "88.68");
        assert_eq!(cell(Some(ceiling(false))), "90.03");
    }

    #[test]
    fn a_table_has_a_line_for_each_figure_and_for_what_was_skipped() {
        let rows = report(&[("up_p99_ms", 3.5)], &[]).rows();
        let p99 = rows.iter().find(|row| row[0] == "up: p99, ms").unwrap();
        assert_eq!(p99[1..3], ["3.50", "-"]);
        assert!(rows.last().unwrap()[0].contains("SKIPPED SoftEther"));
    }
}
