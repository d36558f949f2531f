//! Multicast on a switch that snoops IGMP and MLD.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::ensure;
use lanparty_lab::party::{LAN, TAP};
use lanparty_lab::traffic::{self, Ear, Leave};
use lanparty_lab::{Party, PartyOptions, sandbox, wait};

#[test]
fn the_switch_learns_a_players_groups_from_its_reports() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions::default())?;
        let group = Ipv4Addr::new(239, 99, 1, 2);
        let alice = &party.players[0];
        let address = alice.address()?;
        let _member = alice.node.inside(|| {
            let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 7100))?;
            socket.join_multicast_v4(&group, &address)?;
            Ok(socket)
        })?;
        wait::until(
            "the switch to list the group behind the gateway",
            Duration::from_secs(10),
            || {
                let table = party.switch.switch().sh("bridge mdb show").ok()?;
                table
                    .lines()
                    .any(|line| {
                        line.contains(&group.to_string()) && line.contains(&party.gateway_port)
                    })
                    .then_some(())
            },
        )
    });
}

#[test]
fn groups_are_heard_both_ways_with_snooping_on() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions::default())?;
        let groups: [IpAddr; 2] = [
            Ipv4Addr::new(239, 99, 1, 3).into(),
            Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0x6c70, 3).into(),
        ];
        for group in groups {
            let target = SocketAddr::new(group, 7101);
            let [alice, bob] = &party.players[..] else {
                anyhow::bail!("two players are needed")
            };
            let from_lan = traffic::shout(
                &party.host1,
                Leave::By(LAN),
                target,
                100,
                &[
                    Ear::new(&alice.node, TAP),
                    Ear::new(&bob.node, TAP),
                    Ear::new(&party.host2, LAN),
                ],
            )?;
            ensure!(
                from_lan.iter().all(Option::is_some),
                "{group} from the LAN: {from_lan:?}"
            );
            let from_player = traffic::shout(
                &alice.node,
                Leave::By(TAP),
                target,
                100,
                &[
                    Ear::new(&bob.node, TAP),
                    Ear::new(&party.host1, LAN),
                    Ear::new(&party.host2, LAN),
                ],
            )?;
            ensure!(
                from_player.iter().all(Option::is_some),
                "{group} from a player: {from_player:?}"
            );
        }
        Ok(())
    });
}

#[test]
fn groups_survive_a_pulled_cable() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions::default())?;
        let group = Ipv4Addr::new(239, 99, 1, 4);
        let alice = &party.players[0];
        let address = alice.address()?;
        // Queries would make the player report by itself.
        party
            .switch
            .switch()
            .sh("ip link set br0 type bridge mcast_querier 0")?;
        let _member = alice.node.inside(|| {
            let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 7102))?;
            socket.join_multicast_v4(&group, &address)?;
            Ok(socket)
        })?;
        let listed = || {
            let table = party.switch.switch().sh("bridge mdb show").ok()?;
            table
                .lines()
                .any(|line| line.contains(&group.to_string()) && line.contains(&party.gateway_port))
                .then_some(())
        };
        wait::until(
            "the group behind the gateway",
            Duration::from_secs(10),
            listed,
        )?;
        // The player's kernel repeats an unsolicited report within a second or
        // two (RFC 3376 section 8.11); only the gateway's may count here.
        std::thread::sleep(Duration::from_secs(4));
        party.switch.set_port(&party.gateway_port, false)?;
        wait::until("the switch to forget", Duration::from_secs(10), || {
            listed().is_none().then_some(())
        })?;
        party.switch.set_port(&party.gateway_port, true)?;
        wait::until(
            "the gateway to report the group again",
            Duration::from_secs(10),
            listed,
        )
    });
}
