//! `cargo xtask party`: a whole LAN party on one machine.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use lanparty_lab::checks::{self, Check};
use lanparty_lab::party::{HOST1, LAN, SUBNET_BROADCAST, TAP};
use lanparty_lab::traffic::{self, Ear, Leave};
use lanparty_lab::{Party, PartyOptions, packages, sandbox};
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cargo;
use crate::table::{Screen, columns};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Make one pass over every check, print a line for each, and end
    #[arg(long)]
    once: bool,
    /// Print the checks of --once as JSON
    #[arg(long, requires = "once")]
    json: bool,
    /// How many remote players come
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=6))]
    players: u8,
}

const NAMES: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if sandbox::entered() {
        return inside(arguments);
    }
    sandbox::require()?;
    if !arguments.json {
        println!("building the programs");
    }
    packages::ensure(&[packages::PARTY])?;
    cargo::build_programs()?;
    let status = sandbox::enter(std::env::args().skip(1))?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

fn inside(arguments: &Arguments) -> Result<ExitCode> {
    sandbox::prepare()?;
    end_on_signal(arguments.once)?;
    let say = |text: &str| {
        if !arguments.json {
            println!("{text}");
        }
    };
    say("building the networks: the internet, the party's switch, two LAN hosts");
    let players = NAMES
        .iter()
        .copied()
        .take(usize::from(arguments.players))
        .collect();
    let mut party = Party::build(PartyOptions {
        players,
        keyed: true,
        ..PartyOptions::default()
    })?;
    say("starting dnsmasq on host1");
    party.start_dnsmasq()?;
    say("starting the relay");
    party.start_relay()?;
    say("starting the gateway on the party's switch");
    party.start_gateway()?;
    say("the room is sealed, and the players get its invite");
    for number in 0..party.players.len() {
        if let Some(player) = party.players.get(number) {
            say(&format!("{} joins from the internet", player.name()));
        }
        party.start_player(number)?;
    }
    for player in &party.players {
        let address = player.address()?;
        say(&format!("{} has the address {address}", player.name()));
    }
    if arguments.once {
        once(&mut party, arguments.json)
    } else {
        live(&party)
    }
}

/// Ends this process on Ctrl-C; as it is the first of its PID namespace, the
/// kernel then ends everything else of the party.
fn end_on_signal(once: bool) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot catch Ctrl-C")?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            let interrupted = 130;
            std::process::exit(if once { interrupted } else { 0 });
        }
    });
    Ok(())
}

