//! The policy against a real parser: what our classifier lets through is put
//! before a Linux stack that believes all it can. Where Linux sees a router, a
//! server, a redirect or somebody else's address, the policy has misread the
//! frame. VU#855201 came from such differences.

#![expect(
    clippy::print_stderr,
    reason = "how much was compared is part of the result"
)]

mod attack;
mod victim;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use lanparty_l2::bindings::{Confirmation, IpBindings};
use lanparty_l2::dhcp::{AddressGuard, rewrite_for_player};
use lanparty_l2::link::strip_priority_tag;
use lanparty_l2::{Context, Direction, Place, Rules, check};
use lanparty_lab::{sandbox, wait};
use lanparty_proto::MacAddr;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use attack::{Cast, attempt};
use victim::{Belief, Victim};

/// Attempts in each direction. A batch is judged together; where Linux
/// believed something, its attempts are played again one by one.
const ATTEMPTS: usize = 24_000;
const BATCH: usize = 48;
/// Attempts of the control run, which nobody filters: enough for each belief
/// to appear.
const UNFILTERED: usize = 600;

const CAST: Cast = Cast {
    attacker: MacAddr([2, 0, 0, 0, 0, 0x66]),
    attacker_ip: Ipv4Addr::new(10, 9, 0, 66),
    attacker_ll: Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0xFF, 0xFE00, 0x66),
    victim: MacAddr([2, 0, 0, 0, 0, 2]),
    victim_ip: Ipv4Addr::new(10, 9, 0, 2),
    victim_ll: Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0xFF, 0xFE00, 2),
    router_ip: Ipv4Addr::new(10, 9, 0, 1),
    router_ll: Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0xFF, 0xFE00, 1),
};

/// What one side lets through to the other, as it leaves our hands.
struct Filter {
    direction: Direction,
    rules: Rules,
    members: BTreeSet<MacAddr>,
    bindings: IpBindings,
    now: Instant,
}

impl Filter {
    fn new(direction: Direction) -> Self {
        let now = wait::now();
        let members = match direction {
            Direction::PlayerToLan => BTreeSet::from([CAST.attacker]),
            Direction::LanToPlayer => BTreeSet::from([CAST.victim]),
        };
        let mut bindings = IpBindings::new(Confirmation::FirstClaim);
        bindings.protect([
            IpAddr::V4(CAST.router_ip),
            CAST.router_ll.into(),
            CAST.victim_ip.into(),
            CAST.victim_ll.into(),
        ]);
        for own in [IpAddr::V4(CAST.attacker_ip), CAST.attacker_ll.into()] {
            bindings.claim(own, CAST.attacker, now);
        }
        Self {
            direction,
            rules: Rules::default(),
            members,
            bindings,
            now,
        }
    }

    fn pass(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let Self {
            direction,
            rules,
            members,
            bindings,
            now,
        } = self;
        let mut frame = frame.to_vec();
        let context = |place, sender| Context {
            place,
            rules,
            sender,
            members: &*members,
            bindings: None,
            host: None,
            now: *now,
        };
        match direction {
            Direction::PlayerToLan => {
                let context = context(Place::Gateway, Some(CAST.attacker));
                bindings.police(&frame, *direction, &context).ok()?;
            }
            Direction::LanToPlayer => {
                check(&frame, *direction, &context(Place::Player, None)).ok()?;
                let guard = AddressGuard::default();
                rewrite_for_player(&mut frame, CAST.victim, &guard).ok()?;
            }
        }
        strip_priority_tag(&mut frame);
        Some(frame)
    }
}

/// Attempts with a fixed seed, so that a failure can be had again.
fn attempts(seed: u64, count: usize) -> Vec<Vec<Vec<u8>>> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| attempt(&CAST, &mut rng)).collect()
}

fn compare(direction: Direction, harmless: &[Belief]) -> Result<()> {
    let mut victim = Victim::new(CAST)?;
    let mut filter = Filter::new(direction);
    let mut passed = 0;
    let attempts = attempts(direction as u64 + 1, ATTEMPTS);
    for batch in attempts.chunks(BATCH) {
        let mut filtered: Vec<Vec<Vec<u8>>> = Vec::new();
        for attempt in batch {
            filtered.push(
                attempt
                    .iter()
                    .filter_map(|frame| filter.pass(frame))
                    .collect(),
            );
        }
        passed += filtered.iter().filter(|frames| !frames.is_empty()).count();
        let mut wrong = victim.hear(&filtered.concat())?;
        wrong.retain(|belief| !harmless.contains(belief));
        if wrong.is_empty() {
            continue;
        }
        for frames in &filtered {
            let alone = victim.hear(frames)?;
            ensure!(
                alone.iter().all(|belief| harmless.contains(belief)),
                "the policy passed what Linux takes for {alone:?}: {}",
                hexadecimal(frames)
            );
        }
        bail!(
            "together, frames that passed made Linux believe {wrong:?}: {}",
            hexadecimal(&filtered.concat())
        );
    }
    eprintln!("{passed} of {ATTEMPTS} attempts passed in part or whole, none was believed");
    ensure!(
        passed > ATTEMPTS / 50,
        "only {passed} attempts came past the policy: nothing was compared"
    );
    Ok(())
}

fn hexadecimal(frames: &[Vec<u8>]) -> String {
    let frame = |frame: &Vec<u8>| {
        frame
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    frames.iter().map(frame).collect::<Vec<_>>().join(" ")
}

#[test]
fn b20_without_the_policy_linux_believes_everything() {
    sandbox::test(|| {
        let mut victim = Victim::new(CAST)?;
        let mut beliefs = BTreeSet::new();
        for attempt in attempts(1, UNFILTERED) {
            beliefs.extend(victim.hear(&attempt)?);
        }
        let all = [
            Belief::RouterAdvertisement,
            Belief::Icmpv6Redirect,
            Belief::MulticastQuery,
            Belief::IcmpRedirect,
            Belief::IcmpRouterAdvertisement,
            Belief::DhcpServer,
            Belief::DhcpOption,
            Belief::DhcpForAnother,
            Belief::Dhcpv6Server,
            Belief::ArpSpoof,
            Belief::NeighbourSpoof,
        ];
        let missing: Vec<_> = all
            .iter()
            .filter(|belief| !beliefs.contains(belief))
            .collect();
        ensure!(
            missing.is_empty(),
            "no attempt led to {missing:?}: the comparison is blind there"
        );
        Ok(())
    });
}

#[test]
fn b20_what_passes_from_a_player_is_nothing_that_linux_must_not_believe() {
    sandbox::test(|| compare(Direction::PlayerToLan, &[]));
}

#[test]
fn b20_what_passes_from_the_lan_is_nothing_that_linux_must_not_believe() {
    sandbox::test(|| {
        // The LAN's own hosts may answer for their addresses, query groups and
        // serve addresses; what a served address may carry is counted apart.
        let harmless = [
            Belief::ArpSpoof,
            Belief::NeighbourSpoof,
            Belief::MulticastQuery,
            Belief::DhcpServer,
            Belief::DhcpForAnother,
        ];
        compare(Direction::LanToPlayer, &harmless)
    });
}
