//! What a bulk copy does to a game on a line of 50 Mbit/s up and 10 down with
//! queues of 100 ms, printed. As root:
//!
//! ```text
//! cargo run -p lanparty-lab --example shaped -- [sealed|clear|openvpn|softether] [SECONDS] [FLAGS FOR ALL THREE PROGRAMS]
//! ```
//!
//! The programs are those that were built last in the same profile.

#![expect(clippy::print_stdout, reason = "it prints")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use lanparty_lab::bottleneck::{self, Loaded};
use lanparty_lab::flow::Flow;
use lanparty_lab::line::{Direction, Line};
use lanparty_lab::tunnel::Kind;
use lanparty_lab::{PartyOptions, Tunnel, sandbox};

type Bulk = fn(&Tunnel, Direction, Duration) -> Result<Loaded>;

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if !sandbox::entered() {
        let status = sandbox::enter(arguments)?;
        return Ok(ExitCode::from(u8::from(!status.success())));
    }
    sandbox::prepare()?;
    let kind = match arguments.next().as_deref() {
        None | Some("sealed") => Kind::Sealed,
        Some("clear") => Kind::Clear,
        Some("openvpn") => Kind::OpenVpn,
        Some("softether") => Kind::SoftEther,
        Some(other) => bail!("no tunnel is called {other}"),
    };
    let seconds = arguments.next().map_or(Ok(8), |text| text.parse())?;
    let time = Duration::from_secs(seconds);
    let flags: Vec<String> = arguments.collect();
    let tunnel = kind.start(PartyOptions {
        players: vec!["alice"],
        lines: vec![Some(Line::shaped())],
        relay_arguments: flags.clone(),
        gateway_arguments: flags.clone(),
        player_arguments: flags,
        ..PartyOptions::default()
    })?;
    let idle = bottleneck::idle(&tunnel, time / 2)?;
    print("idle", &idle);
    let copy: Bulk = bottleneck::loaded;
    let flood: Bulk = bottleneck::flooded;
    for (name, bulk, direction) in [
        ("copy up", copy, Direction::Up),
        ("copy down", copy, Direction::Down),
        ("flood up", flood, Direction::Up),
        ("flood down", flood, Direction::Down),
    ] {
        let loaded = bulk(&tunnel, direction, time)?;
        print(name, &loaded.flow);
        println!(
            "           p99 minus idle {:.2} ms, bottleneck used {:.2} %, goodput {:.2} %, dropped by it {}",
            milliseconds(loaded.flow.round(99)) - milliseconds(idle.round(99)),
            loaded.used * 100.0,
            loaded.goodput * 100.0,
            loaded.dropped
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn print(name: &str, flow: &Flow) {
    let ms = |time| format!("{:.2}", milliseconds(time));
    println!(
        "{name:10} round p50 {} p99 {} max {} ms, there p50 {} p99 {}, back p50 {} p99 {}, lost {:.2} %, sent late by {} at most",
        ms(flow.round(50)),
        ms(flow.round(99)),
        ms(flow.round(100)),
        ms(flow.there(50)),
        ms(flow.there(99)),
        ms(flow.back(50)),
        ms(flow.back(99)),
        flow.loss() * 100.0,
        ms(flow.lateness())
    );
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
