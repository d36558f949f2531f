//! Offers as many frames as a forwarder can carry and says how many came
//! through, and what they cost it.

#![forbid(unsafe_code)]

use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use lanparty_ctrl::RoomCode;
use lanparty_lab::wait;
use lanparty_load::bare::{
    Batched, COUNTER_LEN, Cipher, Direction, HEADERS_LEN, SUBSCRIBE, TAG_LEN,
};
use lanparty_load::frame;
use lanparty_load::in_flight::InFlight;
use lanparty_load::member::{Destination, Member};
use lanparty_load::outcome::Outcome;
use lanparty_load::window::Window;
use lanparty_proto::MacAddr;
use lanparty_proto::overlay::FrameCount;
use quinn_udp::RecvMeta;

#[derive(Parser)]
struct Arguments {
    /// What is in the middle
    #[arg(long, value_enum)]
    through: Through,
    #[arg(long)]
    address: SocketAddr,
    /// Its certificate, in DER
    #[arg(long)]
    certificate: Option<PathBuf>,
    /// The process whose CPU time counts
    #[arg(long)]
    process: u32,
    /// Bytes of a frame, with its Ethernet header
    #[arg(long)]
    frame: usize,
    /// As many frames in each datagram as members put there when they come
    /// faster than they leave
    #[arg(long)]
    bundled: bool,
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Rooms, with a pair of members in each
    #[arg(long, default_value_t = 1)]
    rooms: u16,
    /// Members of one room who hear what one sends to all
    #[arg(long, conflicts_with = "rooms")]
    hearers: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Through {
    Relay,
    /// QUIC without rooms
    Quic,
    /// Sealed packets without QUIC
    Bare,
}

#[expect(clippy::print_stdout, reason = "the bench reads it")]
fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let outcome = match arguments.through {
        Through::Bare => bare(&arguments)?,
        Through::Relay | Through::Quic => members(&arguments)?,
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

fn members(arguments: &Arguments) -> Result<Outcome> {
    let certificate = arguments.certificate.as_ref();
    let certificate = certificate.context("--certificate is needed")?;
    let to = Destination {
        address: arguments.address,
        certificate: std::fs::read(certificate)
            .with_context(|| format!("cannot read {}", certificate.display()))?,
        has_rooms: arguments.through == Through::Relay,
    };
    let rooms: Vec<RoomCode> = (0..arguments.rooms)
        .map(|number| format!("LOAD{number}").parse())
        .collect::<Result<_, _>>()?;
    let mut hearers = Vec::new();
    for number in 0..arguments.hearers.unwrap_or(1) {
        hearers.push(Member::join(&to, number + 2, &rooms)?);
    }
    let mut sender = Member::join(&to, 1, &rooms)?;
    let destination = match arguments.hearers {
        Some(_) => MacAddr([0xFF; 6]),
        None => frame::mac(2),
    };
    let frame = frame::udp(frame::mac(1), destination, arguments.frame)?;
    let (body, frames) = if arguments.bundled {
        frame::bundle(&frame)?
    } else {
        (frame, FrameCount::ONE)
    };
    sender.say(&body, frames);

    let mut window = Window::new(arguments.process, Duration::from_secs(arguments.seconds));
    let mut in_flight = InFlight::new(wait::now());
    loop {
        let now = wait::now();
        let slowest = hearers.iter().map(Member::received).min().unwrap_or(0);
        let room = in_flight.room(now, slowest);
        in_flight.offered(sender.offer(now, room));
        sender.turn(now)?;
        for hearer in &mut hearers {
            hearer.turn(wait::now())?;
        }
        let heard: u64 = hearers.iter().map(Member::received).sum();
        let heard = heard * u64::from(frames.get());
        if let Some(outcome) = window.look(wait::now(), heard)? {
            return Ok(outcome);
        }
    }
}

/// Batches sealed in advance: the generator shall not be the narrow place.
fn bare(arguments: &Arguments) -> Result<Outcome> {
    const BATCHES: usize = 16;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let sender = Batched::bind(any, false)?;
    let hearer = Batched::bind(any, false)?;
    hearer.send(arguments.address, &[SUBSCRIBE], 1)?;
    let len = COUNTER_LEN + HEADERS_LEN + arguments.frame + TAG_LEN;
    let mut sealing = Cipher::new(Direction::There)?;
    let mut batches = Vec::new();
    for _ in 0..BATCHES {
        let mut batch = vec![0x5A; len * sender.batch(len)];
        for packet in batch.chunks_mut(len) {
            sealing.seal(packet)?;
        }
        batches.push(batch);
    }
    let mut buffers = vec![[0; 65_535]; 16];
    let mut metas = [RecvMeta::default(); 16];
    let mut heard = 0_u64;
    let mut window = Window::new(arguments.process, Duration::from_secs(arguments.seconds));
    for batch in batches.iter().cycle() {
        sender.send(arguments.address, batch, len)?;
        let mut slots: Vec<IoSliceMut<'_>> = buffers
            .iter_mut()
            .map(|slot| IoSliceMut::new(slot))
            .collect();
        let count = hearer.receive(&mut slots, &mut metas)?;
        for meta in metas.iter().take(count) {
            heard += meta.len.div_ceil(meta.stride.max(1)) as u64;
        }
        if let Some(outcome) = window.look(wait::now(), heard)? {
            return Ok(outcome);
        }
    }
    anyhow::bail!("there is nothing to send")
}
