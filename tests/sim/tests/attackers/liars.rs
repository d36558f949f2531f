//! Members that speak in others' names.

use lanparty_proto::PeerId;
use lanparty_proto::overlay::Hint;
use lanparty_relay_core::Limits;
use lanparty_sim::{Plan, run};

use crate::party::{Party, datagram, mac};

#[test]
fn a3_whatever_a_peer_claims_receivers_see_minted_ids_only() {
    // Evenings in which members lie about id and address all the time.
    let mut lies = 0;
    for seed in 10_000..10_060 {
        let outcome = run(seed, Plan::default());
        assert_eq!(outcome.violations, [], "seed {seed}");
        lies += outcome.hostile_datagrams;
    }
    assert!(lies > 1_000, "{lies}");
}

#[test]
fn a3_a_liar_loses_its_seat_before_it_has_tried_a_thousandth_of_the_ids() {
    let mut party = Party::new(Limits::default());
    party.gateway(1);
    let liar = party.player(2);
    let victim = party.player(3);
    party.connect_link(&victim, 1_000_000);
    let mut passed = 0;
    for raw in 1..u16::MAX {
        let claimed = PeerId::try_from(raw).unwrap();
        if claimed == liar.id() {
            continue;
        }
        let bytes = datagram(claimed, liar.mac, mac(3), Hint::Normal, 0, 100);
        passed += usize::from(party.send(&liar, &bytes));
    }
    assert_eq!(passed, 0);
    let snapshot = party.core.snapshot(party.now, |_| None);
    let members = &snapshot.rooms[0].members;
    assert!(members.iter().all(|member| member.peer != liar.id()));
    assert!(members.iter().any(|member| member.peer == victim.id()));
}
