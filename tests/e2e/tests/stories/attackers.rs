//! The tools of real attackers, run on a player's own machine through the
//! real client. Each attack is first seen to work where nothing filters it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::packet::RawSocket;
use lanparty_lab::party::{HOST1, LAN, START, TAP, dhcp_server, leases};
use lanparty_lab::{Node, Party, PartyOptions, sandbox, wait};

/// Every way of THC's tool to hide a router advertisement: none, hop-by-hop,
/// one and several fragment headers, a destination header so large that it
/// fragments, overlaps for each kind of reassembly, everything at once.
const EVASIONS: [&str; 8] = [
    "", "-E H", "-E 1", "-E H111", "-E D", "-E O", "-E o", "-E F",
];
/// The network that the false router announces.
const FALSE_PREFIX: &str = "2001:db8:bad";

fn announce(node: &Node, interface: &str, evasion: &str) -> Result<()> {
    // The tool ends with an error where a flood of answers overtakes it.
    node.sh(&format!(
        "timeout 5 atk6-fake_router26 {evasion} -A {FALSE_PREFIX}::/64 -n 2 -i 1 {interface} >/dev/null 2>&1 || true"
    ))?;
    Ok(())
}

fn believes_the_false_router(host: &Node) -> Result<bool> {
    let believed = host.sh("ip -6 addr show; ip -6 route show")?;
    Ok(believed.contains(FALSE_PREFIX) || believed.contains("default"))
}

#[test]
fn b3_no_evasion_of_a_false_router_reaches_the_lan() {
    sandbox::test(|| {
        let mut party = Party::start(PartyOptions::default())?;
        let alice = &party.players[0].node;
        let bob = &party.players[1].node;
        alice.sh(&format!("sysctl -qw net.ipv6.conf.{TAP}.accept_ra=0"))?;
        wait::until("alice's link-local address", START, || {
            alice.ipv6_link_local(TAP).ok().flatten()
        })?;
        for evasion in EVASIONS {
            announce(alice, TAP, evasion)?;
            for host in [&party.host1, &party.host2, bob] {
                ensure!(
                    !believes_the_false_router(host)?,
                    "{} believes the router made with {evasion:?}",
                    host.name()
                );
            }
        }
        // A router is not to be found from the player's side either.
        let answer = alice.sh(&format!("rdisc6 -1 -w 1000 {TAP} 2>&1 || true"))?;
        ensure!(!answer.contains("Prefix"), "{answer}");

        announce(&party.host2, LAN, "")?;
        ensure!(
            believes_the_false_router(&party.host1)?,
            "the tool convinces nobody even on the LAN itself, so nothing was shown"
        );
        let seen = announced_drops(&mut party)?;
        ensure!(seen > 0, "the player's client has counted no advertisement");
        Ok(())
    });
}

/// Advertisements that alice's own client refused.
fn announced_drops(party: &mut Party) -> Result<u64> {
    let status = party.players[0].status()?;
    let drops = &status["drops"];
    Ok(["router_advertisement", "malformed_ipv6"]
        .iter()
        .filter_map(|reason| drops[reason].as_u64())
        .sum())
}

const ASK_FOR_A_LEASE: &str = "udhcpc -i eth0 -f -q -n -t 3 -T 1 -s /bin/true 2>&1 || true";

#[test]
fn b4_a_dhcp_server_behind_a_player_serves_nobody_on_the_lan() {
    sandbox::test(|| {
        let mut party = Party::start(PartyOptions::default())?;
        // The party's own server is gone, so only the false one could answer.
        party.dnsmasq = None;
        let alice = &party.players[0].node;
        let command = dhcp_server(alice, TAP, (210, 219), "false.leases");
        let mut server = alice.spawn_command(command, "false-dnsmasq")?;
        server.wait_for("DHCP, IP range", START)?;
        let said = party.host2.sh(ASK_FOR_A_LEASE)?;
        ensure!(!said.contains("obtained"), "{said}");
        ensure!(
            server.log().contains("DHCPOFFER"),
            "the false server never saw the question, so nothing was shown:\n{}",
            server.log()
        );
        drop(server);
        party.start_dnsmasq()?;
        let said = party.host2.sh(ASK_FOR_A_LEASE)?;
        ensure!(said.contains("obtained"), "{said}");
        Ok(())
    });
}

#[test]
fn b6_invented_clients_of_one_player_do_not_drain_the_pool() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions::default())?;
        let alice = &party.players[0];
        let mac = alice.node.mac(TAP)?.to_string();
        for invented in 0..12 {
            alice.node.sh(&format!(
                "udhcpc -i {TAP} -f -q -n -t 1 -T 1 -x 0x3d:00bad0{invented:02x} -s /bin/true 2>&1 || true"
            ))?;
        }
        let taken = leases().lines().filter(|line| line.contains(&mac)).count();
        // Three, because systems that identify themselves anew at each start
        // are honest too.
        ensure!((1..=3).contains(&taken), "{taken} leases:\n{}", leases());
        Ok(())
    });
}

#[test]
fn b13_a_player_that_bridges_its_tunnel_brings_nobody_along() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions::default())?;
        let alice = &party.players[0];
        let other = Node::new("other")?;
        alice.node.sh(&format!(
            "ip link add home0 type veth peer name {LAN} netns {} && ip link add bridge0 type bridge && \
             ip link set home0 master bridge0 up && ip link set {TAP} master bridge0 && ip link set bridge0 up",
            other.pid()
        ))?;
        other.sh(&format!(
            "ip addr add 10.73.42.77/24 dev {LAN} && ip link set {LAN} up"
        ))?;
        let foreign = other.mac(LAN)?;
        let lan = RawSocket::open(&party.host1, LAN)?;
        let home = RawSocket::open(&alice.node, TAP)?;
        for _ in 0..3 {
            other.sh(&format!("ping -c 1 -W 1 {HOST1} || true"))?;
        }
        let from_the_other = |frame: &[u8]| frame.get(6..12) == Some(&foreign.octets()[..]);
        let second = Duration::from_secs(1);
        ensure!(
            home.receive(second, from_the_other).is_some(),
            "the bridge carries nothing, so nothing was shown"
        );
        let leaked = lan.collect(second, from_the_other);
        ensure!(
            leaked.is_empty(),
            "{} foreign frames reached the LAN",
            leaked.len()
        );
        let drops = alice.status()?["drops"]["source_mac"].as_u64();
        ensure!(drops.context("none counted")? > 0);
        Ok(())
    });
}
