//! A LAN that has a loop or a broken machine on it.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::packet::ipx_ethernet_ii;
use lanparty_lab::party::{LAN, TAP};
use lanparty_lab::{sandbox, wait};
use lanparty_proto::ethernet::HEADER_LEN;

use crate::mallory::{At, Stage};

/// `--lan-flood` of this story, and the gateway's own budget: what passes a
/// second, and twice as much at once.
const BUDGET: usize = 1_000;
const BURST: usize = 2 * BUDGET;
/// Broadcasts of one turn, and the turns: 4,000 a second for three seconds.
const PER_TURN: usize = 100;
const TURNS: usize = 120;
const TURN: Duration = Duration::from_millis(25);

#[test]
fn a_storm_on_the_lan_reaches_players_at_its_budget_and_hides_nothing_else() {
    sandbox::test(|| {
        let mut stage = Stage::set(&[])?;
        let host = stage.party.host1.mac(LAN)?;
        let storm = ipx_ethernet_ii(host, 44);
        let mut for_bob = ipx_ethernet_ii(host, 200);
        for_bob[..6].copy_from_slice(&stage.bob().node.mac(TAP)?.octets());
        let before = stage.drops(At::Gateway, "flood_limited")?;

        let (seen, lasted) = thread::scope(|scope| -> Result<_> {
            let (sender, storm, for_bob) = (&stage.host, &storm, &for_bob);
            let sending = scope.spawn(move || -> Result<Duration> {
                let begin = wait::now();
                for turn in 0..TURNS {
                    for _ in 0..PER_TURN {
                        sender.send(storm)?;
                    }
                    let mut numbered = for_bob.clone();
                    let mark = u16::try_from(turn)?.to_be_bytes();
                    numbered[HEADER_LEN + 40..HEADER_LEN + 42].copy_from_slice(&mark);
                    sender.send(&numbered)?;
                    thread::sleep(TURN);
                }
                Ok(begin.elapsed())
            });
            let limit = TURN * u32::try_from(TURNS)? + Duration::from_secs(2);
            let lengths = [storm.len(), for_bob.len()];
            let seen = stage.bob.collect(limit, |seen| {
                lengths.contains(&seen.len()) && seen[6..12] == host.octets()
            });
            let lasted = sending.join().ok().context("the sender panicked")??;
            Ok((seen, lasted))
        })?;
        let broadcasts = seen.iter().filter(|frame| **frame == storm).count();
        let for_bob_alone: BTreeSet<_> = seen.iter().filter(|frame| **frame != storm).collect();
        let unicasts = for_bob_alone.len();
        // What was under way when the last was sent may still earn its passage.
        let lasted = lasted + Duration::from_millis(500);
        let most = BURST + BUDGET * usize::try_from(lasted.as_millis())? / 1_000;
        eprintln!(
            "{broadcasts} of {} broadcasts, {unicasts} unicasts",
            PER_TURN * TURNS
        );
        ensure!(
            broadcasts <= most,
            "bob got {broadcasts} broadcasts, more than the budget of {most}"
        );
        ensure!(
            broadcasts >= BURST,
            "only {broadcasts} of the {BURST} that may pass at once came through"
        );
        ensure!(
            unicasts == TURNS,
            "{unicasts} of {TURNS} frames for bob alone came through the storm"
        );
        stage.wait_for_drop(At::Gateway, "flood_limited", before)?;
        stage.everyone_is_alive()
    });
}
