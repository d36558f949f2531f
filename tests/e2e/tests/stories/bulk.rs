//! Invariant I9: a bulk copy never ruins the game, whatever the line is like.
//!
//! Bounds are far from what is usually seen, because two cores run all the
//! programs; what was seen is printed.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::bottleneck::{self, Loaded};
use lanparty_lab::flow::Flow;
use lanparty_lab::line::{Direction, Line, Rate};
use lanparty_lab::link::{Link, Weather};
use lanparty_lab::party::{HOME_ROUTER, HOST1};
use lanparty_lab::stream::{self, Stream};
use lanparty_lab::tunnel::Kind;
use lanparty_lab::{PartyOptions, Tunnel, iperf, sandbox, traffic};

/// What bulk may add to the game's p99. A queue of 100 ms that nobody manages
/// adds 80 to 100 ms.
const OVER_IDLE: Duration = Duration::from_millis(40);
/// Below this nothing was filled, and the rest says nothing.
const FILLED: f64 = 0.7;
const WATCHED: Duration = Duration::from_secs(6);

fn on(line: Line) -> PartyOptions {
    PartyOptions {
        players: vec!["alice"],
        lines: vec![Some(line)],
        ..PartyOptions::default()
    }
}

type Bulk = fn(&Tunnel, Direction, Duration) -> Result<Loaded>;

fn the_game_goes_on(kind: Kind, bulk: Bulk) -> Result<()> {
    let tunnel = kind.start(on(Line::shaped()))?;
    let idle = bottleneck::idle(&tunnel, WATCHED)?;
    for direction in [Direction::Up, Direction::Down] {
        let loaded = bulk(&tunnel, direction, WATCHED)?;
        let over_idle = loaded.flow.round(99).saturating_sub(idle.round(99));
        eprintln!(
            "{direction:?}: p99 {:?}, at rest {:?}; lost {:.3}, line used {:.3}, goodput {:.3}",
            loaded.flow.round(99),
            idle.round(99),
            loaded.flow.loss(),
            loaded.used,
            loaded.goodput
        );
        ensure!(
            over_idle < OVER_IDLE,
            "{direction:?}: bulk adds {over_idle:?} to the game's p99"
        );
        ensure!(
            loaded.flow.loss() < 0.01,
            "{direction:?}: the game lost {:.3}",
            loaded.flow.loss()
        );
        ensure!(
            loaded.used > FILLED,
            "{direction:?}: bulk used only {:.3} of the line",
            loaded.used
        );
    }
    Ok(())
}

#[test]
fn i9_a_game_goes_on_while_a_copy_fills_the_line_in_a_sealed_room() {
    sandbox::test(|| the_game_goes_on(Kind::Sealed, bottleneck::loaded));
}

#[test]
fn i9_a_game_goes_on_while_a_copy_fills_the_line_in_a_room_without_a_key() {
    sandbox::test(|| the_game_goes_on(Kind::Clear, bottleneck::loaded));
}

#[test]
fn i9_a_game_goes_on_while_a_flood_fills_the_line_in_a_sealed_room() {
    sandbox::test(|| the_game_goes_on(Kind::Sealed, bottleneck::flooded));
}

#[test]
fn i9_a_game_goes_on_while_a_flood_fills_the_line_in_a_room_without_a_key() {
    sandbox::test(|| the_game_goes_on(Kind::Clear, bottleneck::flooded));
}

/// 50 Mbit/s each way and a round trip of 20 ms, in this weather.
fn fibre(weather: Weather) -> Line {
    Line {
        up: Some(Rate::mbit(50)),
        down: Some(Rate::mbit(50)),
        weather: Weather {
            delay: Duration::from_millis(10),
            ..weather
        },
        ..Line::default()
    }
}

const PAYLOAD: usize = 1_200;
/// 58 Mbit/s of payload: more than the line carries.
const TOO_MANY: f64 = 6_000.0;
/// 38 Mbit/s of payload: less than it carries.
const ENOUGH: f64 = 4_000.0;
const STREAM: Duration = Duration::from_secs(8);
/// Until the tunnel has found its rate.
const FOUND: Duration = Duration::from_secs(3);

fn upload(tunnel: &Tunnel, rate: f64, time: Duration) -> Result<Stream> {
    let (player, _) = tunnel.player(0)?;
    let (host, address) = tunnel.host();
    stream::steady(player, host, address, PAYLOAD, rate, time)
}

/// Bits a second of an upload that wants more than the line gives.
fn greedy(weather: Weather) -> Result<f64> {
    let tunnel = Kind::Sealed.start(on(fibre(weather)))?;
    let upload = upload(&tunnel, TOO_MANY, STREAM)?;
    Ok(upload.bits_per_second(FOUND, STREAM))
}

