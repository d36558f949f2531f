//! The bound that relays are held against: opens each packet of one side and
//! seals it for the other, in batches, in place, and keeps no other state.

#![forbid(unsafe_code)]

use std::io::IoSliceMut;
use std::net::SocketAddr;

use anyhow::Result;
use clap::Parser;
use lanparty_load::bare::{Batched, Cipher, Direction, SUBSCRIBE};
use quinn_udp::RecvMeta;

#[derive(Parser)]
struct Arguments {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
}

/// Full batches at once: with sixteen it was slower, out of the caches.
const SLOTS: usize = 4;
const SLOT_LEN: usize = 65_535;

#[expect(clippy::print_stdout, reason = "the bench waits for a line")]
fn main() -> Result<()> {
    let socket = Batched::bind(Arguments::parse().listen, true)?;
    println!("listening");
    let opening = Cipher::new(Direction::There)?;
    let mut sealing = Cipher::new(Direction::Back)?;
    let mut buffers = vec![[0; SLOT_LEN]; SLOTS];
    let mut metas = [RecvMeta::default(); SLOTS];
    let mut subscriber = None;
    loop {
        let mut slots: Vec<IoSliceMut<'_>> = buffers
            .iter_mut()
            .map(|slot| IoSliceMut::new(slot))
            .collect();
        let count = socket.receive(&mut slots, &mut metas)?;
        for (buffer, meta) in buffers.iter_mut().zip(&metas).take(count) {
            let contents = &mut buffer[..meta.len];
            if *contents == [SUBSCRIBE] {
                subscriber = Some(meta.addr);
                continue;
            }
            for packet in contents.chunks_mut(meta.stride) {
                opening.open(packet)?;
                sealing.seal(packet)?;
            }
            if let Some(to) = subscriber {
                socket.send(to, contents, meta.stride)?;
            }
        }
    }
}
