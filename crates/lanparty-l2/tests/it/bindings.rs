//! Whose address is whose, as a hostile player finds out.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use lanparty_l2::bindings::{
    BindingEffect, CAPACITY, Confirmation, IpBindings, PER_PLAYER, Standing,
};
use lanparty_l2::policy::Direction;
use lanparty_l2::{Context, Ipv6Mode, Place, Rules, check};
use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;
use proptest::prelude::*;

use crate::frames::*;

/// A gateway's (or player's) table with a clock.
struct Table {
    bindings: IpBindings,
    members: BTreeSet<MacAddr>,
    rules: Rules,
    now: Instant,
}

impl Table {
    fn new(confirmation: Confirmation) -> Self {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let now = Instant::now();
        Self {
            bindings: IpBindings::new(confirmation),
            members: BTreeSet::from([PLAYER, OTHER_PLAYER]),
            rules: Rules {
                ipv6: Ipv6Mode::Lan,
                ..Rules::default()
            },
            now,
        }
    }

    fn context<'a>(
        &self,
        sender: Option<MacAddr>,
        rules: &'a Rules,
        members: &'a BTreeSet<MacAddr>,
    ) -> Context<'a> {
        Context {
            place: Place::Gateway,
            rules,
            sender,
            members,
            bindings: None,
            host: None,
            now: self.now,
        }
    }

    fn player_sends(&mut self, sender: MacAddr, frame: &[u8]) -> Result<(), DropReason> {
        let (rules, members) = (self.rules.clone(), self.members.clone());
        let context = self.context(Some(sender), &rules, &members);
        self.bindings
            .police(frame, Direction::PlayerToLan, &context)
            .map(|_| ())
    }

    fn lan_sends(&mut self, frame: &[u8]) {
        let context = self.context(None, &self.rules, &self.members);
        let passed = check(frame, Direction::LanToPlayer, &context).unwrap();
        let now = self.now;
        self.bindings
            .observe_lan(frame, &passed.class, &self.members, now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.bindings.tick(self.now);
    }

    fn probes(&mut self) -> Vec<Ipv4Addr> {
        std::iter::from_fn(|| self.bindings.poll_effect())
            .map(|BindingEffect::SendProbe(address)| address)
            .collect()
    }

    /// Gives the player its address as the party's server does.
    fn lease(&mut self, player: MacAddr, address: Ipv4Addr, seconds: u32) {
        let mut options = vec![53, 1, 5, 1, 4, 255, 255, 255, 0, 3, 4];
        options.extend(ROUTER_IP.octets());
        options.extend([51, 4]);
        options.extend(seconds.to_be_bytes());
        let frame = dhcp_answer(player, player, address, &options);
        self.lan_sends(&frame);
    }

    fn standing(&self, address: impl Into<IpAddr>, player: MacAddr) -> Standing {
        self.bindings.standing(address.into(), player, self.now)
    }
}

fn says(source: Ipv4Addr) -> Vec<u8> {
    let packet = ipv4(source, LAN_HOST_IP, UDP, &udp(1000, 27960, b"x"));
    v4_frame(LAN_HOST, PLAYER, &packet)
}

#[test]
fn a_leased_address_is_its_players_at_once_and_nobody_elses() {
    let mut table = Table::new(Confirmation::Probe);
    table.lease(PLAYER, PLAYER_IP, 600);
    assert_eq!(table.player_sends(PLAYER, &says(PLAYER_IP)), Ok(()));
    let thief = arp(2, OTHER_PLAYER, PLAYER_IP, LAN_HOST_IP);
    assert_eq!(
        table.player_sends(OTHER_PLAYER, &thief),
        Err(DropReason::ArpSpoof)
    );
    assert!(table.probes().is_empty());
    let mine: Vec<_> = table.bindings.addresses_of(PLAYER, table.now).collect();
    assert_eq!(mine, [IpAddr::V4(PLAYER_IP)]);
}

