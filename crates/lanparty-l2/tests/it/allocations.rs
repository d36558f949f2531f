//! The policy decides about a frame without allocating.

use std::collections::BTreeSet;
use std::time::Instant;

use lanparty_l2::policy::{Direction, check_fragment_header};
use lanparty_l2::{Context, Place, Rules, check, classify, flow};
use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::EthernetHeader;
use lanparty_proto::overlay::Hint;

use crate::frames::*;

#[test]
fn judging_and_tagging_a_frame_allocates_nothing_whatever_it_is() {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    let now = Instant::now();
    let rules = Rules::default();
    let members = BTreeSet::from([PLAYER, OTHER_PLAYER]);
    let game = udp(27_960, 27_960, &[7; 80]);
    let bulk = tcp(0x10, &[], &[7; 1_300]);
    let frames = [
        v4_frame(LAN_HOST, PLAYER, &ipv4(PLAYER_IP, LAN_HOST_IP, 17, &game)),
        v4_frame(LAN_HOST, PLAYER, &ipv4(PLAYER_IP, LAN_HOST_IP, 6, &bulk)),
        v4_frame(PLAYER, LAN_HOST, &ipv4(LAN_HOST_IP, PLAYER_IP, 6, &bulk)),
        v4_frame(
            MacAddr::BROADCAST,
            PLAYER,
            &ipv4(LAN_HOST_IP, LAN_HOST_IP, 17, &game),
        ),
        ethernet(MacAddr::BROADCAST, PLAYER, 0x88CC, &[0; 60]),
        vec![0; 9],
    ];
    let (mut passed, mut sparse, mut tags) = (0, 0, 0);
    let allocated = allocation_counter::measure(|| {
        for frame in &frames {
            for direction in [Direction::PlayerToLan, Direction::LanToPlayer] {
                let context = Context {
                    place: Place::Relay,
                    rules: &rules,
                    sender: (direction == Direction::PlayerToLan).then_some(PLAYER),
                    members: &members,
                    bindings: None,
                    host: None,
                    now,
                };
                passed += u32::from(check(frame, direction, &context).is_ok());
                if let Ok((header, _)) = EthernetHeader::parse(frame) {
                    let verdict = check_fragment_header(&header, 1_000, direction, &context);
                    passed += u32::from(verdict.is_ok());
                }
            }
            tags ^= flow::flow_tag(frame, &[7; 16]);
            if let Ok(class) = classify(frame) {
                sparse += u32::from(flow::hint(&class, frame.len()) == Hint::Sparse);
            }
        }
    });
    assert!(passed > 4 && sparse == 2 && tags != 0, "{passed} {sparse}");
    assert_eq!(allocated.count_total, 0);
}
