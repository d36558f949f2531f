//! Sealing and opening a frame allocates nothing.

use lanparty_proto::overlay::FrameCount;
use lanparty_seal::Opened;

use crate::party::{Party, frame};

#[test]
fn a_sealed_frame_costs_no_allocation_at_either_end() {
    let mut party = Party::of(2);
    party.converses().unwrap();
    let [from, to] = [0, 1].map(|at| *party.members.keys().nth(at).unwrap());
    let now = party.now;
    let clear = frame(&[7; 1_300]);
    let (mut sealed, mut out) = (Vec::with_capacity(2_000), Vec::new());
    const ONE: FrameCount = FrameCount::ONE;
    let mut cross = || {
        sealed.clear();
        sealed.extend_from_slice(&clear);
        let sender = party.members.get_mut(&from).unwrap();
        let (header, tag) = sender.keys.seal(from, ONE, &mut sealed, now).unwrap();
        sealed.extend_from_slice(&tag);
        let receiver = party.members.get_mut(&to).unwrap();
        let opened = receiver
            .keys
            .open(from, ONE, header, &sealed, &mut out, now);
        assert_eq!(opened, Ok(Opened::Frame));
        assert_eq!(out, clear);
    };
    cross();
    let allocated = allocation_counter::measure(|| (0..100).for_each(|_| cross()));
    assert_eq!(allocated.count_total, 0);
}