#[test]
fn a_lease_ends() {
    let mut table = Table::new(Confirmation::Probe);
    table.lease(PLAYER, PLAYER_IP, 600);
    table.pass(Duration::from_secs(599));
    assert_eq!(table.standing(PLAYER_IP, PLAYER), Standing::Own);
    table.pass(Duration::from_secs(1));
    assert_eq!(table.standing(PLAYER_IP, PLAYER), Standing::Free);
}

#[test]
fn a_static_address_is_claimed_by_unanswered_probes() {
    let mut table = Table::new(Confirmation::Probe);
    assert_eq!(
        table.player_sends(PLAYER, &says(PLAYER_IP)),
        Err(DropReason::SourceIp)
    );
    assert_eq!(table.probes(), [PLAYER_IP]);
    assert_eq!(
        table.player_sends(PLAYER, &says(PLAYER_IP)),
        Err(DropReason::SourceIp)
    );
    assert!(table.probes().is_empty(), "one probe at a time");
    assert!(table.bindings.next_wakeup().is_some());
    table.pass(Duration::from_millis(250));
    assert_eq!(table.probes(), [PLAYER_IP]);
    table.pass(Duration::from_millis(250));
    assert_eq!(table.player_sends(PLAYER, &says(PLAYER_IP)), Ok(()));
    assert_eq!(table.bindings.next_wakeup(), None);
    assert_eq!(table.standing(PLAYER_IP, OTHER_PLAYER), Standing::Anothers);
}

#[test]
fn of_two_players_the_first_to_ask_gets_the_address() {
    let mut table = Table::new(Confirmation::Probe);
    let claim = |mac| arp(1, mac, PLAYER_IP, LAN_HOST_IP);
    table.player_sends(PLAYER, &claim(PLAYER)).unwrap_err();
    assert_eq!(table.standing(PLAYER_IP, OTHER_PLAYER), Standing::Anothers);
    let probe = arp(1, OTHER_PLAYER, Ipv4Addr::UNSPECIFIED, PLAYER_IP);
    assert_eq!(
        table.player_sends(OTHER_PLAYER, &probe),
        Err(DropReason::ArpSpoof)
    );
    table.pass(Duration::from_millis(250));
    table.pass(Duration::from_millis(250));
    assert_eq!(table.player_sends(PLAYER, &claim(PLAYER)), Ok(()));
}

#[test]
fn a_players_own_arp_probe_starts_the_claim() {
    let mut table = Table::new(Confirmation::Probe);
    let probe = arp(1, PLAYER, Ipv4Addr::UNSPECIFIED, PLAYER_IP);
    assert_eq!(table.player_sends(PLAYER, &probe), Ok(()));
    table.pass(Duration::from_millis(250));
    table.pass(Duration::from_millis(250));
    let announcement = arp(1, PLAYER, PLAYER_IP, PLAYER_IP);
    assert_eq!(table.player_sends(PLAYER, &announcement), Ok(()));
}

#[test]
fn a_host_that_answers_the_probe_keeps_its_address() {
    let mut table = Table::new(Confirmation::Probe);
    table.player_sends(PLAYER, &says(LAN_HOST_IP)).unwrap_err();
    table.lan_sends(&arp(2, LAN_HOST, LAN_HOST_IP, Ipv4Addr::UNSPECIFIED));
    for _ in 0..4 {
        table.pass(Duration::from_millis(250));
    }
    assert_eq!(table.standing(LAN_HOST_IP, PLAYER), Standing::Anothers);
    let spoof = arp(2, PLAYER, LAN_HOST_IP, ROUTER_IP);
    assert_eq!(
        table.player_sends(PLAYER, &spoof),
        Err(DropReason::ArpSpoof)
    );
    assert_eq!(
        table.player_sends(PLAYER, &says(LAN_HOST_IP)),
        Err(DropReason::SourceIp)
    );
}

