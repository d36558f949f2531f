//! Guessing rooms, from as many networks as an attacker can get.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use lanparty_relay_core::Limits;

use crate::party::{Party, key};

/// In its first hour a network has its burst and what comes back meanwhile;
/// later only what comes back.
const MOST_PER_HOUR: [usize; 3] = [60, 30, 30];

fn network(n: u16) -> IpAddr {
    // Sites apart, so that each has tries of its own.
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xDB8, n, 0, 0, 0, 0, 1))
}

#[test]
fn a1_attackers_on_many_networks_get_so_many_tries_an_hour_each_and_learn_nothing() {
    let mut party = Party::new(Limits::default());
    party.gateway(1);
    let mut guest = party.player(2);
    let attackers = 40;
    let mut answers = BTreeSet::new();
    for most in MOST_PER_HOUR {
        let mut tries = vec![0; usize::from(attackers)];
        for minute in 0..60 {
            for n in 0..attackers {
                // The right key shows whether a guess would have counted: it
                // gets in only where the network still has tries.
                loop {
                    match party.guess(network(n), &key(1)) {
                        Ok(lucky) => party.lose(&lucky),
                        Err(reject) => {
                            answers.insert(format!("{reject:?}"));
                            break;
                        }
                    }
                    tries[usize::from(n)] += 1;
                    let reject = party.guess(network(n), &key(7)).unwrap_err();
                    answers.insert(format!("{reject:?}"));
                }
                party.pass(Duration::from_secs(1), &mut |_| {});
            }
            party.pass(Duration::from_secs(60 - u64::from(attackers)), &mut |_| {});
            // Members come and go, and newcomers from quiet networks get in.
            party.lose(&guest);
            guest = party.player_again(2, &guest).unwrap();
            if minute % 20 == 0 {
                let newcomer = party.player(3);
                party.lose(&newcomer);
            }
        }
        for (n, tries) in tries.iter().enumerate() {
            assert!(*tries <= most, "network {n}: {tries} of {most}");
            assert!(*tries >= most - 1, "network {n}: only {tries} of {most}");
        }
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
}
