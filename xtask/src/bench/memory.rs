//! What members that do nothing cost the relay, and whether coming and
//! going costs anything that stays.

use std::time::Duration;

use anyhow::{Context as _, Result};
use lanparty_lab::party::RELAY;
use lanparty_lab::{Party, PartyOptions, RawMember, wait};
use lanparty_proto::MacAddr;
use serde::{Deserialize, Serialize};

use super::parts::Measured;
use super::{Arguments, row};

/// Idle members, in rooms of [`PER_ROOM`].
const MEMBERS: u16 = 200;
const PER_ROOM: u16 = 50;
/// Members that come and go at a time.
const VISITORS: u16 = 20;
/// Two keep-alives of each member, and 0.05 % of it is one tick of the
/// system's accounts.
const AT_REST: Duration = Duration::from_secs(20);

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    kib_per_member: f64,
    /// Of a core, while nobody says anything.
    idle_cpu_percent: f64,
    joins: u64,
    mib_after_first_tenth: f64,
    mib_at_the_end: f64,
}

fn measure(arguments: &Arguments) -> Result<Report> {
    let churn = churn(arguments);
    let mut party = Party::build(PartyOptions::default())?;
    party.start_relay()?;
    // What the first members cost once and for all is not theirs.
    let warm = join(&party, 0..VISITORS)?;
    let before = resident(&party)?;
    arguments.say(&format!("{MEMBERS} idle members"));
    let idle = join(&party, 1_000..1_000 + MEMBERS)?;
    std::thread::sleep(Duration::from_secs(3));
    let after = resident(&party)?;
    let relay = party.relay.as_ref().context("no relay runs")?;
    let used = relay.cpu_time()?;
    std::thread::sleep(AT_REST);
    let used = relay.cpu_time()?.saturating_sub(used);
    drop(idle);
    drop(warm);

    arguments.say("members come and go");
    let began = wait::now();
    let mut joins = 0;
    let mut early = None;
    while wait::now() - began < churn {
        // New identities each time: nothing of an old one may be kept for them.
        let first = 2_000 + u16::try_from(joins % 60_000)?;
        drop(join(&party, first..first.saturating_add(VISITORS))?);
        joins += u64::from(VISITORS);
        if early.is_none() && (wait::now() - began) * 10 > churn {
            early = Some(resident(&party)?);
        }
    }
    let end = resident(&party)?;
    Ok(Report {
        kib_per_member: (after - before) / 1_024.0 / f64::from(MEMBERS),
        idle_cpu_percent: used.as_secs_f64() / AT_REST.as_secs_f64() * 100.0,
        joins,
        mib_after_first_tenth: early.unwrap_or(end) / 1_048_576.0,
        mib_at_the_end: end / 1_048_576.0,
    })
}

fn resident(party: &Party) -> Result<f64> {
    let relay = party.relay.as_ref().context("no relay runs")?;
    Ok(f64::from(u32::try_from(relay.resident()?)?))
}

fn join(party: &Party, numbers: std::ops::Range<u16>) -> Result<Vec<RawMember>> {
    let player = party.players.first().context("nobody came")?;
    let certificate = party.relay_certificate();
    numbers
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            RawMember::join(
                &player.node,
                (RELAY, 443).into(),
                &certificate,
                &format!("ROOM{}", number / PER_ROOM),
                &format!("member{number}"),
                MacAddr([2, 0, 0x5E, 0x20, high, low]),
            )
        })
        .collect()
}

fn churn(arguments: &Arguments) -> Duration {
    Duration::from_secs(arguments.churn_minutes * 60)
}

impl Measured for Report {
    const TITLE: &'static str = "Memory of the relay";

    fn about(arguments: &Arguments) -> Duration {
        // The idle members have joined by then.
        Duration::from_secs(15) + AT_REST + churn(arguments)
    }

    fn measure(arguments: &Arguments) -> Result<Self> {
        measure(arguments)
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let line = |name: &str, number: f64| vec![name.to_owned(), format!("{number:.1}")];
        vec![
            row(["the relay at rest", ""]),
            line("for each idle member, KiB", self.kib_per_member),
            vec![
                format!("CPU while {MEMBERS} members are idle, % of a core"),
                format!("{:.2}", self.idle_cpu_percent),
            ],
            line(
                "after a tenth of the churn, MiB",
                self.mib_after_first_tenth,
            ),
            line(
                &format!("after {} joins, MiB", self.joins),
                self.mib_at_the_end,
            ),
            line("ratio", self.mib_at_the_end / self.mib_after_first_tenth),
        ]
    }
}
