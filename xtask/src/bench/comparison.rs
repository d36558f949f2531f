//! The same figures of every tunnel, ours and others.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use lanparty_lab::PartyOptions;
use lanparty_lab::tunnel::{Kind, Tunnel};
use serde::{Deserialize, Serialize};

use super::Arguments;
use super::plot::{Bars, Group};
use super::statistics::median;

/// Figures of one tunnel by their keys, which name quantity and unit.
pub(super) type Figures = BTreeMap<&'static str, f64>;

/// A figure's key, and its name for people.
pub(super) type Named = (&'static str, &'static str);

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Comparison {
    /// In the order of [`Kind::ALL`].
    tunnels: Vec<Medians>,
    /// What was not measured, and why.
    skipped: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Medians {
    tunnel: String,
    figures: BTreeMap<String, f64>,
}

const RATIOS: [(&str, Kind); 3] = [
    ("sealed/clear", Kind::Clear),
    ("sealed/OpenVPN", Kind::OpenVpn),
    ("sealed/SoftEther", Kind::SoftEther),
];

/// How long it takes to measure all tunnels when one takes `once`.
pub(super) fn about(arguments: &Arguments, once: Duration) -> Duration {
    // SoftEther, the slowest, takes twice as long to connect.
    const START: Duration = Duration::from_secs(4);
    let runs = Kind::ALL.len() * arguments.repeats;
    (START + once) * u32::try_from(runs).unwrap_or(u32::MAX)
}

impl Comparison {
    /// Starts and measures `kinds` in turns, so that a slow minute of the
    /// machine hits all.
    pub(super) fn run(
        kinds: &[Kind],
        repeats: usize,
        say: impl Fn(&str),
        measure: impl Fn(&Tunnel) -> Result<Figures>,
    ) -> Result<Self> {
        let mut skipped = Vec::new();
        let mut seen: BTreeMap<Kind, Vec<Figures>> = BTreeMap::new();
        for repeat in 1..=repeats {
            for kind in kinds {
                let name = kind.name();
                if let Some(why) = kind.missing() {
                    if repeat == 1 {
                        skipped.push(format!("{name}: {why}"));
                        say(&format!("SKIPPED {name}: {why}"));
                    }
                    continue;
                }
                say(&format!("repeat {repeat} of {repeats}: {name}"));
                match kind.start(players()).and_then(|tunnel| measure(&tunnel)) {
                    Ok(figures) => seen.entry(*kind).or_default().push(figures),
                    Err(error) if kind.is_rival() => {
                        say(&format!("{name} failed: {error:#}"));
                        skipped.push(format!("{name}, repeat {repeat}: {error}"));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        let tunnels = seen.iter().map(|(kind, repeats)| Medians {
            tunnel: kind.name().to_owned(),
            figures: medians(repeats),
        });
        Ok(Self {
            tunnels: tunnels.collect(),
            skipped,
        })
    }

    pub(super) fn figure(&self, kind: Kind, key: &str) -> Option<f64> {
        let mut tunnels = self.tunnels.iter();
        let tunnel = tunnels.find(|tunnel| tunnel.tunnel == kind.name())?;
        tunnel.figures.get(key).copied()
    }

    /// The figure of one tunnel over that of another, if that is not nothing.
    pub(super) fn ratio(&self, key: &str, kind: Kind, other: Kind) -> Option<f64> {
        let ratio = self.figure(kind, key)? / self.figure(other, key)?;
        ratio.is_finite().then_some(ratio)
    }

    /// A line for each figure, a column for each tunnel, and ratios.
    pub(super) fn rows(&self, names: &[Named]) -> Vec<Vec<String>> {
        let tunnels = || Kind::ALL.into_iter();
        let heading = std::iter::once("")
            .chain(tunnels().map(Kind::name))
            .chain(RATIOS.map(|(name, _)| name))
            .map(str::to_owned);
        let line = |(key, name): &Named| {
            let figures = tunnels().map(|kind| cell(self.figure(kind, key)));
            std::iter::once((*name).to_owned())
                .chain(figures)
                .chain(self.ratios(key, Kind::Sealed))
                .collect()
        };
        let skipped = self
            .skipped
            .iter()
            .map(|line| vec![format!("SKIPPED {line}")]);
        std::iter::once(heading.collect())
            .chain(names.iter().map(line))
            .chain(skipped)
            .collect()
    }

    /// A line of [`Self::rows`] about ours in another state than the default.
    pub(super) fn row_of(&self, kind: Kind, (key, name): Named) -> Vec<String> {
        let others = Kind::ALL.iter().skip(1).map(|_| cell(None));
        [name.to_owned(), cell(self.figure(kind, key))]
            .into_iter()
            .chain(others)
            .chain(self.ratios(key, kind))
            .collect()
    }

    fn ratios(&self, key: &str, kind: Kind) -> [String; 3] {
        RATIOS.map(|(_, other)| cell(self.ratio(key, kind, other)))
    }

    /// A group for each figure, a bar for each tunnel.
    pub(super) fn bars(&self, unit: &'static str, names: &[Named]) -> Bars {
        let group = |(key, name): &Named| Group {
            name: (*name).to_owned(),
            values: Kind::ALL.map(|kind| self.figure(kind, key)).to_vec(),
        };
        Bars {
            unit,
            series: Kind::ALL.map(|kind| kind.name().to_owned()).to_vec(),
            groups: names.iter().map(group).collect(),
        }
    }

    /// A bar for each tunnel that has the figures, of a piece for each.
    pub(super) fn stack(&self, unit: &'static str, pieces: &[Named]) -> Bars {
        let group = |kind: Kind| {
            let values = pieces.iter().map(|(key, _)| self.figure(kind, key));
            Group {
                name: kind.name().to_owned(),
                values: values.collect(),
            }
        };
        let groups = Kind::ALL.into_iter().map(group);
        Bars {
            unit,
            series: pieces.iter().map(|(_, name)| (*name).to_owned()).collect(),
            groups: groups
                .filter(|group| group.values.iter().any(Option::is_some))
                .collect(),
        }
    }
}

/// The median of each figure, over the repeats that have it.
fn medians(repeats: &[Figures]) -> BTreeMap<String, f64> {
    let keys = repeats.iter().flat_map(BTreeMap::keys);
    keys.filter_map(|key| {
        let seen = repeats.iter().filter_map(|figures| figures.get(key));
        Some(((*key).to_owned(), median(seen.copied())?))
    })
    .collect()
}

fn players() -> PartyOptions {
    PartyOptions {
        // The default of 1 Gbit/s protects a public relay's uplink; here it
        // would be what is measured.
        relay_arguments: ["--player-bandwidth", "100000"].map(str::to_owned).to_vec(),
        ..PartyOptions::default()
    }
}

fn cell(number: Option<f64>) -> String {
    number.map_or_else(|| "-".to_owned(), figure)
}

fn figure(number: f64) -> String {
    if number < 100.0 {
        format!("{number:.2}")
    } else {
        format!("{number:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(tunnels: &[(Kind, f64)]) -> Comparison {
        let tunnels = tunnels.iter().map(|(kind, mbit)| Medians {
            tunnel: kind.name().to_owned(),
            figures: [("mbit".to_owned(), *mbit)].into(),
        });
        Comparison {
            tunnels: tunnels.collect(),
            skipped: vec!["VXLAN: this kernel has no VXLAN".to_owned()],
        }
    }

    #[test]
    fn each_figure_has_its_own_median() {
        let repeat = |up, down| Figures::from([("up", up), ("down", down)]);
        let medians = medians(&[repeat(1.0, 900.0), repeat(2.0, 800.0), repeat(90.0, 7.0)]);
        assert_eq!(medians.get("up"), Some(&2.0));
        assert_eq!(medians.get("down"), Some(&800.0));
    }

    #[test]
    fn a_rival_that_was_not_measured_has_no_ratio() {
        let comparison = comparison(&[(Kind::Sealed, 600.0), (Kind::OpenVpn, 200.0)]);
        let over = |other| comparison.ratio("mbit", Kind::Sealed, other);
        assert_eq!(over(Kind::OpenVpn), Some(3.0));
        assert_eq!(over(Kind::SoftEther), None);
    }

    #[test]
    fn nothing_is_not_divided_by() {
        let comparison = comparison(&[(Kind::Sealed, 0.0), (Kind::OpenVpn, 0.0)]);
        let ratio = comparison.ratio("mbit", Kind::Sealed, Kind::OpenVpn);
        assert_eq!(ratio, None);
    }

    #[test]
    fn ours_in_another_state_stands_in_our_column() {
        let comparison = comparison(&[(Kind::Awake, 600.0), (Kind::OpenVpn, 200.0)]);
        let row = comparison.row_of(Kind::Awake, ("mbit", "awake"));
        assert_eq!(row[..3], ["awake", "600", "-"]);
        let heading = &comparison.rows(&[])[0];
        assert_eq!(row.len(), heading.len());
        let ratio = heading.iter().position(|name| name == "sealed/OpenVPN");
        assert_eq!(row[ratio.unwrap()], "3.00");
    }

    #[test]
    fn a_table_names_what_was_skipped() {
        let rows = comparison(&[(Kind::Sealed, 600.0)]).rows(&[("mbit", "speed, Mbit/s")]);
        assert_eq!(rows[1][..3], ["speed, Mbit/s", "600", "-"]);
        assert!(rows[2][0].contains("no VXLAN"));
    }

    #[test]
    fn a_comparison_survives_json() {
        let json = serde_json::to_string(&comparison(&[(Kind::Sealed, 1.5)])).unwrap();
        let back: Comparison = serde_json::from_str(&json).unwrap();
        assert_eq!(back.figure(Kind::Sealed, "mbit"), Some(1.5));
    }
}
