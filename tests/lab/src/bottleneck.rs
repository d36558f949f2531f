//! What a tunnel makes of a bottleneck: a game's stream and a bulk copy at the
//! same time, and how full the line is meanwhile.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::flow::Flow;
use crate::line::{Direction, HomeLine};
use crate::tunnel::Tunnel;
use crate::{iperf, wait};

/// Until bulk TCP has found its speed, slow start's overshoot included.
pub const WARM_UP: Duration = Duration::from_secs(3);

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
    let line = first_line(tunnel)?;
    let rate = match direction {
        Direction::Up => line.line().up,
        Direction::Down => line.line().down,
    };
    let rate = rate.context("the line has no bottleneck in this direction")?;
    let (player, player_address) = tunnel.player(0)?;
    let (host, host_address) = tunnel.host();
    let (from, to, address) = match direction {
        Direction::Up => (player, host, host_address),
        Direction::Down => (host, player, player_address),
    };
    thread::scope(|scope| {
        // The copy outlasts the stream and its last answers.
        let all = time + Duration::from_secs(2);
        let bulk = scope.spawn(move || iperf::tcp_warm(from, to, address, WARM_UP, all));
        thread::sleep(WARM_UP + Duration::from_millis(500));
        let (before, begin) = (line.passed(direction)?, wait::now());
        let flow = Flow::run(player, host, host_address, time)?;
        let (after, end) = (line.passed(direction)?, wait::now());
        let bulk = bulk.join().ok().context("the copy's thread panicked")??;
        let could = figure(rate.bytes_in(end - begin));
        Ok(Loaded {
            flow,
            used: figure(after.bytes - before.bytes) / could,
            goodput: bulk.bits_per_second / figure(rate.bits_per_second()),
            dropped: after.dropped - before.dropped,
        })
    })
}

fn first_line(tunnel: &Tunnel) -> Result<&HomeLine> {
    let player = tunnel.party.players.first().context("nobody came")?;
    player.line.as_ref().context("the player has a cable")
}

fn figure(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
