//! Cutting and joining superframes allocates nothing once a batch's buffers
//! are there.

use crate::coalesce::{Coalescer, Join};
use crate::samples::{Packet, superframe_tcp, superframe_udp};
use crate::segment::segment;

fn stream(first: &Packet) -> Vec<Packet> {
    let mut packets = vec![first.clone()];
    for at in 0..19 {
        packets.push(packets[at].next());
    }
    packets
}

#[test]
fn cutting_a_superframe_allocates_nothing() {
    let superframes = [
        superframe_tcp(&stream(&Packet::tcp_v4())),
        superframe_tcp(&stream(&Packet::tcp_v6())),
        superframe_udp(&stream(&Packet::udp_v4())),
    ];
    for (header, mut frame) in superframes {
        let mut bytes = 0;
        let allocated = allocation_counter::measure(|| {
            let mut frames = segment(&header, &mut frame).unwrap();
            while let Some(frame) = frames.next_frame() {
                bytes += frame.len();
            }
        });
        assert!(bytes > 20_000);
        assert_eq!(allocated.count_total, 0);
    }
}

#[test]
fn joining_batches_allocates_nothing_after_the_first() {
    let flows = [Packet::tcp_v4(), Packet::tcp_v6(), Packet::udp_v4()];
    let flows = flows.map(|first| stream(&first));
    let frames: Vec<Vec<u8>> = (0..20)
        .flat_map(|at| flows.iter().map(move |flow| flow[at].frame()))
        .collect();
    let mut coalescer = Coalescer::new(Join::TcpAndUdp);
    let mut batch = || {
        let mut outputs = 0;
        for frame in &frames {
            coalescer.push(frame).unwrap();
        }
        for (_, output) in coalescer.outputs() {
            outputs += usize::from(!output.is_empty());
        }
        coalescer.clear();
        outputs
    };
    assert!(batch() < frames.len());
    let allocated = allocation_counter::measure(|| {
        batch();
    });
    assert_eq!(allocated.count_total, 0);
}
