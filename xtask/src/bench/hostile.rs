//! A player's game while another member of the room does its worst.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use lanparty_ctrl::{Message, Ping};
use lanparty_lab::forged;
use lanparty_lab::packet::ipx_ethernet_ii;
use lanparty_lab::party::RELAY;
use lanparty_lab::{Party, PartyOptions, RawMember};
use lanparty_proto::overlay::{FrameCount, Header, Hint, Kind};
use lanparty_proto::{MacAddr, PeerId};
use serde::{Deserialize, Serialize};

use super::parts::Measured;
use super::{Arguments, game, milliseconds, percent, row};

const MALLORY: MacAddr = MacAddr([2, 0, 0x5E, 0x10, 0, 0x66]);
/// Datagrams given to the transport at a time; its queue takes no more.
const BURST: usize = 64;

/// Something that a member can do without end.
struct Abuse {
    name: &'static str,
    once: fn(&RawMember, PeerId),
}

const ABUSES: [Abuse; 7] = [
    Abuse {
        name: "nothing",
        once: |_, _| thread::sleep(Duration::from_millis(10)),
    },
    Abuse {
        name: "broadcasts",
        once: |mallory, own| datagrams(mallory, own, Kind::Frame, &ipx_ethernet_ii(MALLORY, 1_000)),
    },
    Abuse {
        name: "frames to unknown hosts",
        once: |mallory, own| {
            let mut frame = ipx_ethernet_ii(MALLORY, 1_000);
            frame[..6].copy_from_slice(&[2, 0, 0, 0xBA, 0xD0, 1]);
            datagrams(mallory, own, Kind::Frame, &frame);
        },
    },
    Abuse {
        name: "forged router advertisements",
        once: |mallory, own| {
            let from = forged::link_local(MALLORY);
            let frame = forged::router_advertisement(MALLORY, from, None, 900);
            datagrams(mallory, own, Kind::Frame, &frame);
        },
    },
    Abuse {
        name: "fragments without end",
        once: |mallory, own| {
            let frame = ipx_ethernet_ii(MALLORY, 1_000);
            let piece = [&next_number().to_be_bytes()[..], &[0, 0x10], &frame].concat();
            datagrams(mallory, own, Kind::Fragment, &piece);
        },
    },
    Abuse {
        name: "broken datagrams",
        once: |mallory, own| datagrams(mallory, own, Kind::SealedFrame, &[0; 900]),
    },
    Abuse {
        name: "control messages",
        once: |mallory, _| {
            for nonce in 0..8 {
                mallory.say(&Message::Ping(Ping { nonce }));
            }
            thread::sleep(Duration::from_millis(1));
        },
    },
];

/// Each flow and each fragmented frame is another.
fn next_number() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn datagrams(mallory: &RawMember, source: PeerId, kind: Kind, content: &[u8]) {
    let header = Header {
        kind,
        hint: Hint::Sparse,
        source,
        flow_tag: next_number(),
        frames: FrameCount::ONE,
    };
    let datagram = [&header.encode()[..], content].concat();
    for _ in 0..BURST {
        mallory.send_datagram(&datagram);
    }
    // As fast as the thread that drives the connection takes them.
    thread::sleep(Duration::from_millis(1));
}

#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    abuse: String,
    loss: f64,
    p99_ms: f64,
    /// How the relay ended it, where it did.
    ended: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    outcomes: Vec<Outcome>,
}

fn suffer(party: &Party, abuse: &Abuse) -> Result<Outcome> {
    let bob = &party.players.get(1).context("bob did not come")?.node;
    let mallory = RawMember::join(
        bob,
        (RELAY, 443).into(),
        &party.relay_certificate(),
        &party.options.room,
        "mallory",
        MALLORY,
    )?;
    let own = mallory.peer_id()?;
    let stop = AtomicBool::new(false);
    let pings = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                (abuse.once)(&mallory, own);
            }
        });
        let pings = game(party);
        stop.store(true, Ordering::Relaxed);
        pings
    })?;
    let ended = mallory
        .closed()
        .is_some()
        .then(|| mallory.closed_with(Duration::ZERO));
    Ok(Outcome {
        abuse: abuse.name.to_owned(),
        loss: pings.loss(),
        p99_ms: pings.percentile(99).as_secs_f64() * 1e3,
        ended: ended.and_then(|ended| ended.ok().map(|(code, _)| code.name().to_owned())),
    })
}

impl Measured for Report {
    const TITLE: &'static str = "A hostile member";

    fn about(_: &Arguments) -> Duration {
        // Each: a join, and the pings of a game.
        Duration::from_secs(8) + Duration::from_secs(7) * ABUSES.len().try_into().unwrap_or(1)
    }

    fn measure(arguments: &Arguments) -> Result<Self> {
        let party = Party::start(PartyOptions::default())?;
        let outcomes = ABUSES.iter().map(|abuse| {
            arguments.say(&format!("a hostile member: {}", abuse.name));
            suffer(&party, abuse)
        });
        Ok(Self {
            outcomes: outcomes.collect::<Result<_>>()?,
        })
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let heading = row([
            "another member sends",
            "loss, %",
            "RTT p99, ms",
            "the relay ends it",
        ]);
        let lines = self.outcomes.iter().map(|outcome| {
            row([
                &outcome.abuse,
                &percent(outcome.loss),
                &milliseconds(Duration::from_secs_f64(outcome.p99_ms / 1e3)),
                outcome.ended.as_deref().unwrap_or_default(),
            ])
        });
        std::iter::once(heading).chain(lines).collect()
    }
}