fn once(party: &mut Party, json: bool) -> Result<ExitCode> {
    let checks = checks::run(party, |check| {
        if !json {
            println!("{}", line(check));
        }
    });
    let failed: Vec<&str> = checks
        .iter()
        .filter(|check| !check.passed)
        .map(|check| check.name.as_str())
        .collect();
    if json {
        println!("{}", serde_json::to_string_pretty(&checks)?);
    } else if failed.is_empty() {
        println!("{} checks passed", checks.len());
    } else {
        println!(
            "{} of {} checks failed: {}",
            failed.len(),
            checks.len(),
            failed.join("; ")
        );
        if std::env::var_os("LANPARTY_LAB_LOGS").is_some() {
            for process in party.processes() {
                println!("── {}\n{}", process.name(), process.log());
            }
        }
    }
    let passed = failed.is_empty();
    party
        .stop()
        .or_else(|error| if passed { Err(error) } else { Ok(()) })?;
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn line(check: &Check) -> String {
    let mark = if check.passed { "ok    " } else { "FAILED" };
    format!("{mark}  {:<58}  {}", check.name, check.value)
}

/// How often the table is refreshed.
const REFRESH: Duration = Duration::from_secs(1);

fn live(party: &Party) -> Result<ExitCode> {
    let mut screen = Screen::default();
    loop {
        let hears = who_hears_whom(party);
        screen.draw(&picture(party, &hears));
        thread::sleep(REFRESH);
    }
}

fn picture(party: &Party, hears: &[Vec<String>]) -> String {
    let header = [
        "player",
        "address",
        "relay",
        "gateway",
        "host1",
        "frames in/out",
        "fragments",
        "drops by reason",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for player in &party.players {
        let status = player.status().unwrap_or(Value::Null);
        rows.push(vec![
            player.name().to_owned(),
            text(&status, "/tap/address"),
            milliseconds(&status, "/relay/rtt_us"),
            milliseconds(&status, "/gateway/rtt_us"),
            traffic::ping(&player.node, HOST1.into(), 1)
                .map_or("no answer".to_owned(), |rtt| rtt.to_string()),
            format!(
                "{}/{}",
                number(&status, "/counters/frames_in"),
                number(&status, "/counters/frames_out")
            ),
            format!(
                "{}/{}",
                number(&status, "/counters/fragments_in"),
                number(&status, "/counters/fragments_out")
            ),
            drops(&status, "/drops"),
        ]);
    }
    let gateway = party.gateway_status().unwrap_or(Value::Null);
    let relay = party.rooms().unwrap_or(Value::Null);
    format!(
        "A LAN party on one machine: remote players on a real LAN, through the relay\n\n\
         {}\n  drops at the gateway: {}\n  drops at the relay:   {}\n\n\
         Who hears whose broadcast, and when the answer was back:\n\n{}\n\
         Ctrl-C ends the party and leaves nothing behind.\n",
        columns(&rows),
        drops(&gateway, "/drops"),
        drops(&relay, "/rooms/0/drops"),
        columns(hears)
    )
}

fn who_hears_whom(party: &Party) -> Vec<Vec<String>> {
    let ears = || {
        [
            Ear::new(&party.host1, LAN),
            Ear::new(&party.host2, LAN),
            Ear::new(&party.gateway_node, LAN),
        ]
        .into_iter()
        .chain(
            party
                .players
                .iter()
                .map(|player| Ear::new(&player.node, TAP)),
        )
        .collect::<Vec<_>>()
    };
    let names = ears()
        .iter()
        .map(|ear| ear.node.name().to_owned())
        .collect::<Vec<_>>();
    let mut rows = vec![[vec!["shouter".to_owned()], names].concat()];
    for (mouth, interface) in party
        .players
        .iter()
        .map(|player| (&player.node, TAP))
        .chain([(&party.host1, LAN), (&party.host2, LAN)])
    {
        let listeners: Vec<Ear<'_>> = ears()
            .into_iter()
            .filter(|ear| ear.node.name() != mouth.name())
            .collect();
        let target = (SUBNET_BROADCAST, 7790).into();
        let answers = traffic::shout(mouth, Leave::By(interface), target, 64, &listeners);
        let mut answers = answers.unwrap_or_default().into_iter();
        let cells = ears()
            .iter()
            .map(|ear| {
                if ear.node.name() == mouth.name() {
                    "·".to_owned()
                } else {
                    answers.next().flatten().map_or("deaf".to_owned(), |time| {
                        format!("{:.1} ms", time.as_secs_f64() * 1e3)
                    })
                }
            })
            .collect::<Vec<_>>();
        rows.push([vec![mouth.name().to_owned()], cells].concat());
    }
    rows
}

fn text(status: &Value, pointer: &str) -> String {
    status
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or("-")
        .to_owned()
}

fn number(status: &Value, pointer: &str) -> u64 {
    status
        .pointer(pointer)
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

fn milliseconds(status: &Value, pointer: &str) -> String {
    status
        .pointer(pointer)
        .and_then(Value::as_f64)
        .map_or("-".to_owned(), |microseconds| {
            format!("{:.2} ms", microseconds / 1e3)
        })
}

fn drops(status: &Value, pointer: &str) -> String {
    let Some(drops) = status.pointer(pointer).and_then(Value::as_object) else {
        return "-".to_owned();
    };
    let list: Vec<String> = drops
        .iter()
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    if list.is_empty() {
        "none".to_owned()
    } else {
        list.join(", ")
    }
}