#[test]
fn the_router_and_the_gateway_are_never_a_players() {
    let mut table = Table::new(Confirmation::FirstClaim);
    table.bindings.protect([IpAddr::V4(GATEWAY_IP)]);
    table.lease(PLAYER, PLAYER_IP, 600);
    table.now += Duration::from_secs(86_400);
    for address in [ROUTER_IP, GATEWAY_IP] {
        assert_eq!(
            table.player_sends(PLAYER, &says(address)),
            Err(DropReason::SourceIp)
        );
        // Not even to make the router believe that it has a conflict.
        let probe = arp(1, PLAYER, Ipv4Addr::UNSPECIFIED, address);
        assert_eq!(
            table.player_sends(PLAYER, &probe),
            Err(DropReason::ArpSpoof)
        );
        table.lease(PLAYER, address, 600);
        assert_eq!(table.standing(address, PLAYER), Standing::Anothers);
    }
    // Nor is a player reported under one.
    let held: Vec<_> = table.bindings.addresses_of(PLAYER, table.now).collect();
    assert!(held.is_empty(), "{held:?}");
}

#[test]
fn a_lan_host_takes_back_a_static_address_but_not_a_leased_one() {
    let mut table = Table::new(Confirmation::FirstClaim);
    assert_eq!(table.player_sends(PLAYER, &says(PLAYER_IP)), Ok(()));
    // Asking is not taking: the player is there to answer.
    table.lan_sends(&arp(1, LAN_HOST, Ipv4Addr::UNSPECIFIED, PLAYER_IP));
    assert_eq!(table.standing(PLAYER_IP, PLAYER), Standing::Own);
    table.lan_sends(&arp(1, LAN_HOST, PLAYER_IP, ROUTER_IP));
    assert_eq!(table.standing(PLAYER_IP, PLAYER), Standing::Anothers);
    table.lease(PLAYER, OTHER_PLAYER_IP, 600);
    table.lan_sends(&arp(1, LAN_HOST, OTHER_PLAYER_IP, ROUTER_IP));
    assert_eq!(table.standing(OTHER_PLAYER_IP, PLAYER), Standing::Own);
}

#[test]
fn a_silent_lan_host_is_forgotten_and_a_lease_counts_before_that() {
    let mut table = Table::new(Confirmation::Probe);
    table.lan_sends(&arp(1, LAN_HOST, LAN_HOST_IP, ROUTER_IP));
    assert_eq!(table.standing(LAN_HOST_IP, PLAYER), Standing::Anothers);
    table.lease(PLAYER, LAN_HOST_IP, 60);
    assert_eq!(table.standing(LAN_HOST_IP, PLAYER), Standing::Own);
    table.pass(Duration::from_secs(600));
    assert_eq!(table.standing(LAN_HOST_IP, PLAYER), Standing::Free);
}

#[test]
fn only_addresses_that_a_host_on_this_lan_can_have_are_claimed() {
    let mut table = Table::new(Confirmation::FirstClaim);
    for (address, standing) in [
        ([8, 8, 8, 8], Standing::Unclaimable),
        ([100, 64, 0, 1], Standing::Unclaimable),
        ([169, 254, 7, 7], Standing::Free),
        ([192, 168, 0, 9], Standing::Free),
    ] {
        assert_eq!(table.standing(Ipv4Addr::from(address), PLAYER), standing);
    }
    assert_eq!(
        table.player_sends(PLAYER, &says(Ipv4Addr::new(8, 8, 8, 8))),
        Err(DropReason::SourceIp)
    );
    let global = Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 0, 0, 0, 5);
    assert_eq!(table.standing(global, PLAYER), Standing::Unclaimable);
    let mut prefix = vec![3, 4, 64, 0xC0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0];
    prefix.extend(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 0, 0, 0, 0).octets());
    let packet = ipv6(
        ROUTER_LL,
        ALL_NODES,
        &[],
        ND,
        &router_advertisement(&prefix),
    );
    table.lan_sends(&v6_frame(MacAddr::BROADCAST, ROUTER, &packet));
    assert_eq!(table.standing(global, PLAYER), Standing::Free);
    assert_eq!(table.standing(ROUTER_LL, PLAYER), Standing::Anothers);
}

