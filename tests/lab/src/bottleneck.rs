//! What a tunnel makes of a bottleneck: a game's stream and a bulk copy at the
//! same time, and how full the line is meanwhile.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::flow::Flow;
use crate::line::{Direction, HomeLine};
use crate::node::Node;
use crate::tunnel::Tunnel;
use crate::{iperf, stream, wait};

/// Until a single Cubic connection has left its start behind. It leaves slow start
/// early (HyStart) and grows slowly from there: on a line without delay of its own it
/// keeps queues short for long, which is why there is [`flooded`] too.
pub const WARM_UP: Duration = Duration::from_secs(10);
/// Until a flood has: it is there at once.
const FLOOD_WARM_UP: Duration = Duration::from_secs(4);
/// What a flood wants, over what the line carries.
const TOO_MUCH: f64 = 1.25;
/// Of a flood's datagrams.
const FLOOD_PAYLOAD: usize = 1_200;

/// What was seen while bulk filled one direction of the first player's line.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// From the player to the LAN host and back.
    pub flow: Flow,
    /// Of the bottleneck's rate, as bytes that left it, 0 to 1.
    pub used: f64,
    /// The copy's payload over the bottleneck's rate, 0 to 1.
    pub goodput: f64,
    /// Frames that the bottleneck's queue had no room for.
    pub dropped: u64,
}

/// The stream alone.
///
/// # Errors
/// When there is no first player, or no answer.
pub fn idle(tunnel: &Tunnel, time: Duration) -> Result<Flow> {
    let (player, _) = tunnel.player(0)?;
    let (host, address) = tunnel.host();
    // The first finds the neighbours.
    Flow::run(player, host, address, Duration::from_millis(300))?;
    Flow::run(player, host, address, time)
}

/// The stream for `time` beside one TCP connection in this direction.
///
/// # Errors
/// When the first player's line has no bottleneck there.
pub fn loaded(tunnel: &Tunnel, direction: Direction, time: Duration) -> Result<Loaded> {
    let (from, to, address) = ends(tunnel, direction)?;
    // The copy outlasts the stream and its last answers.
    let all = time + Duration::from_secs(2);
    let copy = move || {
        let copied = iperf::tcp_warm(from, to, address, WARM_UP, all)?;
        Ok(copied.bits_per_second)
    };
    beside(tunnel, direction, copy, WARM_UP, time)
}

/// The stream for `time` beside datagrams that ask nobody how many may come.
///
/// # Errors
/// When the first player's line has no bottleneck there.
pub fn flooded(tunnel: &Tunnel, direction: Direction, time: Duration) -> Result<Loaded> {
    let (from, to, address) = ends(tunnel, direction)?;
    let rate = first_line(tunnel)?.rate(direction)?;
    let wanted = figure(rate.bits_per_second()) * TOO_MUCH;
    let datagrams = wanted / figure(8 * u64::try_from(FLOOD_PAYLOAD)?);
    let all = FLOOD_WARM_UP + time + Duration::from_secs(2);
    let flood = move || {
        let stream = stream::steady(from, to, address, FLOOD_PAYLOAD, datagrams, all)?;
        Ok(stream.bits_per_second(FLOOD_WARM_UP, all))
    };
    beside(tunnel, direction, flood, FLOOD_WARM_UP, time)
}

/// Runs `bulk`, which returns its bits a second, and the stream after `warm_up`.
fn beside(
    tunnel: &Tunnel,
    direction: Direction,
    bulk: impl FnOnce() -> Result<f64> + Send,
    warm_up: Duration,
    time: Duration,
) -> Result<Loaded> {
    let line = first_line(tunnel)?;
    let rate = line.rate(direction)?;
    let (player, _) = tunnel.player(0)?;
    let (host, address) = tunnel.host();
    thread::scope(|scope| {
        let bulk = scope.spawn(bulk);
        thread::sleep(warm_up + Duration::from_millis(500));
        let (before, begin) = (line.passed(direction)?, wait::now());
        let flow = Flow::run(player, host, address, time)?;
        let (after, end) = (line.passed(direction)?, wait::now());
        let bulk = bulk.join().ok().context("the bulk's thread panicked")??;
        let could = figure(rate.bytes_in(end - begin));
        Ok(Loaded {
            flow,
            used: figure(after.bytes - before.bytes) / could,
            goodput: bulk / figure(rate.bits_per_second()),
            dropped: after.dropped - before.dropped,
        })
    })
}

/// Who sends bulk, who gets it, and under which address.
fn ends(tunnel: &Tunnel, direction: Direction) -> Result<(&Node, &Node, Ipv4Addr)> {
    let (player, player_address) = tunnel.player(0)?;
    let (host, host_address) = tunnel.host();
    Ok(match direction {
        Direction::Up => (player, host, host_address),
        Direction::Down => (host, player, player_address),
    })
}

fn first_line(tunnel: &Tunnel) -> Result<&HomeLine> {
    let player = tunnel.party.players.first().context("nobody came")?;
    player.line.as_ref().context("the player has a cable")
}

fn figure(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
