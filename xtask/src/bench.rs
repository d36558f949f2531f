//! `cargo xtask bench`: ratios against rivals measured in the same run.
//!
//! Absolute figures say more about the machine than about the programs; only
//! ratios from one run are worth comparing.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use lanparty_lab::party::HOST1;
use lanparty_lab::rivals::{OPENVPN_PLAYER, OpenVpn};
use lanparty_lab::{
    Node, Party, PartyOptions, Process, iperf, packages, programs, sandbox, traffic,
};
use serde::Serialize;

use crate::cargo;
use crate::table::columns;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often each figure is measured; the median counts
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Seconds of each throughput run
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What one tunnel did in one repeat.
#[derive(Clone, Copy, Debug, Serialize)]
struct Figures {
    tcp_up_mbit_s: f64,
    tcp_down_mbit_s: f64,
    rtt_ms: f64,
    cpu_s_per_gb: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    ours: Figures,
    openvpn: Figures,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if sandbox::entered() {
        return inside(arguments);
    }
    sandbox::require()?;
    packages::ensure(&[packages::PARTY, packages::BENCH])?;
    cargo::build_release_programs()?;
    let status = sandbox::enter_with(
        std::env::args().skip(1),
        &[(
            programs::DIRECTORY,
            cargo::workspace().join("target/release"),
        )],
    )?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

fn inside(arguments: &Arguments) -> Result<ExitCode> {
    sandbox::prepare()?;
    let (mut ours, mut openvpn) = (Vec::new(), Vec::new());
    // Alternating, so that a slow minute of the machine hits both.
    for repeat in 1..=arguments.repeats {
        eprintln!("repeat {repeat} of {}: softlan-vpn", arguments.repeats);
        ours.push(measure_ours(arguments)?);
        eprintln!("repeat {repeat} of {}: OpenVPN", arguments.repeats);
        openvpn.push(measure_openvpn(arguments)?);
    }
    let report = Report {
        ours: median(&ours),
        openvpn: median(&openvpn),
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", columns(&rows(&report)));
    }
    Ok(ExitCode::SUCCESS)
}

fn one_player() -> PartyOptions {
    PartyOptions {
        players: vec!["alice"],
        // The default of 1 Gbit/s protects a public relay's uplink; here it
        // would be what is measured.
        relay_arguments: ["--player-bandwidth", "100000"].map(str::to_owned).to_vec(),
        ..PartyOptions::default()
    }
}

fn measure_ours(arguments: &Arguments) -> Result<Figures> {
    let party = Party::start(one_player())?;
    let player = party.players.first().context("nobody came")?;
    let address = player.address()?;
    let processes = [&party.relay, &party.gateway, &player.client].map(Option::as_ref);
    let processes: Vec<&Process> = processes.into_iter().flatten().collect();
    measure(&player.node, &party.host1, address, &processes, arguments)
}

fn measure_openvpn(arguments: &Arguments) -> Result<Figures> {
    let party = Party::build(one_player())?;
    let openvpn = OpenVpn::start(&party)?;
    let player = party.players.first().context("nobody came")?;
    let processes: Vec<&Process> = openvpn.processes.iter().collect();
    measure(
        &player.node,
        &party.host1,
        OPENVPN_PLAYER,
        &processes,
        arguments,
    )
}

fn measure(
    player: &Node,
    host: &Node,
    address: std::net::Ipv4Addr,
    processes: &[&Process],
    arguments: &Arguments,
) -> Result<Figures> {
    let time = Duration::from_secs(arguments.seconds);
    // Settles ARP, switch tables and path MTU discovery.
    traffic::ping(player, HOST1.into(), 20)?;
    iperf::tcp(player, host, HOST1, Duration::from_secs(1))?;
    let rtt = traffic::ping(player, HOST1.into(), 50)?;
    let before = cpu_time(processes)?;
    let up = iperf::tcp(player, host, HOST1, time)?;
    let down = iperf::tcp(host, player, address, time)?;
    let used = cpu_time(processes)? - before;
    Ok(Figures {
        tcp_up_mbit_s: up.bits_per_second / 1e6,
        tcp_down_mbit_s: down.bits_per_second / 1e6,
        rtt_ms: rtt.average.as_secs_f64() * 1e3,
        cpu_s_per_gb: used.as_secs_f64() / ((up.bytes + down.bytes) / 1e9),
    })
}

fn cpu_time(processes: &[&Process]) -> Result<Duration> {
    processes.iter().map(|process| process.cpu_time()).sum()
}

fn median(repeats: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = repeats.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Figures {
        tcp_up_mbit_s: of(|figures| figures.tcp_up_mbit_s),
        tcp_down_mbit_s: of(|figures| figures.tcp_down_mbit_s),
        rtt_ms: of(|figures| figures.rtt_ms),
        cpu_s_per_gb: of(|figures| figures.cpu_s_per_gb),
    }
}

fn rows(report: &Report) -> Vec<Vec<String>> {
    let Report { ours, openvpn } = report;
    let row = |name: &str, ours: f64, theirs: f64| {
        vec![
            name.to_owned(),
            format!("{ours:.2}"),
            format!("{theirs:.2}"),
            format!("{:.2}", ours / theirs),
        ]
    };
    vec![
        ["measure", "softlan-vpn", "OpenVPN TAP", "ratio"]
            .map(str::to_owned)
            .to_vec(),
        row(
            "TCP, player to LAN, Mbit/s",
            ours.tcp_up_mbit_s,
            openvpn.tcp_up_mbit_s,
        ),
        row(
            "TCP, LAN to player, Mbit/s",
            ours.tcp_down_mbit_s,
            openvpn.tcp_down_mbit_s,
        ),
        row("idle RTT, ms", ours.rtt_ms, openvpn.rtt_ms),
        row(
            "CPU of all programs, s/GB",
            ours.cpu_s_per_gb,
            openvpn.cpu_s_per_gb,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_one_bad_repeat() {
        let figures = |mbit: f64| Figures {
            tcp_up_mbit_s: mbit,
            tcp_down_mbit_s: mbit,
            rtt_ms: mbit,
            cpu_s_per_gb: mbit,
        };
        let median = median(&[figures(3.0), figures(900.0), figures(2.0)]);
        assert!((median.tcp_up_mbit_s - 3.0).abs() < 1e-9);
    }
}