#[test]
fn the_first_ipv6_claim_counts() {
    let mut table = Table::new(Confirmation::Probe);
    let detection = |from| {
        let body = neighbour(135, Ipv6Addr::UNSPECIFIED, PLAYER_LL, None);
        let packet = ipv6(Ipv6Addr::UNSPECIFIED, ALL_NODES, &[], ND, &body);
        v6_frame(MacAddr::BROADCAST, from, &packet)
    };
    assert_eq!(table.player_sends(PLAYER, &detection(PLAYER)), Ok(()));
    assert_eq!(table.standing(PLAYER_LL, PLAYER), Standing::Own);
    assert_eq!(
        table.player_sends(OTHER_PLAYER, &detection(OTHER_PLAYER)),
        Err(DropReason::NeighbourSpoof)
    );
    let advert = |mac, target| {
        let body = neighbour(136, PLAYER_LL, target, Some(mac));
        v6_frame(
            MacAddr::BROADCAST,
            mac,
            &ipv6(PLAYER_LL, ALL_NODES, &[], ND, &body),
        )
    };
    assert_eq!(
        table.player_sends(OTHER_PLAYER, &advert(OTHER_PLAYER, PLAYER_LL)),
        Err(DropReason::NeighbourSpoof)
    );
    table.lan_sends(&v6_frame(
        MacAddr::BROADCAST,
        ROUTER,
        &ipv6(
            ROUTER_LL,
            ALL_NODES,
            &[],
            ND,
            &neighbour(136, ROUTER_LL, ROUTER_LL, Some(ROUTER)),
        ),
    ));
    assert_eq!(
        table.player_sends(PLAYER, &advert(PLAYER, ROUTER_LL)),
        Err(DropReason::NeighbourSpoof),
        "the router's, from the player's own source"
    );
}

#[test]
fn renewing_somebody_elses_lease_is_refused() {
    let mut table = Table::new(Confirmation::Probe);
    table.lease(OTHER_PLAYER, OTHER_PLAYER_IP, 600);
    let mut release = dhcp(1, PLAYER, Ipv4Addr::UNSPECIFIED, &[53, 1, 7]);
    release[12..16].copy_from_slice(&OTHER_PLAYER_IP.octets());
    let packet = udp_v4_checked((Ipv4Addr::UNSPECIFIED, 68), (ROUTER_IP, 67), &release);
    let frame = v4_frame(ROUTER, PLAYER, &packet);
    assert_eq!(
        table.player_sends(PLAYER, &frame),
        Err(DropReason::DhcpClient)
    );
}

#[test]
fn b6_a_player_cannot_drain_the_pool_with_invented_identifiers() {
    let mut table = Table::new(Confirmation::Probe);
    let mut granted = 0_u8;
    for id in 0..50 {
        let discover = dhcp_request(PLAYER, &[53, 1, 1, 61, 3, 0xFF, 0, id]);
        if table.player_sends(PLAYER, &discover).is_ok() {
            table.lease(PLAYER, Ipv4Addr::new(10, 73, 42, 100 + id), 600);
            granted += 1;
        }
    }
    assert_eq!(granted, 3);
    // What it holds it may ask for again, and somebody else for the rest.
    let mut again = vec![53, 1, 3, 50, 4];
    again.extend(Ipv4Addr::new(10, 73, 42, 101).octets());
    assert_eq!(
        table.player_sends(PLAYER, &dhcp_request(PLAYER, &again)),
        Ok(())
    );
    table.pass(Duration::from_secs(600));
    let discover = dhcp_request(PLAYER, &[53, 1, 1]);
    assert_eq!(table.player_sends(PLAYER, &discover), Ok(()));
}

#[test]
fn an_advertisement_from_two_new_addresses_passes_at_once() {
    let mut table = Table::new(Confirmation::Probe);
    let temporary = Ipv6Addr::new(0xfe80, 0, 0, 0, 1, 2, 3, 4);
    let body = neighbour(136, PLAYER_LL, temporary, Some(PLAYER));
    let packet = ipv6(PLAYER_LL, ALL_NODES, &[], ND, &body);
    let frame = v6_frame(MacAddr::BROADCAST, PLAYER, &packet);
    assert_eq!(table.player_sends(PLAYER, &frame), Ok(()));
    assert_eq!(table.standing(temporary, PLAYER), Standing::Own);
    assert_eq!(table.standing(PLAYER_LL, PLAYER), Standing::Own);
}

