//! The list of what the bench measures: a part is a line here and a module
//! with a [`Measured`] report.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::machine::Stamp;
use super::plot::Plot;
use super::{Arguments, flood, hostile, latency, memory, relay, scaling, shaped, tap, tunnel};

/// What a part found out.
pub(super) trait Measured: Serialize + DeserializeOwned {
    const TITLE: &'static str;

    /// How long measuring takes, for people who wait.
    fn about(arguments: &Arguments) -> Duration;

    fn measure(arguments: &Arguments) -> Result<Self>;

    /// A table whose first row names the columns.
    fn rows(&self) -> Vec<Vec<String>>;

    fn plots(&self) -> Vec<Plot> {
        Vec::new()
    }
}

/// A report, and which programs it is about.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stamped<T> {
    pub(super) measured: Stamp,
    #[serde(flatten)]
    pub(super) report: T,
}

/// A part's report as people read it.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) measured: Stamp,
    pub(super) rows: Vec<Vec<String>>,
    pub(super) plots: Vec<Plot>,
}

impl Section {
    fn of<T: Measured>(stamped: &Stamped<T>) -> Self {
        Self {
            title: T::TITLE,
            measured: stamped.measured.clone(),
            rows: stamped.report.rows(),
            plots: stamped.report.plots(),
        }
    }
}

macro_rules! parts {
    ($($(#[$explained:meta])* $variant:ident in $module:ident,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
        pub(super) enum Part { $($(#[$explained])* $variant,)* }

        #[derive(Debug, Default, Serialize, Deserialize)]
        pub(super) struct Parts {
            $(#[serde(default, skip_serializing_if = "Option::is_none")]
            pub(super) $module: Option<Stamped<$module::Report>>,)*
        }

        impl Part {
            pub(super) fn about(self, arguments: &Arguments) -> Duration {
                match self { $(Self::$variant => $module::Report::about(arguments),)* }
            }
        }

        impl fmt::Display for Part {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => stringify!($module),)* })
            }
        }

        impl Parts {
            pub(super) fn measure(&mut self, part: Part, arguments: &Arguments) -> Result<()> {
                let measured = Stamp::now()?;
                match part {
                    $(Part::$variant => {
                        let report = $module::Report::measure(arguments)?;
                        self.$module = Some(Stamped { measured, report });
                    })*
                }
                Ok(())
            }

            pub(super) fn sections(&self) -> Vec<Section> {
                let sections = [$(self.$module.as_ref().map(Section::of),)*];
                sections.into_iter().flatten().collect()
            }
        }
    };
}

parts! {
    /// Throughput and CPU of ours, sealed and in clear, and of other tunnels
    Tunnel in tunnel,
    /// Round trips at rest and under load, of the same tunnels
    Latency in latency,
    /// A game beside a bulk copy on a home's slow line, of the same tunnels
    Shaped in shaped,
    /// CPU time for a frame of the relay, of a bare forwarder and of quinn
    Relay in relay,
    /// The relay with more members and more rooms
    Scaling in scaling,
    /// Two TAPs joined by our own code, with offloads and without
    Tap in tap,
    /// A room while strangers begin thousands of handshakes a second
    Flood in flood,
    /// A room while one member does its worst
    Hostile in hostile,
    /// The relay's memory for each idle member, and while members come and go
    Memory in memory,
}
