//! Round trips through tunnels on lines without limits, at rest and while TCP
//! takes all there is.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use lanparty_lab::flow::Flow;
use lanparty_lab::pings::Pings;
use lanparty_lab::tunnel::{Kind, Tunnel};
use lanparty_lab::{iperf, traffic};
use serde::{Deserialize, Serialize};

use super::Arguments;
use super::comparison::{self, Comparison, Figures, Named};
use super::parts::Measured;
use super::plot::{self, Plot};

const IDLE_P50: &str = "idle_p50_ms";

const ROUND_TRIPS: [Named; 6] = [
    (IDLE_P50, "at rest, p50"),
    ("idle_p99_ms", "at rest, p99"),
    ("up_p50_ms", "while TCP goes up, p50"),
    ("up_p99_ms", "while TCP goes up, p99"),
    ("down_p50_ms", "while TCP goes down, p50"),
    ("down_p99_ms", "while TCP goes down, p99"),
];
/// Ours with a core kept awake, at rest.
const AWAKE: [Named; 2] = [
    (IDLE_P50, "at rest, --busy-poll 20000, p50"),
    ("idle_p99_ms", "at rest, --busy-poll 20000, p99"),
];
const KINDS: [Kind; 6] = [
    Kind::Sealed,
    Kind::Awake,
    Kind::Clear,
    Kind::OpenVpn,
    Kind::SoftEther,
    Kind::Vxlan,
];
const LOSS: [Named; 2] = [
    ("up_loss_percent", "loss while TCP goes up, %"),
    ("down_loss_percent", "loss while TCP goes down, %"),
];

/// Of the pings at rest: enough for a p99 that is not one ping's.
const IDLE: usize = 300;
const IDLE_INTERVAL: Duration = Duration::from_millis(10);
/// Of the flow under load: 200 datagrams.
const LOADED: Duration = Duration::from_secs(3);
/// Until TCP has found its speed.
const WARM_UP: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    #[serde(flatten)]
    comparison: Comparison,
}

fn figures(tunnel: &Tunnel) -> Result<Figures> {
    let (player, player_address) = tunnel.player(0)?;
    let (host, host_address) = tunnel.host();
    traffic::ping(player, host_address.into(), 10)?;
    let idle = Pings::run(player, host_address.into(), IDLE_INTERVAL, IDLE)?;
    let mut figures = Figures::from([
        (IDLE_P50, milliseconds(idle.percentile(50))),
        ("idle_p99_ms", milliseconds(idle.percentile(99))),
    ]);
    if tunnel.kind == Kind::Awake {
        return Ok(figures);
    }
    let load = WARM_UP + LOADED + Duration::from_secs(1);
    for (keys, from, to, address) in [
        (
            ["up_p50_ms", "up_p99_ms", "up_loss_percent"],
            player,
            host,
            host_address,
        ),
        (
            ["down_p50_ms", "down_p99_ms", "down_loss_percent"],
            host,
            player,
            player_address,
        ),
    ] {
        let flow = thread::scope(|scope| {
            let bulk = scope.spawn(|| iperf::tcp(from, to, address, load));
            thread::sleep(WARM_UP);
            let flow = Flow::run(player, host, host_address, LOADED);
            bulk.join().ok().context("the load's thread panicked")??;
            flow
        })?;
        let [p50, p99, loss] = keys;
        figures.insert(p50, milliseconds(flow.round(50)));
        figures.insert(p99, milliseconds(flow.round(99)));
        figures.insert(loss, flow.loss() * 100.0);
    }
    Ok(figures)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl Report {
    pub(super) fn idle_over(&self, ours: Kind, rival: Kind) -> Option<f64> {
        self.comparison.ratio(IDLE_P50, ours, rival)
    }
}

impl Measured for Report {
    const TITLE: &'static str = "Round trips through tunnels, in ms";

    fn about(arguments: &Arguments) -> Duration {
        comparison::about(arguments, Duration::from_secs(17))
    }

    fn measure(arguments: &Arguments) -> Result<Self> {
        let say = |what: &str| arguments.say(&format!("latency, {what}"));
        let comparison = Comparison::run(&KINDS, arguments.repeats, say, figures)?;
        Ok(Self { comparison })
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = self.comparison.rows(&[&ROUND_TRIPS[..], &LOSS].concat());
        let awake = AWAKE.map(|named| self.comparison.row_of(Kind::Awake, named));
        // Below the heading and the two lines at rest.
        let below = rows.len().min(3);
        rows.splice(below..below, awake);
        rows
    }

    fn plots(&self) -> Vec<Plot> {
        let bars = |names| plot::Kind::Bars(self.comparison.bars("ms", names));
        let (idle, loaded) = ROUND_TRIPS.split_at(2);
        vec![
            Plot::new("latency-idle", "Round trip at rest", bars(idle)),
            Plot::new(
                "latency-loaded",
                "Round trip while TCP takes all that an unlimited line gives",
                bars(loaded),
            ),
        ]
    }
}
