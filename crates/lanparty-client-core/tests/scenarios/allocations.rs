//! What a frame costs in allocations on its way through a session.

use bytes::Bytes;

use crate::frames::{self, lan_frame};
use crate::harness::{BUDGET, Member};
use crate::sealed;

/// Frames sent and received for each figure.
const FRAMES: u64 = 1_000;

/// Allocations for 1,000 frames of `len` bytes out of `gateway` and into
/// `player`.
fn allocations(gateway: &mut Member, player: &mut Member, len: usize) -> (u64, u64) {
    let frame = lan_frame(len);
    let mut scratch = frame.clone();
    let mut datagrams: Vec<Bytes> = Vec::with_capacity(8);
    let (mut out, mut inn, mut received) = (0, 0, 0);
    // A warm-up, then what counts.
    for count in [100, FRAMES] {
        (out, inn) = (0, 0);
        for _ in 0..count {
            scratch.copy_from_slice(&frame);
            out += allocation_counter::measure(|| {
                let mut sink = |_, datagram| datagrams.push(datagram);
                gateway
                    .session
                    .outgoing(&mut scratch, BUDGET, gateway.now, &mut sink)
                    .unwrap();
                gateway.session.flush(BUDGET, gateway.now, &mut sink);
            })
            .count_total;
            inn += allocation_counter::measure(|| {
                for datagram in datagrams.drain(..) {
                    let mut sink = |_: &[u8], _| received += 1;
                    player
                        .session
                        .incoming(&datagram, BUDGET, player.now, &mut sink)
                        .unwrap();
                }
            })
            .count_total;
        }
    }
    assert_eq!(received, 100 + FRAMES);
    (out, inn)
}

/// A buffer of 64 KB is two allocations, its bytes and what counts their
/// holders. It serves `share` frames of this length.
#[track_caller]
fn assert_amortised((out, inn): (u64, u64), share: u64) {
    assert!(
        out <= 2 * FRAMES.div_ceil(share),
        "{out} for {FRAMES} frames"
    );
    assert_eq!(inn, 0);
}

#[test]
fn frames_in_clear_allocate_a_buffer_for_fifty_of_them_going_out_and_nothing_coming_in() {
    let (mut gateway, mut player) = frames::pair();
    assert_amortised(allocations(&mut gateway, &mut player, 1_300), 48);
    assert_amortised(allocations(&mut gateway, &mut player, 100), 460);
}

#[test]
fn sealed_frames_allocate_no_more_than_those_in_clear() {
    let [mut gateway, mut player] = sealed::pair();
    assert_amortised(allocations(&mut gateway, &mut player, 1_300), 48);
    assert_amortised(allocations(&mut gateway, &mut player, 100), 460);
}

#[test]
fn frames_in_two_pieces_share_buffers_too() {
    let (mut gateway, mut player) = frames::pair();
    assert_amortised(allocations(&mut gateway, &mut player, 1_514), 19);
    let [mut gateway, mut player] = sealed::pair();
    assert_amortised(allocations(&mut gateway, &mut player, 1_514), 19);
}
