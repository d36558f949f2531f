//! What the bench has to show, and whether it does.

use lanparty_lab::tunnel::Kind;

use super::parts::Parts;
use super::row;

/// Where a figure has to lie.
#[derive(Clone, Copy, Debug)]
enum Bar {
    AtLeast { reach: f64, aim: f64 },
    AtMost { reach: f64, aim: f64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Aim,
    Reach,
    Missed,
    NotMeasured,
}

#[derive(Clone, Copy)]
struct Goal {
    measure: &'static str,
    unit: &'static str,
    bar: Bar,
    seen: fn(&Parts) -> Option<f64>,
}

const fn at_least(reach: f64, aim: f64) -> Bar {
    Bar::AtLeast { reach, aim }
}

const fn at_most(reach: f64, aim: f64) -> Bar {
    Bar::AtMost { reach, aim }
}

const fn goal(
    measure: &'static str,
    unit: &'static str,
    bar: Bar,
    seen: fn(&Parts) -> Option<f64>,
) -> Goal {
    Goal {
        measure,
        unit,
        bar,
        seen,
    }
}

/// The goals of the issue that asked for speed, in its order.
const GOALS: &[Goal] = &[
    goal(
        "relay, 1,300-byte frames: rate per core over the bare AES-GCM forwarder",
        "",
        at_least(0.65, 0.80),
        |parts| parts.relay.as_ref()?.report.rate_over_forwarder(1_300),
    ),
    goal(
        "relay, 160-byte frames, likewise",
        "",
        at_least(1.8, 2.2),
        |parts| parts.relay.as_ref()?.report.bundled_over_forwarder(),
    ),
    goal(
        "the same with each frame in a datagram of its own, as when they come one by one",
        "",
        at_least(1.8, 2.2),
        |parts| parts.relay.as_ref()?.report.rate_over_forwarder(160),
    ),
    goal(
        "relay CPU per frame over quinn on tokio",
        "",
        at_most(0.75, 0.6),
        |parts| parts.relay.as_ref()?.report.cost_over_quinn(),
    ),
    goal(
        "TCP single stream, player to LAN, over OpenVPN TAP",
        "x",
        at_least(4.0, 6.0),
        |parts| parts.tunnel.as_ref()?.report.tcp_up_over(Kind::OpenVpn),
    ),
    goal(
        "the same over SoftEther over TLS",
        "x",
        at_least(2.0, 3.0),
        |parts| parts.tunnel.as_ref()?.report.tcp_up_over(Kind::SoftEther),
    ),
    goal(
        "160-byte UDP rate over OpenVPN TAP",
        "x",
        at_least(5.0, 8.0),
        |parts| parts.tunnel.as_ref()?.report.udp_over(Kind::OpenVpn),
    ),
    goal(
        "the same over SoftEther over TLS",
        "x",
        at_least(2.0, 3.0),
        |parts| parts.tunnel.as_ref()?.report.udp_over(Kind::SoftEther),
    ),
    goal(
        "idle RTT p50 over OpenVPN's",
        "",
        at_most(0.7, 0.5),
        |parts| {
            let latency = &parts.latency.as_ref()?.report;
            latency.idle_over(Kind::Sealed, Kind::OpenVpn)
        },
    ),
    goal(
        "the same with a core kept awake (--busy-poll 20000), not the default",
        "",
        at_most(0.7, 0.5),
        |parts| {
            let latency = &parts.latency.as_ref()?.report;
            latency.idle_over(Kind::Awake, Kind::OpenVpn)
        },
    ),
    goal(
        "p99 of the 64-byte flow while bulk TCP fills a 50 Mbit/s uplink, minus idle",
        "ms",
        at_most(10.0, 5.0),
        |parts| parts.shaped.as_ref()?.report.over_idle("up"),
    ),
    goal(
        "p99 of the 64-byte flow while bulk fills a 10 Mbit/s downlink, minus idle",
        "ms",
        at_most(20.0, 10.0),
        |parts| parts.shaped.as_ref()?.report.over_idle("down"),
    ),
    goal(
        "outer bytes at the bottleneck meanwhile, of its rate",
        "%",
        at_least(95.0, 98.0),
        |parts| parts.shaped.as_ref()?.report.used(),
    ),
    goal(
        "inner goodput meanwhile, of its rate",
        "%",
        at_least(84.0, 87.0),
        |parts| parts.shaped.as_ref()?.report.goodput(),
    ),
    goal(
        "TAP inner TCP with offload over without",
        "x",
        at_least(4.0, 6.0),
        |parts| parts.tap.as_ref()?.report.ratio(),
    ),
    goal(
        "CPU seconds per GB, all programs, over OpenVPN",
        "",
        at_most(0.3, 0.2),
        |parts| parts.tunnel.as_ref()?.report.cpu_over(Kind::OpenVpn),
    ),
    goal(
        "CPU seconds per GB, all programs, over SoftEther over TLS",
        "",
        at_most(0.5, 0.35),
        |parts| parts.tunnel.as_ref()?.report.cpu_over(Kind::SoftEther),
    ),
];

impl Bar {
    fn verdict(self, seen: Option<f64>) -> Verdict {
        let Some(seen) = seen else {
            return Verdict::NotMeasured;
        };
        let (reached, aimed) = match self {
            Self::AtLeast { reach, aim } => (seen >= reach, seen >= aim),
            Self::AtMost { reach, aim } => (seen <= reach, seen <= aim),
        };
        match (reached, aimed) {
            (_, true) => Verdict::Aim,
            (true, false) => Verdict::Reach,
            // Neither holds for a figure that is no number.
            (false, false) => Verdict::Missed,
        }
    }

