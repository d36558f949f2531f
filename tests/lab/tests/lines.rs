//! Lines do what they are told, measured.

#![expect(
    clippy::print_stderr,
    reason = "a failing test is read with its measurements"
)]

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::flow::Flow;
use lanparty_lab::line::{Direction, HomeLine, Line, Rate};
use lanparty_lab::link::Weather;
use lanparty_lab::network::BRIDGE;
use lanparty_lab::{Network, Node, iperf, sandbox, stream};

const HOME: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const AWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// A host behind a line, and the internet's switch, which answers itself.
struct Rig {
    internet: Network,
    host: Node,
    line: HomeLine,
}

impl Rig {
    fn new(line: Line) -> Result<Self> {
        let mut internet = Network::new("internet")?;
        let host = Node::new("host")?;
        let line = HomeLine::lay(&mut internet, &host, 1_500, line)?;
        host.sh(&format!("ip addr add {HOME}/24 dev wan0"))?;
        internet
            .switch()
            .sh(&format!("ip addr add {AWAY}/24 dev {BRIDGE}"))?;
        Ok(Self {
            internet,
            host,
            line,
        })
    }

    fn flow(&self, time: Duration) -> Result<Flow> {
        let flow = |time| Flow::run(&self.host, self.internet.switch(), AWAY, time);
        flow(Duration::from_millis(200))?;
        flow(time)
    }
}

/// Of delays the median and nine in ten are asked for: what the slowest few take
/// is up to whoever else has the machine.
fn close(what: &str, seen: f64, low: f64, high: f64) -> Result<()> {
    eprintln!("{what}: {seen:.4}");
    ensure!((low..=high).contains(&seen), "{what}: {seen}");
    Ok(())
}

/// Bytes of TCP over 1,448 + 66: what a full-size segment costs with its headers.
const TCP_SHARE: f64 = 1_448.0 / 1_514.0;

#[test]
fn a_slow_line_is_as_fast_as_it_says_each_way() {
    sandbox::test(|| {
        let rig = Rig::new(Line::shaped())?;
        let away = rig.internet.switch();
        let time = Duration::from_secs(3);
        for (direction, from, to, address, mbit) in [
            (Direction::Up, &rig.host, away, AWAY, 50.0),
            (Direction::Down, away, &rig.host, HOME, 10.0),
        ] {
            let before = rig.line.passed(direction)?;
            let seen = iperf::tcp_warm(from, to, address, Duration::from_secs(1), time)?;
            let after = rig.line.passed(direction)?;
            ensure!(
                after.bytes - before.bytes > 3_000_000,
                "nothing was counted"
            );
            let share = seen.bits_per_second / (mbit * 1e6 * TCP_SHARE);
            close(
                &format!("{direction:?}: share of the rate"),
                share,
                0.95,
                1.02,
            )?;
        }
        Ok(())
    });
}

#[test]
fn a_full_queue_waits_as_long_as_it_says() {
    sandbox::test(|| {
        let rig = Rig::new(Line::shaped())?;
        let away = rig.internet.switch();
        let time = Duration::from_secs(3);
        let flow = std::thread::scope(|scope| {
            // 58 Mbit/s, which a line of 50 cannot carry.
            let flood =
                scope.spawn(|| stream::steady(&rig.host, away, AWAY, 1_200, 6_000.0, time * 2));
            std::thread::sleep(Duration::from_secs(2));
            let flow = Flow::run(&rig.host, away, AWAY, time);
            flood.join().ok().context("the flood panicked")??;
            flow
        })?;
        close(
            "p50 of the way there, s",
            flow.there(50).as_secs_f64(),
            0.095,
            0.105,
        )?;
        close(
            "p90 of the way there, s",
            flow.there(90).as_secs_f64(),
            0.095,
            0.110,
        )?;
        close(
            "p90 of the way back, s",
            flow.back(90).as_secs_f64(),
            0.0,
            0.010,
        )
    });
}

#[test]
fn a_far_line_takes_its_time_and_loses_nothing() {
    sandbox::test(|| {
        let rig = Rig::new(Line {
            weather: Weather::far(Duration::from_millis(20)),
            ..Line::default()
        })?;
        let flow = rig.flow(Duration::from_secs(4))?;
        close(
            "p50 there, ms",
            flow.there(50).as_secs_f64() * 1e3,
            20.0,
            21.0,
        )?;
        close(
            "p90 there, ms",
            flow.there(90).as_secs_f64() * 1e3,
            20.0,
            24.0,
        )?;
        close(
            "p50 back, ms",
            flow.back(50).as_secs_f64() * 1e3,
            20.0,
            21.0,
        )?;
        let away = rig.internet.switch();
        // 100 Mbit/s of 1,200-byte datagrams.
        let sent = stream::steady(
            &rig.host,
            away,
            AWAY,
            1_200,
            10_000.0,
            Duration::from_secs(3),
        )?;
        close("loss at 100 Mbit/s", sent.loss(), 0.0, 0.0)?;
        ensure!(rig.line.link()?.refused() == 0, "the link refused frames");
        Ok(())
    });
}

#[test]
fn jitter_spreads_the_delay_and_keeps_the_order() {
    sandbox::test(|| {
        let rig = Rig::new(Line {
            weather: Weather {
                delay: Duration::from_millis(5),
                jitter: Duration::from_millis(10),
                ..Weather::default()
            },
            ..Line::default()
        })?;
        let flow = rig.flow(Duration::from_secs(4))?;
        close("p5 there, ms", flow.there(5).as_secs_f64() * 1e3, 5.0, 6.5)?;
        close(
            "p50 there, ms",
            flow.there(50).as_secs_f64() * 1e3,
            8.5,
            11.5,
        )?;
        close(
            "p95 there, ms",
            flow.there(95).as_secs_f64() * 1e3,
            13.5,
            15.5,
        )?;
        let away = rig.internet.switch();
        let sent = stream::steady(
            &rig.host,
            away,
            AWAY,
            1_200,
            1_000.0,
            Duration::from_secs(2),
        )?;
        close("overtaken", sent.overtaken(), 0.0, 0.0)
    });
}

#[test]
fn a_lossy_line_loses_its_share_and_swaps_and_repeats_theirs() {
    sandbox::test(|| {
        let rig = Rig::new(Line {
            weather: Weather {
                reorder: 0.1,
                duplicate: 0.02,
                loss: 0.05,
                ..Weather::default()
            },
            ..Line::default()
        })?;
        let away = rig.internet.switch();
        let sent = stream::steady(
            &rig.host,
            away,
            AWAY,
            1_200,
            4_000.0,
            Duration::from_secs(4),
        )?;
        close("lost", sent.loss(), 0.04, 0.06)?;
        close("overtaken", sent.overtaken(), 0.08, 0.12)?;
        close("twice", sent.repeated(), 0.014, 0.026)
    });
}

#[test]
fn a_line_that_is_cut_carries_nothing_for_that_long() {
    sandbox::test(|| {
        let rig = Rig::new(Line {
            up: Some(Rate::mbit(50)),
            weather: Weather::far(Duration::from_millis(1)),
            ..Line::default()
        })?;
        let flow = std::thread::scope(|scope| {
            let flow = scope.spawn(|| rig.flow(Duration::from_secs(3)));
            // The warm-up flow takes 1.25 s.
            std::thread::sleep(Duration::from_millis(2_500));
            rig.line.link()?.cut_for(Duration::from_millis(300));
            flow.join().ok().context("the flow panicked")?
        })?;
        // 20 of 200.
        close("lost", flow.loss(), 0.09, 0.115)
    });
}
