//! What one member may send at most, and that the others notice nothing when
//! it sends more.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::packet::{RawSocket, ipx_ethernet_ii};
use lanparty_lab::party::{HOST1, LAN, START, TAP};
use lanparty_lab::{programs, sandbox, traffic, wait};
use lanparty_proto::MacAddr;

use crate::mallory::{At, MAC, Stage};

const NOBODY: MacAddr = MacAddr([0x02, 0x00, 0x5E, 0x10, 0x00, 0x77]);
/// The rate that the stories set, in frames a second; twice that passes at
/// once.
const RATE: usize = 50;
const BURST: usize = 2 * RATE;
/// Twenty times the rate, for two seconds.
const TURNS: usize = 40;
const PER_TURN: usize = 50;
const TURN: Duration = Duration::from_millis(50);
/// Nothing of the flood is on its way after that.
const SETTLE: Duration = Duration::from_millis(300);

/// What each ear heard of a flood, while bob's pings to host1 all came back.
struct Flood {
    heard: Vec<Vec<Vec<u8>>>,
    seconds: f64,
}

fn flood(
    stage: &Stage,
    frame: &[u8],
    per_turn: usize,
    send: impl Fn(&[u8]) -> Result<()> + Sync,
    ears: &[&RawSocket],
) -> Result<Flood> {
    let begin = wait::now();
    let limit = TURN * u32::try_from(TURNS)? + SETTLE;
    let heard = thread::scope(|scope| -> Result<_> {
        let bob = scope.spawn(|| traffic::ping(&stage.bob().node, HOST1.into(), 40));
        let ears: Vec<_> = ears
            .iter()
            .map(|ear| scope.spawn(|| ear.collect(limit, |seen| seen == frame)))
            .collect();
        for _turn in 0..TURNS {
            for _frame in 0..per_turn {
                send(frame)?;
            }
            thread::sleep(TURN);
        }
        let rtt = bob.join().ok().context("a thread panicked")??;
        eprintln!("bob's ping during the flood: {rtt}");
        ears.into_iter()
            .map(|ear| ear.join().ok().context("a thread panicked"))
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(Flood {
        heard,
        seconds: begin.elapsed().as_secs_f64(),
    })
}

impl Flood {
    /// Each ear heard what passes at once, and no more than rate and time
    /// allow.
    fn was_limited_to(&self, rate: usize, burst: usize) -> Result<()> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a few seconds, a few thousand frames"
        )]
        let most = burst + (rate as f64 * self.seconds).ceil() as usize;
        for heard in &self.heard {
            let count = heard.len();
            eprintln!("{count} heard; at least {burst}, at most {most}");
            ensure!((burst..=most).contains(&count), "{count} were heard");
        }
        Ok(())
    }
}

#[test]
fn b14_a_players_broadcasts_are_held_to_their_rate() {
    sandbox::test(|| {
        let mut stage = Stage::set(&["--player-flood", "50"])?;
        let mallory = stage.mallory()?;
        let before = stage.drops(At::Relay, "flood_limited")?;
        let send = |frame: &[u8]| mallory.send_frame(frame);
        let ears = [&stage.host, &stage.bob];
        let flood = flood(&stage, &ipx_ethernet_ii(MAC, 200), PER_TURN, send, &ears)?;
        flood.was_limited_to(RATE, BURST)?;
        stage.wait_for_drop(At::Relay, "flood_limited", before)?;
        ensure!(mallory.closed().is_none(), "{:?}", mallory.closed());
        stage.everyone_is_alive()
    });
}

