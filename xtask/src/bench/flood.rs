//! A player's game while strangers begin handshakes by the thousand, each from
//! an address that is not its own.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use lanparty_lab::flood::{Spoofer, addresses, initials};
use lanparty_lab::party::{RELAY, WAN};
use lanparty_lab::pings::Pings;
use lanparty_lab::{Party, PartyOptions};
use serde::{Deserialize, Serialize};

use super::parts::Measured;
use super::{Arguments, game, milliseconds, percent, row};

const PER_SECOND: u32 = 5_000;
const SOURCES: u32 = 2_000;
/// Longer than the game's pings take.
const TIME: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Figures {
    loss: f64,
    p50_ms: f64,
    p99_ms: f64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    idle: Figures,
    flooded: Figures,
    initials: u32,
}

fn measure() -> Result<Report> {
    let party = Party::start(PartyOptions::default())?;
    let stranger = &party.players.get(1).context("bob did not come")?.node;
    let relay_mac = party.relay_node.mac(WAN)?;
    let spoofer = Spoofer::aim(stranger, WAN, relay_mac, RELAY, 443)?;
    let payloads = initials(5_000)?;
    let sources = addresses(SOURCES);
    let idle = figures(&game(&party)?);
    let (sent, flooded) = thread::scope(|scope| {
        let flood = scope.spawn(|| spoofer.flood(&payloads, &sources, PER_SECOND, TIME));
        // The relay begins to ask for proof of addresses within this time.
        thread::sleep(Duration::from_secs(1));
        let flooded = game(&party);
        let sent = flood.join().ok().context("the flood's thread panicked")??;
        anyhow::Ok((sent, figures(&flooded?)))
    })?;
    Ok(Report {
        idle,
        flooded,
        initials: sent.datagrams,
    })
}

fn figures(pings: &Pings) -> Figures {
    let ms = |percent| pings.percentile(percent).as_secs_f64() * 1e3;
    Figures {
        loss: pings.loss(),
        p50_ms: ms(50),
        p99_ms: ms(99),
    }
}

impl Measured for Report {
    const TITLE: &'static str = "Handshakes of strangers";

    fn about(_: &Arguments) -> Duration {
        Duration::from_secs(25)
    }

    fn measure(arguments: &Arguments) -> Result<Self> {
        arguments.say("a flood of handshakes");
        measure()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let line = |name: &str, figures: &Figures| {
            let ms = |ms: f64| milliseconds(Duration::from_secs_f64(ms / 1e3));
            row([
                name,
                &percent(figures.loss),
                &ms(figures.p50_ms),
                &ms(figures.p99_ms),
            ])
        };
        let times = |of: fn(&Figures) -> f64| format!("{:.2}", of(&self.flooded) / of(&self.idle));
        vec![
            row([
                "handshakes of strangers",
                "loss, %",
                "RTT p50, ms",
                "RTT p99, ms",
            ]),
            line("none", &self.idle),
            line(&format!("{PER_SECOND} a second"), &self.flooded),
            row(["ratio", "", &times(|it| it.p50_ms), &times(|it| it.p99_ms)]),
        ]
    }
}
