//! Forwarding allocates nothing.

use lanparty_proto::MacAddr;
use lanparty_proto::overlay::Kind;
use lanparty_proto::probe::ProbeOp;
use lanparty_relay_core::Decision;

use crate::support::*;

/// Two frames in one datagram.
fn pair(from: &Guest, to: MacAddr) -> Vec<u8> {
    let frames = vec![udp(from.mac, to, 120); 2];
    together(from.id(), Kind::Frame, 2, &bundle(&frames))
}

#[test]
fn deciding_about_datagrams_allocates_nothing_open_or_sealed_or_dropped() {
    let mut open = Relay::new();
    let mut keyed = Relay::new();
    let members: Vec<[Guest; 2]> = (1..=20)
        .map(|n| {
            let hello = if n == 1 { gateway(n) } else { player(n) };
            [open.join(&hello), keyed.join_keyed(&hello, &key(1))]
        })
        .collect();
    let [alice, _] = &members[1];
    let clear = |to| in_overlay(alice.id(), Kind::Frame, &udp(alice.mac, to, 1_200));
    let [_, sealing] = &members[2];
    let sealed = |to| {
        let frame = udp(sealing.mac, to, 1_200);
        let body = [&[1, 0, 0, 0, 0, 7][..], &frame].concat();
        in_overlay(sealing.id(), Kind::SealedFrame, &body)
    };
    let host = MacAddr([0x52, 0x54, 0, 0, 0, 100]);
    let two = pair(alice, members[4][0].mac);
    let traffic = [
        (false, clear(members[4][0].mac)),
        (false, clear(host)),
        (false, clear(MacAddr::BROADCAST)),
        (false, clear(alice.mac)),
        (false, probe(alice.id(), 0xFFFF, ProbeOp::Request)),
        (false, vec![0xFF; 30]),
        (true, sealed(members[4][1].mac)),
        (true, sealed(MacAddr::BROADCAST)),
        (false, two),
    ];
    let mut forwarded = 0;
    let mut round = || {
        for (is_keyed, datagram) in &traffic {
            let (relay, conn) = if *is_keyed {
                (&mut keyed, sealing.conn)
            } else {
                (&mut open, alice.conn)
            };
            let decision = relay.core.datagram(conn, datagram, relay.now);
            if let Decision::Forward { targets, .. } = decision {
                forwarded += targets.len();
            }
        }
    };
    // The buffer for targets grows to the size of the room once.
    round();
    let allocated = allocation_counter::measure(round);
    assert_eq!(allocated.count_total, 0);
    assert_eq!(forwarded, 2 * (1 + 1 + 19 + 1 + 19 + 1));
}