#[test]
fn a_players_frames_to_unknown_hosts_are_held_to_their_rate() {
    sandbox::test(|| {
        let mut stage = Stage::set(&["--player-unknown-unicast", "50"])?;
        let mallory = stage.mallory()?;
        let before = stage.drops(At::Relay, "unknown_unicast_limited")?;
        let send = |frame: &[u8]| mallory.send_frame(frame);
        let mut frame = ipx_ethernet_ii(MAC, 200);
        frame[..6].copy_from_slice(&NOBODY.octets());
        let mut flood = flood(&stage, &frame, PER_TURN, send, &[&stage.host, &stage.bob])?;
        let at_bob = flood.heard.pop().unwrap_or_default();
        ensure!(at_bob.is_empty(), "bob heard what is for the LAN alone");
        flood.was_limited_to(RATE, BURST)?;
        stage.wait_for_drop(At::Relay, "unknown_unicast_limited", before)?;
        stage.everyone_is_alive()
    });
}

#[test]
fn a_players_bytes_are_held_to_their_rate() {
    const BYTES_PER_SECOND: usize = 5_000_000 / 8;
    const LEAST_BURST: usize = 100_000;
    const LEN: usize = 1_000;
    sandbox::test(|| {
        let mut stage = Stage::set(&["--player-bandwidth", "5"])?;
        let mallory = stage.mallory()?;
        let before = stage.drops(At::Relay, "bandwidth_limited")?;
        let send = |frame: &[u8]| mallory.send_frame(frame);
        let mut frame = ipx_ethernet_ii(MAC, LEN - 14 - 30);
        frame[..6].copy_from_slice(&stage.party.host1.mac(LAN)?.octets());
        // 16 Mbit/s.
        let flood = flood(&stage, &frame, 100, send, &[&stage.host])?;
        // The overlay's header is charged too, a few bytes a frame; that many
        // frames fewer is within the burst.
        flood.was_limited_to(BYTES_PER_SECOND / LEN, LEAST_BURST / LEN)?;
        let heard = flood.heard.first().map_or(0, Vec::len);
        let fair = BYTES_PER_SECOND * 2 / LEN * 8 / 10;
        ensure!(heard >= fair, "{heard} is far below the rate, {fair}");
        stage.wait_for_drop(At::Relay, "bandwidth_limited", before)?;
        stage.everyone_is_alive()
    });
}

#[test]
fn the_lans_broadcasts_are_held_to_the_relays_rate() {
    sandbox::test(|| {
        let mut stage = Stage::set(&["--lan-flood", "50"])?;
        let before = stage.drops(At::Relay, "flood_limited")?;
        let host = stage.party.host1.mac(LAN)?;
        let send = |frame: &[u8]| stage.host.send(frame);
        let flood = flood(
            &stage,
            &ipx_ethernet_ii(host, 200),
            PER_TURN,
            send,
            &[&stage.bob],
        )?;
        flood.was_limited_to(RATE, BURST)?;
        stage.wait_for_drop(At::Relay, "flood_limited", before)?;
        stage.everyone_is_alive()
    });
}

/// A full room is no final refusal (docs/protocol.md, close codes): the client
/// says why it waits, and comes in when somebody leaves.
#[test]
fn a_full_room_says_so_and_takes_the_next_when_somebody_leaves() {
    sandbox::test(|| {
        let mut stage = Stage::set(&["--max-peers-per-room", "1"])?;
        let mut command = stage.node().command(programs::find("lanparty-client")?);
        command.args(stage.party.member_arguments()).args([
            "--tap-name",
            TAP,
            "--state-dir",
            "/mnt/late",
        ]);
        let mut late = stage.node().spawn_command(command, "late-client")?;
        late.wait_for("The room is full.", START)?;
        let refusal = stage.mallory().err().context("a raw member got in")?;
        ensure!(format!("{refusal:#}").contains("RoomFull"), "{refusal:#}");
        stage.everyone_is_alive()?;
        ensure!(late.ended().is_none(), "{}", late.log());
        ensure!(!late.log().contains("joined room"), "{}", late.log());

        let bob = stage.party.players[1].client.as_mut();
        bob.context("bob has no client")?.interrupt()?;
        late.wait_for("joined room", START)
    });
}
