//! Throughput, CPU and memory of a sealed room, of a room in clear and of other
//! tunnels, on the same networks.

use std::time::Duration;

use anyhow::Result;
use lanparty_lab::tunnel::{BySeat, Kind, Tunnel};
use lanparty_lab::{iperf, traffic, udp_rate};
use serde::{Deserialize, Serialize};

use super::Arguments;
use super::comparison::{self, Comparison, Figures, Named};
use super::parts::Measured;
use super::plot::{self, Plot};

pub(super) const UP: &str = "tcp_up_mbit_s";
pub(super) const DOWN: &str = "tcp_down_mbit_s";
const SMALL: &str = "udp_160_per_s";
pub(super) const CPU: &str = "cpu_s_per_gb";

const TCP: [Named; 6] = [
    (UP, "TCP, player to LAN, Mbit/s"),
    (DOWN, "TCP, LAN to player, Mbit/s"),
    ("tcp_across_mbit_s", "TCP, player to player, Mbit/s"),
    ("tcp4_up_mbit_s", "4 x TCP, player to LAN, Mbit/s"),
    ("tcp4_down_mbit_s", "4 x TCP, LAN to player, Mbit/s"),
    ("tcp4_across_mbit_s", "4 x TCP, player to player, Mbit/s"),
];
const UDP: [Named; 2] = [
    (SMALL, "UDP of 160 bytes, player to LAN, 1/s"),
    ("udp_1200_per_s", "UDP of 1,200 bytes, player to LAN, 1/s"),
];
const CPU_PARTS: [Named; 3] = [
    ("cpu_relay_s_per_gb", "relay"),
    ("cpu_gateway_s_per_gb", "gateway"),
    ("cpu_player_s_per_gb", "player"),
];
const REST: [Named; 7] = [
    (CPU, "CPU of all programs, s/GB"),
    ("cpu_relay_s_per_gb", "CPU of the relay, s/GB"),
    ("cpu_gateway_s_per_gb", "CPU of the gateway, s/GB"),
    ("cpu_player_s_per_gb", "CPU of the player, s/GB"),
    ("relay_mib", "memory of the relay, MiB"),
    ("gateway_mib", "memory of the gateway, MiB"),
    ("player_mib", "memory of a player, MiB"),
];

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    #[serde(flatten)]
    comparison: Comparison,
}

/// Figures of `tunnel`, whose players are two.
fn figures(tunnel: &Tunnel, time: Duration) -> Result<Figures> {
    let mut figures = speed(tunnel, time)?;
    let (player, player_address) = tunnel.player(0)?;
    let (other, other_address) = tunnel.player(1)?;
    let (host, host_address) = tunnel.host();
    let across = iperf::tcp(player, other, other_address, time)?;
    figures.insert("tcp_across_mbit_s", across.bits_per_second / 1e6);
    for (key, from, to, address) in [
        ("tcp4_up_mbit_s", player, host, host_address),
        ("tcp4_down_mbit_s", host, player, player_address),
        ("tcp4_across_mbit_s", player, other, other_address),
    ] {
        let four = iperf::tcp_streams(from, to, address, time, 4)?;
        figures.insert(key, four.bits_per_second / 1e6);
    }
    for (key, size) in [(SMALL, 160), ("udp_1200_per_s", 1_200)] {
        figures.insert(key, udp_rate::search(player, host, host_address, size)?);
    }
    if let Some(resident) = tunnel.resident()? {
        let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
        figures.insert("relay_mib", mib(resident.relay));
        figures.insert("gateway_mib", mib(resident.gateway));
        figures.insert("player_mib", mib(resident.players) / 2.0);
    }
    Ok(figures)
}

/// One stream up, one down, and the CPU time of the programs meanwhile.
pub(super) fn speed(tunnel: &Tunnel, time: Duration) -> Result<Figures> {
    let (player, player_address) = tunnel.player(0)?;
    let (host, host_address) = tunnel.host();
    // Settles ARP, switch tables and path MTU discovery.
    traffic::ping(player, host_address.into(), 10)?;
    iperf::tcp(player, host, host_address, Duration::from_secs(1))?;
    let before = tunnel.cpu_time()?;
    let up = iperf::tcp(player, host, host_address, time)?;
    let down = iperf::tcp(host, player, player_address, time)?;
    let after = tunnel.cpu_time()?;
    let mut figures = Figures::from([
        (UP, up.bits_per_second / 1e6),
        (DOWN, down.bits_per_second / 1e6),
    ]);
    if let Some((before, after)) = before.zip(after) {
        let gigabytes = (up.bytes + down.bytes) / 1e9;
        let used = |of: fn(&BySeat<Duration>) -> Duration| {
            of(&after).saturating_sub(of(&before)).as_secs_f64() / gigabytes
        };
        let parts = [
            used(|it| it.relay),
            used(|it| it.gateway),
            used(|it| it.players),
        ];
        figures.insert(CPU, parts.iter().sum());
        let keys = CPU_PARTS.iter().map(|(key, _)| *key);
        figures.extend(keys.zip(parts));
    }
    Ok(figures)
}

impl Report {
    pub(super) fn tcp_up_over(&self, rival: Kind) -> Option<f64> {
        self.comparison.ratio(UP, Kind::Sealed, rival)
    }

    pub(super) fn udp_over(&self, rival: Kind) -> Option<f64> {
        self.comparison.ratio(SMALL, Kind::Sealed, rival)
    }

    pub(super) fn cpu_over(&self, rival: Kind) -> Option<f64> {
        self.comparison.ratio(CPU, Kind::Sealed, rival)
    }
}

impl Measured for Report {
    const TITLE: &'static str = "Throughput, CPU and memory of tunnels";

    fn about(arguments: &Arguments) -> Duration {
        // Six runs of TCP, a short one first, and two searches.
        comparison::about(arguments, Duration::from_secs(6 * arguments.seconds + 20))
    }

    fn measure(arguments: &Arguments) -> Result<Self> {
        let time = Duration::from_secs(arguments.seconds);
        let say = |what: &str| arguments.say(&format!("tunnels, {what}"));
        let comparison = Comparison::run(&Kind::ALL, arguments.repeats, say, |tunnel| {
            figures(tunnel, time)
        })?;
        Ok(Self { comparison })
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.comparison.rows(&[&TCP[..], &UDP, &REST].concat())
    }

    fn plots(&self) -> Vec<Plot> {
        let short = |names: &[Named]| -> Vec<Named> {
            let cut = |(key, name): &Named| (*key, name.rsplit_once(", ").map_or(*name, |it| it.0));
            names.iter().map(cut).collect()
        };
        let bars =
            |unit, names: &[Named]| plot::Kind::Bars(self.comparison.bars(unit, &short(names)));
        let cpu = self
            .comparison
            .stack("seconds of CPU per GB carried", &CPU_PARTS);
        vec![
            Plot::new("throughput", "TCP through tunnels", bars("Mbit/s", &TCP)),
            Plot::new(
                "datagrams",
                "Highest rate of UDP with under 0.5 % loss",
                bars("datagrams a second", &UDP),
            ),
            Plot::new(
                "cpu",
                "CPU time of the programs while TCP runs up and down",
                plot::Kind::Stacked(cpu),
            ),
        ]
    }
}