    fn words(self, unit: &str) -> [String; 2] {
        let (word, reach, aim) = match self {
            Self::AtLeast { reach, aim } => ("≥", reach, aim),
            Self::AtMost { reach, aim } => ("≤", reach, aim),
        };
        [reach, aim].map(|bar| format!("{word} {}", with_unit(&bar.to_string(), unit)))
    }
}

impl Verdict {
    const fn words(self) -> &'static str {
        match self {
            Self::Aim => "aim reached",
            Self::Reach => "reached",
            Self::Missed => "missed",
            Self::NotMeasured => "not measured",
        }
    }
}

fn with_unit(number: &str, unit: &str) -> String {
    match unit {
        "" | "x" => format!("{number}{unit}"),
        _ => format!("{number} {unit}"),
    }
}

/// The table of goals; what was not measured says so.
pub(super) fn rows(parts: &Parts) -> Vec<Vec<String>> {
    let line = |goal: &Goal| {
        let seen = (goal.seen)(parts);
        let number = seen.map(|seen| with_unit(&format!("{seen:.2}"), goal.unit));
        let [reach, aim] = goal.bar.words(goal.unit);
        row([
            goal.measure,
            number.as_deref().unwrap_or("-"),
            &reach,
            &aim,
            goal.bar.verdict(seen).words(),
        ])
    };
    std::iter::once(row(["goal", "seen", "reach", "aim", "verdict"]))
        .chain(GOALS.iter().map(line))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_better_where_a_goal_says_at_least() {
        let bar = at_least(2.0, 3.0);
        assert_eq!(bar.verdict(Some(1.9)), Verdict::Missed);
        assert_eq!(bar.verdict(Some(2.0)), Verdict::Reach);
        assert_eq!(bar.verdict(Some(3.0)), Verdict::Aim);
    }

    #[test]
    fn less_is_better_where_a_goal_says_at_most() {
        let bar = at_most(10.0, 5.0);
        assert_eq!(bar.verdict(Some(10.1)), Verdict::Missed);
        assert_eq!(bar.verdict(Some(10.0)), Verdict::Reach);
        assert_eq!(bar.verdict(Some(5.0)), Verdict::Aim);
    }

    #[test]
    fn what_is_no_figure_reaches_nothing() {
        assert_eq!(at_least(2.0, 3.0).verdict(None), Verdict::NotMeasured);
        assert_eq!(at_most(2.0, 1.0).verdict(Some(f64::NAN)), Verdict::Missed);
    }

    #[test]
    fn every_aim_is_beyond_its_reach() {
        for goal in GOALS {
            let beyond = match goal.bar {
                Bar::AtLeast { reach, aim } => aim > reach,
                Bar::AtMost { reach, aim } => aim < reach,
            };
            assert!(beyond, "{}", goal.measure);
        }
    }

    #[test]
    fn without_reports_every_goal_is_not_measured() {
        let rows = rows(&Parts::default());
        assert_eq!(rows.len(), GOALS.len() + 1);
        assert!(rows.iter().skip(1).all(|row| row[4] == "not measured"));
    }
}
