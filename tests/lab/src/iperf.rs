//! Throughput, as iperf3 measures it.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::node::Node;

/// What one run carried.
#[derive(Clone, Copy, Debug)]
pub struct Throughput {
    pub bits_per_second: f64,
    pub bytes: f64,
}

/// One TCP stream from `from` to `to` for `time`.
///
/// # Errors
/// When iperf3 fails, with its words.
pub fn tcp(from: &Node, to: &Node, target: Ipv4Addr, time: Duration) -> Result<Throughput> {
    tcp_streams(from, to, target, time, 1)
}

/// Several TCP streams at once; what they carried together.
///
/// # Errors
/// When iperf3 fails, with its words.
pub fn tcp_streams(
    from: &Node,
    to: &Node,
    target: Ipv4Addr,
    time: Duration,
    streams: usize,
) -> Result<Throughput> {
    let options = format!("--parallel {streams} --time {}", time.as_secs());
    run(from, to, target, &options)
}

/// One TCP stream that runs for `warm_up` before its `time` begins to count.
///
/// # Errors
/// When iperf3 fails, with its words.
pub fn tcp_warm(
    from: &Node,
    to: &Node,
    target: Ipv4Addr,
    warm_up: Duration,
    time: Duration,
) -> Result<Throughput> {
    let (warm_up, time) = (warm_up.as_secs(), time.as_secs());
    run(from, to, target, &format!("--omit {warm_up} --time {time}"))
}

fn run(from: &Node, to: &Node, target: Ipv4Addr, options: &str) -> Result<Throughput> {
    let mut command = to.command("iperf3");
    command.args(["--server", "--one-off", "--port", "5201"]);
    let mut server = to.spawn_command(command, "iperf3")?;
    crate::wait::until("iperf3 to listen", Duration::from_secs(5), || {
        to.sh("ss -Hltn sport = :5201 | grep -q .").ok()
    })?;
    let report = from.sh(&format!(
        "iperf3 --client {target} --port 5201 --json {options}"
    ))?;
    server.wait(Duration::from_secs(10))?;
    let report: Value = serde_json::from_str(&report).context("iperf3 printed no JSON")?;
    let figure = |name: &str| {
        report
            .pointer(&format!("/end/sum_received/{name}"))
            .and_then(Value::as_f64)
            .with_context(|| format!("iperf3 did not report {name}: {report}"))
    };
    Ok(Throughput {
        bits_per_second: figure("bits_per_second")?,
        bytes: figure("bytes")?,
    })
}