#[test]
fn leaving_frees_everything() {
    let mut table = Table::new(Confirmation::Probe);
    table.lease(PLAYER, PLAYER_IP, 600);
    table
        .player_sends(PLAYER, &says(Ipv4Addr::new(10, 73, 42, 200)))
        .unwrap_err();
    table.bindings.forget_player(PLAYER);
    assert_eq!(table.standing(PLAYER_IP, OTHER_PLAYER), Standing::Free);
    assert_eq!(table.bindings.next_wakeup(), None);
}

#[test]
fn trying_out_addresses_costs_the_lan_few_probes() {
    let mut table = Table::new(Confirmation::Probe);
    for last in 0..=255 {
        let _ = table.player_sends(PLAYER, &says(Ipv4Addr::new(10, 73, 99, last)));
    }
    assert!(table.probes().len() <= 8);
}

#[test]
fn a_lease_for_a_machine_that_is_no_player_binds_nothing() {
    let mut table = Table::new(Confirmation::Probe);
    table.lease(LAN_HOST, LAN_HOST_IP, 600);
    assert_eq!(table.bindings.addresses_of(LAN_HOST, table.now).count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_table_never_exceeds_its_bounds(
        events in proptest::collection::vec((0_u8..12, 0_u16..600, 0_u64..2_000), 1..800),
        confirmation in prop_oneof![Just(Confirmation::Probe), Just(Confirmation::FirstClaim)],
    ) {
        let mut table = Table::new(confirmation);
        for (player, address, pause) in events {
            let mac = MacAddr([2, 0, 0, 0, 1, player]);
            let [a, b] = address.to_be_bytes();
            let address = Ipv4Addr::new(10, 9, a, b);
            table.pass(Duration::from_millis(pause));
            match player % 4 {
                0 => table.lan_sends(&arp(1, LAN_HOST, address, ROUTER_IP)),
                1 => {
                    table.members.insert(mac);
                    table.lease(mac, address, 100_000);
                }
                _ => {
                    let packet = ipv4(address, LAN_HOST_IP, UDP, &udp(1, 2, b"x"));
                    let _ = table.player_sends(mac, &v4_frame(LAN_HOST, mac, &packet));
                }
            }
            let _ = table.probes();
            let held = table.bindings.addresses_of(mac, table.now).count();
            prop_assert!(held <= PER_PLAYER);
        }
    }
}

#[test]
fn addresses_that_move_between_players_stay_within_each_ones_cap() {
    let mut table = Table::new(Confirmation::Probe);
    let address = |n: usize| Ipv4Addr::new(10, 73, 7, u8::try_from(n).unwrap());
    for player in [PLAYER, OTHER_PLAYER] {
        for n in 0..PER_PLAYER {
            let offset = if player == PLAYER { 0 } else { 1 };
            table.lease(player, address(2 * n + offset), 600);
        }
    }
    for n in 0..2 * PER_PLAYER {
        table.lease(PLAYER, address(n), 600);
        let held = table.bindings.addresses_of(PLAYER, table.now).count();
        assert!(held <= PER_PLAYER);
    }
}

#[test]
fn a_room_full_of_greedy_players_stays_within_the_tables_cap() {
    let mut table = Table::new(Confirmation::Probe);
    let players = CAPACITY / PER_PLAYER + 20;
    let mut held = 0;
    for player in 0..players {
        let [.., a, b] = player.to_be_bytes();
        let mac = MacAddr([2, 0, 0, 1, a, b]);
        table.members.insert(mac);
        for n in 0..PER_PLAYER {
            let n = u8::try_from(n).unwrap();
            table.lease(mac, Ipv4Addr::new(10, a, b, n), 600);
        }
        held += table.bindings.addresses_of(mac, table.now).count();
    }
    assert_eq!(held, CAPACITY);
}