#[test]
fn random_loss_leaves_most_of_the_goodput() {
    sandbox::test(|| {
        let fair = greedy(Weather::default())?;
        // Promised are 0.8 and 0.5.
        for (loss, least) in [(0.01, 0.65), (0.05, 0.4)] {
            let kept = greedy(Weather::lossy(loss))? / fair;
            eprintln!("loss of {loss}: {kept:.3} of {:.1} Mbit/s", fair / 1e6);
            ensure!(kept > least, "loss of {loss} leaves {kept:.3}");
        }
        Ok(())
    });
}

#[test]
fn jitter_and_reordering_leave_most_of_the_goodput_and_break_nothing() {
    sandbox::test(|| {
        let fair = greedy(Weather::default())?;
        let weather = Weather {
            jitter: Duration::from_millis(4),
            reorder: 0.05,
            duplicate: 0.01,
            ..Weather::default()
        };
        let tunnel = Kind::Sealed.start(on(fibre(weather)))?;
        let upload = upload(&tunnel, TOO_MANY, STREAM)?;
        let kept = upload.bits_per_second(FOUND, STREAM) / fair;
        eprintln!("{kept:.3} of {:.1} Mbit/s", fair / 1e6);
        ensure!(kept > 0.65, "jitter and reordering leave {kept:.3}");
        ensure!(
            upload.repeated() < 1e-9,
            "a frame came twice: {:.4}",
            upload.repeated()
        );
        let (player, player_address) = tunnel.player(0)?;
        let (host, host_address) = tunnel.host();
        traffic::copy(player, host, (host_address, 7_401).into(), 3_000_000)?;
        traffic::copy(host, player, (player_address, 7_402).into(), 3_000_000)?;
        let game = Flow::run(player, host, host_address, Duration::from_secs(3))?;
        ensure!(game.loss() < 0.01, "the game lost {:.3}", game.loss());
        Ok(())
    });
}

fn link(tunnel: &Tunnel) -> Result<&Link> {
    let player = tunnel.party.players.first().context("nobody came")?;
    player.line.as_ref().context("no line")?.link()
}

#[test]
fn a_lost_burst_slows_an_upload_for_no_more_than_a_second() {
    sandbox::test(|| {
        let tunnel = Kind::Sealed.start(on(fibre(Weather::default())))?;
        let cut = Duration::from_secs(4);
        let upload = thread::scope(|scope| {
            let upload = scope.spawn(|| upload(&tunnel, ENOUGH, STREAM));
            thread::sleep(cut);
            link(&tunnel)?.cut_for(Duration::from_millis(100));
            upload.join().ok().context("the upload panicked")?
        })?;
        let window = |from: u64, to: u64| {
            upload.bits_per_second(Duration::from_millis(from), Duration::from_millis(to))
        };
        let before = window(2_000, 3_500);
        let tenths = (30..70).map(|tenth| window(tenth * 100, tenth * 100 + 100) / before);
        eprintln!(
            "of {:.1} Mbit/s, each 100 ms from the third second on: {:.2?}",
            before / 1e6,
            tenths.collect::<Vec<f64>>()
        );
        // The sender began within half a second of the cut's clock.
        let after = window(5_000, 7_000) / before;
        ensure!(after > 0.8, "a second later it is at {after:.3}");
        Ok(())
    });
}

#[test]
fn an_upload_shares_the_line_with_the_households_own() {
    sandbox::test(|| {
        let line = Line {
            weather: Weather::far(Duration::from_millis(20)),
            ..fibre(Weather::default())
        };
        let tunnel = Kind::Sealed.start(on(line))?;
        let (player, _) = tunnel.player(0)?;
        let outside = tunnel.party.internet.switch();
        let (warm_up, time) = (Duration::from_secs(6), Duration::from_secs(14));
        let household = || iperf::tcp_warm(player, outside, HOME_ROUTER, warm_up, time);
        let copy = || iperf::tcp_warm(player, &tunnel.party.host1, HOST1, warm_up, time);
        let (household, copy) = thread::scope(|scope| {
            let household = scope.spawn(household);
            let copy = scope.spawn(copy);
            let household = household.join().ok().context("a thread panicked")??;
            let copy = copy.join().ok().context("a thread panicked")??;
            anyhow::Ok((household.bits_per_second, copy.bits_per_second))
        })?;
        let share = copy / (household + copy);
        eprintln!(
            "ours {:.1} Mbit/s, the household's {:.1}: share {share:.3}",
            copy / 1e6,
            household / 1e6
        );
        // Promised are 0.35 to 0.65.
        ensure!((0.2..0.8).contains(&share), "a share of {share:.3}");
        Ok(())
    });
}

#[test]
fn i8_full_size_frames_cross_a_slow_and_narrow_line() {
    sandbox::test(|| {
        let tunnel = Kind::Sealed.start(PartyOptions {
            player_mtu: vec![1_400],
            ..on(Line::shaped())
        })?;
        let (player, player_address) = tunnel.player(0)?;
        let (host, _) = tunnel.host();
        let target = (player_address, 7_410).into();
        let arrived = traffic::udp(host, player, target, 1_472, 20)?;
        ensure!(arrived == 20, "{arrived} of 20 full-size datagrams");
        Ok(())
    });
}
