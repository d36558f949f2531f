//! What cutting and joining cost for each frame on this machine:
//! `cargo run --release -p lanparty-offload --example cost`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "prints what it measures"
)]

use std::hint::black_box;
use std::time::Instant;

use lanparty_offload::{Checksum, Coalescer, Gso, GsoKind, Join, VnetHdr, segment};

/// Frames in a superframe, about as many as the kernel makes.
const FRAMES: usize = 40;
const ROUNDS: u32 = 20_000;

fn main() {
    for (name, size) in [
        ("1,448 bytes", 1_448),
        ("1,232 bytes", 1_232),
        ("160 bytes", 160),
    ] {
        for (kind, gso) in [("TCP", GsoKind::TcpV4), ("UDP", GsoKind::UdpL4)] {
            let (header, superframe) = superframe(gso, size);
            let mut scratch = superframe.clone();
            let copying = per_frame(|| {
                scratch.copy_from_slice(black_box(&superframe));
                black_box(&scratch);
            });
            let mut frames = Vec::new();
            let cutting = per_frame(|| {
                scratch.copy_from_slice(&superframe);
                let mut segments = segment(&header, &mut scratch).unwrap();
                while let Some(frame) = segments.next_frame() {
                    black_box(frame);
                }
            });
            scratch.copy_from_slice(&superframe);
            let mut segments = segment(&header, &mut scratch).unwrap();
            while let Some(frame) = segments.next_frame() {
                frames.push(frame.to_vec());
            }
            assert_eq!(frames.len(), FRAMES);
            let mut coalescer = Coalescer::new(Join::TcpAndUdp);
            let joining = per_frame(|| {
                for frame in &frames {
                    coalescer.push(frame).unwrap();
                }
                assert_eq!(black_box(coalescer.outputs()).len(), 1);
                coalescer.clear();
            });
            println!(
                "{kind} segments of {name}: cut {:.0} ns, join {joining:.0} ns a frame (a copy is {copying:.0} ns)",
                cutting - copying
            );
        }
    }
}

/// The median of a few runs, in nanoseconds.
fn per_frame(mut round: impl FnMut()) -> f64 {
    let mut runs: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            (0..ROUNDS / 9).for_each(|_| round());
            let frames = f64::from(ROUNDS / 9) * FRAMES as f64;
            start.elapsed().as_secs_f64() * 1e9 / frames
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}

fn superframe(kind: GsoKind, size: u16) -> (VnetHdr, Vec<u8>) {
    let transport: &[u8] = if kind == GsoKind::UdpL4 {
        &[0x9c, 0x40, 0x69, 0x87, 0, 0, 0, 0]
    } else {
        // An acknowledgement with a timestamp option.
        &[
            0x9c, 0x40, 1, 0xbd, 0, 0, 0, 9, 0, 0, 0, 7, 0x80, 0x10, 1, 0xf5, 0, 0, 0, 0, 1, 1, 8,
            10, 0, 0, 0, 1, 0, 0, 0, 2,
        ]
    };
    let payload = usize::from(size) * FRAMES;
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend(
        u16::try_from(20 + transport.len() + payload)
            .unwrap()
            .to_be_bytes(),
    );
    frame.extend([
        0,
        1,
        0x40,
        0,
        64,
        if transport.len() == 8 { 17 } else { 6 },
        0,
        0,
    ]);
    frame.extend([192, 168, 7, 1, 192, 168, 7, 2]);
    frame.extend(transport);
    let headers = frame.len();
    frame.extend((0..payload).map(|at| ((at * 31) >> 3) as u8));
    let gso = Gso {
        kind,
        ecn: false,
        size,
    };
    let header = VnetHdr {
        checksum: Checksum::Valid,
        gso: Some(gso),
        hdr_len: u16::try_from(headers).unwrap(),
    };
    if kind == GsoKind::UdpL4 {
        // Any sum but "none", which would be left alone.
        frame[40] = 1;
    }
    (header, frame)
}
