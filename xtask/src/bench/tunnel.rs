//! Throughput, latency and CPU of a sealed room, of a room in clear and of a
//! rival, on the same networks.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use lanparty_lab::party::HOST1;
use lanparty_lab::rivals::{OPENVPN_PLAYER, OpenVpn};
use lanparty_lab::{Node, Party, PartyOptions, Process, iperf, traffic};
use serde::{Deserialize, Serialize};

use super::parts::Measured;
use super::plot::{Bars, Group, Kind, Plot};
use super::statistics::median;
use super::{Arguments, row};

/// What one tunnel did in one repeat.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Figures {
    tcp_up_mbit_s: f64,
    tcp_down_mbit_s: f64,
    rtt_ms: f64,
    cpu_s_per_gb: f64,
    /// Of the relay, or of the hub in its place.
    relay_cpu_s_per_gb: f64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    sealed: Figures,
    clear: Figures,
    openvpn: Figures,
}

fn measure(arguments: &Arguments) -> Result<Report> {
    let (mut sealed, mut clear, mut openvpn) = (Vec::new(), Vec::new(), Vec::new());
    // Alternating, so that a slow minute of the machine hits all.
    for repeat in 1..=arguments.repeats {
        let say =
            |what| arguments.say(&format!("repeat {repeat} of {}: {what}", arguments.repeats));
        say("softlan-vpn, sealed");
        sealed.push(measure_ours(arguments, true)?);
        say("softlan-vpn, in clear");
        clear.push(measure_ours(arguments, false)?);
        say("OpenVPN");
        openvpn.push(measure_openvpn(arguments)?);
    }
    Ok(Report {
        sealed: medians(&sealed),
        clear: medians(&clear),
        openvpn: medians(&openvpn),
    })
}

fn one_player(keyed: bool) -> PartyOptions {
    PartyOptions {
        players: vec!["alice"],
        keyed,
        // The default of 1 Gbit/s protects a public relay's uplink; here it
        // would be what is measured.
        relay_arguments: ["--player-bandwidth", "100000"].map(str::to_owned).to_vec(),
        ..PartyOptions::default()
    }
}

fn measure_ours(arguments: &Arguments, keyed: bool) -> Result<Figures> {
    let party = Party::start(one_player(keyed))?;
    let player = party.players.first().context("nobody came")?;
    let address = player.address()?;
    let processes = [&party.relay, &party.gateway, &player.client].map(Option::as_ref);
    let processes: Vec<&Process> = processes.into_iter().flatten().collect();
    figures(&player.node, &party.host1, address, &processes, arguments)
}

fn measure_openvpn(arguments: &Arguments) -> Result<Figures> {
    let party = Party::build(one_player(false))?;
    let openvpn = OpenVpn::start(&party)?;
    let player = party.players.first().context("nobody came")?;
    let processes: Vec<&Process> = openvpn.processes.iter().collect();
    figures(
        &player.node,
        &party.host1,
        OPENVPN_PLAYER,
        &processes,
        arguments,
    )
}

/// `processes` begins with the relay.
fn figures(
    player: &Node,
    host: &Node,
    address: Ipv4Addr,
    processes: &[&Process],
    arguments: &Arguments,
) -> Result<Figures> {
    let time = Duration::from_secs(arguments.seconds);
    // Settles ARP, switch tables and path MTU discovery.
    traffic::ping(player, HOST1.into(), 20)?;
    iperf::tcp(player, host, HOST1, Duration::from_secs(1))?;
    let rtt = traffic::ping(player, HOST1.into(), 50)?;
    let relay = processes.get(..1).unwrap_or_default();
    let before = (cpu_time(processes)?, cpu_time(relay)?);
    let up = iperf::tcp(player, host, HOST1, time)?;
    let down = iperf::tcp(host, player, address, time)?;
    let per_gb = |used: Duration| used.as_secs_f64() / ((up.bytes + down.bytes) / 1e9);
    Ok(Figures {
        tcp_up_mbit_s: up.bits_per_second / 1e6,
        tcp_down_mbit_s: down.bits_per_second / 1e6,
        rtt_ms: rtt.average.as_secs_f64() * 1e3,
        cpu_s_per_gb: per_gb(cpu_time(processes)? - before.0),
        relay_cpu_s_per_gb: per_gb(cpu_time(relay)? - before.1),
    })
}

fn cpu_time(processes: &[&Process]) -> Result<Duration> {
    processes.iter().map(|process| process.cpu_time()).sum()
}

fn medians(repeats: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| median(repeats.iter().map(figure)).unwrap_or_default();
    Figures {
        tcp_up_mbit_s: of(|figures| figures.tcp_up_mbit_s),
        tcp_down_mbit_s: of(|figures| figures.tcp_down_mbit_s),
        rtt_ms: of(|figures| figures.rtt_ms),
        cpu_s_per_gb: of(|figures| figures.cpu_s_per_gb),
        relay_cpu_s_per_gb: of(|figures| figures.relay_cpu_s_per_gb),
    }
}

impl Report {
    pub(super) fn tcp_up_over(&self, _rival: &str) -> Option<f64> {
        Some(self.sealed.tcp_up_mbit_s / self.openvpn.tcp_up_mbit_s)
    }

    pub(super) fn cpu_over(&self, _rival: &str) -> Option<f64> {
        Some(self.sealed.cpu_s_per_gb / self.openvpn.cpu_s_per_gb)
    }
}

impl Measured for Report {
    const TITLE: &'static str = "Tunnels";

    fn about(arguments: &Arguments) -> Duration {
        let once = Duration::from_secs(2 * arguments.seconds + 12);
        once * (3 * arguments.repeats).try_into().unwrap_or(1)
    }

    fn measure(arguments: &Arguments) -> Result<Self> {
        measure(arguments)
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let line = |name: &str, figure: fn(&Figures) -> f64| {
            let figures = [&self.sealed, &self.clear, &self.openvpn].map(figure);
            let [sealed, clear, openvpn] = figures;
            let numbers = [sealed, clear, openvpn, sealed / clear, sealed / openvpn];
            std::iter::once(name.to_owned())
                .chain(numbers.map(|number| format!("{number:.2}")))
                .collect()
        };
        vec![
            row([
                "tunnel",
                "sealed",
                "in clear",
                "OpenVPN TAP",
                "sealed/clear",
                "sealed/OpenVPN",
            ]),
            line("TCP, player to LAN, Mbit/s", |it| it.tcp_up_mbit_s),
            line("TCP, LAN to player, Mbit/s", |it| it.tcp_down_mbit_s),
            line("idle RTT, ms", |it| it.rtt_ms),
            line("CPU of all programs, s/GB", |it| it.cpu_s_per_gb),
            line("CPU of the relay, s/GB", |it| it.relay_cpu_s_per_gb),
        ]
    }

    fn plots(&self) -> Vec<Plot> {
        let group = |name: &str, figure: fn(&Figures) -> f64| Group {
            name: name.to_owned(),
            values: [&self.sealed, &self.clear, &self.openvpn]
                .map(|it| Some(figure(it)))
                .to_vec(),
        };
        let bars = Bars {
            unit: "Mbit/s",
            series: row(["sealed", "in clear", "OpenVPN TAP"]),
            groups: vec![
                group("player to LAN", |it| it.tcp_up_mbit_s),
                group("LAN to player", |it| it.tcp_down_mbit_s),
            ],
        };
        vec![Plot::new(
            "throughput",
            "TCP through the tunnel",
            Kind::Bars(bars),
        )]
    }
}
