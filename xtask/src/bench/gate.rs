//! Whether speed was lost: a short comparison with generous margins, which the
//! test command makes.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use lanparty_lab::tunnel::Kind;
use lanparty_lab::{packages, sandbox};

use super::comparison::Comparison;
use super::middle::{self, Middle};
use super::{relay, tunnel};

const KINDS: [Kind; 3] = [Kind::Sealed, Kind::Clear, Kind::OpenVpn];
const REPEATS: usize = 3;
/// Of each run of TCP.
const TIME: Duration = Duration::from_secs(1);
/// Of each run of frames through a relay.
const SECONDS: u64 = 1;

/// A ratio of two medians of one run, and where it has to lie. The margins are
/// about half of what is usually seen: the programs are those of the tests,
/// which are not optimised as shipped ones are, and the machine may be busy.
#[derive(Debug)]
struct Limit {
    what: &'static str,
    ratio: Ratio,
    bar: Bar,
}

#[derive(Clone, Copy, Debug)]
enum Ratio {
    /// A figure of a sealed tunnel over that of another.
    Tunnels { key: &'static str, other: Kind },
    /// Frames of so many bytes for a second of CPU time, the relay's over the
    /// bare forwarder's.
    Relay { bytes: usize },
}

#[derive(Clone, Copy, Debug)]
enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

const LIMITS: [Limit; 6] = [
    Limit {
        what: "TCP from player to LAN, sealed over OpenVPN",
        ratio: Ratio::Tunnels {
            key: tunnel::UP,
            other: Kind::OpenVpn,
        },
        bar: Bar::AtLeast(2.0),
    },
    Limit {
        what: "TCP from LAN to player, sealed over OpenVPN",
        ratio: Ratio::Tunnels {
            key: tunnel::DOWN,
            other: Kind::OpenVpn,
        },
        bar: Bar::AtLeast(1.5),
    },
    Limit {
        what: "CPU time per byte, sealed over OpenVPN",
        ratio: Ratio::Tunnels {
            key: tunnel::CPU,
            other: Kind::OpenVpn,
        },
        bar: Bar::AtMost(0.6),
    },
    Limit {
        what: "TCP from player to LAN, sealed over in clear",
        ratio: Ratio::Tunnels {
            key: tunnel::UP,
            other: Kind::Clear,
        },
        bar: Bar::AtLeast(0.6),
    },
    Limit {
        what: "frames of 1,300 bytes per CPU time, relay over bare forwarder",
        ratio: Ratio::Relay { bytes: 1_300 },
        bar: Bar::AtLeast(0.16),
    },
    Limit {
        what: "frames of 160 bytes per CPU time, relay over bare forwarder",
        ratio: Ratio::Relay { bytes: 160 },
        bar: Bar::AtLeast(0.3),
    },
];

/// Runs the gate in a sandbox, or says why it cannot; the programs must have
/// been built.
pub(crate) fn run() -> Result<()> {
    if !sandbox::available() {
        println!("SKIPPED: comparing speed needs network namespaces, and these need root");
        return Ok(());
    }
    packages::ensure(&[packages::PARTY, packages::BENCH])?;
    if let Err(error) = packages::ensure(&[packages::OPENVPN]) {
        println!("SKIPPED: {error:#}");
        return Ok(());
    }
    // In the profile of the programs that it is compared with.
    middle::build_ours(!cfg!(debug_assertions))?;
    let status = sandbox::enter(["bench", "--gate"].map(str::to_owned))?;
    if !status.success() {
        bail!("speed was lost, or could not be compared; `cargo xtask bench` has the details");
    }
    Ok(())
}

pub(super) fn inside() -> Result<ExitCode> {
    sandbox::prepare()?;
    // A machine that was busy once is not slow twice.
    for last in [false, true] {
        let comparison = Comparison::run(
            &KINDS,
            REPEATS,
            |what| println!("{what}"),
            |tunnel| tunnel::speed(tunnel, TIME),
        )?;
        let frames = frames()?;
        let mut all_pass = true;
        for limit in &LIMITS {
            let verdict = limit.ratio.verdict(limit.bar, &comparison, frames.as_ref());
            println!("{}: {}", limit.what, verdict.words(limit.bar));
            all_pass &= verdict.passes();
        }
        if all_pass {
            return Ok(ExitCode::SUCCESS);
        }
        if !last {
            println!("once more, in case the machine was busy");
        }
    }
    Ok(ExitCode::FAILURE)
}

/// `None` where there is no second processor for whoever offers the frames.
fn frames() -> Result<Option<relay::Report>> {
    if std::thread::available_parallelism()?.get() < 2 {
        return Ok(None);
    }
    let say = |what: &str| println!("{what}");
    relay::measure(&Middle::ours()?, REPEATS, SECONDS, say).map(Some)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Holds(f64),
    Fails(f64),
    NotCompared,
    Skipped,
}

impl Ratio {
    fn verdict(self, bar: Bar, tunnels: &Comparison, frames: Option<&relay::Report>) -> Verdict {
        let ratio = match self {
            Self::Tunnels { key, other } => tunnels.ratio(key, Kind::Sealed, other),
            Self::Relay { bytes } => match frames {
                Some(frames) => frames.rate_over_forwarder(bytes),
                None => return Verdict::Skipped,
            },
        };
        ratio.map_or(Verdict::NotCompared, |ratio| bar.verdict(ratio))
    }
}

impl Bar {
    fn verdict(self, ratio: f64) -> Verdict {
        let holds = match self {
            Self::AtLeast(bar) => ratio >= bar,
            Self::AtMost(bar) => ratio <= bar,
        };
        if holds {
            Verdict::Holds(ratio)
        } else {
            Verdict::Fails(ratio)
        }
    }
}

impl Verdict {
    /// A figure that is missing has not passed: something did not start.
    const fn passes(&self) -> bool {
        matches!(self, Self::Holds(_) | Self::Skipped)
    }

    fn words(self, bar: Bar) -> String {
        let bar = match bar {
            Bar::AtLeast(bar) => format!("at least {bar}"),
            Bar::AtMost(bar) => format!("at most {bar}"),
        };
        match self {
            Self::Holds(ratio) => format!("{ratio:.2}, as it must be: {bar}"),
            Self::Fails(ratio) => format!("{ratio:.2}, but must be {bar}"),
            Self::NotCompared => "not compared".to_owned(),
            Self::Skipped => "SKIPPED: it needs two processors".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_on_the_wrong_side_of_its_bar_fails() {
        assert_eq!(Bar::AtLeast(2.0).verdict(2.0), Verdict::Holds(2.0));
        assert_eq!(Bar::AtLeast(2.0).verdict(1.9), Verdict::Fails(1.9));
        assert_eq!(Bar::AtMost(0.6).verdict(0.6), Verdict::Holds(0.6));
        assert_eq!(Bar::AtMost(0.6).verdict(0.7), Verdict::Fails(0.7));
    }

    #[test]
    fn what_is_no_number_and_what_is_missing_do_not_pass() {
        assert!(!Bar::AtLeast(2.0).verdict(f64::NAN).passes());
        assert!(!Bar::AtMost(2.0).verdict(f64::NAN).passes());
        assert!(!Verdict::NotCompared.passes());
    }
}
