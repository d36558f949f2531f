//! Addresses from the party's DHCP server, and nothing else from it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::party::{TAP, leases};
use lanparty_lab::{Party, PartyOptions, sandbox};

#[test]
fn a_player_gets_the_same_lease_after_a_rejoin() {
    sandbox::test(|| {
        let mut party = Party::start(PartyOptions::default())?;
        let first = party.players[0].address()?;
        let mac = party.players[0].node.mac(TAP)?;
        let client = party.players[0].client.as_mut().context("no client")?;
        client.interrupt()?;
        party.start_player(0)?;
        ensure!(
            party.players[0].node.mac(TAP)? == mac,
            "the MAC address changed"
        );
        let second = party.players[0].address()?;
        ensure!(first == second, "{first} became {second}: {}", leases());
        Ok(())
    });
}

/// Everything that a DHCP server can say to redirect a machine: router,
/// classless routes in both spellings, static routes, DNS, WPAD, MTU.
const HOSTILE: [&str; 8] = [
    "option:router,10.73.42.10",
    "121,0.0.0.0/0,10.73.42.10,198.51.100.0/24,10.73.42.10",
    "249,0.0.0.0/0,10.73.42.10",
    "33,198.51.100.1,10.73.42.10",
    "option:dns-server,10.73.42.10",
    "252,http://10.73.42.10/wpad.dat",
    "26,576",
    "option:domain-name,evil.example",
];

fn hostile_server_changes_nothing(client: &str) -> Result<()> {
    let mut party = Party::build(PartyOptions {
        dhcp_options: HOSTILE.map(str::to_owned).to_vec(),
        player_arguments: vec!["--dhcp-client".to_owned(), client.to_owned()],
        players: vec!["alice"],
        ..PartyOptions::default()
    })?;
    let alice = &party.players[0].node;
    let routes = "ip route show table main | grep -v lanparty0; ip route get 198.51.100.1 | head -1; ip route get 203.0.113.1 | head -1";
    let before = (
        alice.sh("cat /etc/resolv.conf; ls -la --time-style=full-iso /etc/resolv.conf")?,
        alice.sh(routes)?,
    );
    party.start_dnsmasq()?;
    party.start_relay()?;
    party.start_gateway()?;
    party.start_player(0)?;
    let alice = &party.players[0];
    alice.address()?;
    // The lease's options act within moments of the address, if at all.
    std::thread::sleep(Duration::from_secs(1));
    let after = (
        alice
            .node
            .sh("cat /etc/resolv.conf; ls -la --time-style=full-iso /etc/resolv.conf")?,
        alice.node.sh(routes)?,
    );
    ensure!(
        before.0 == after.0,
        "resolv.conf was {}, is {}",
        before.0,
        after.0
    );
    // The path to the relay gains a pinned host route; it must be the same path.
    let path = |text: &str| {
        text.lines()
            .filter(|line| line.contains(" dev wan0"))
            .count()
    };
    ensure!(!after.1.contains("lanparty0"), "{}", after.1);
    ensure!(
        path(&after.1) >= path(&before.1),
        "before: {}\nafter: {}",
        before.1,
        after.1
    );
    let tap_routes = alice.node.sh("ip route show dev lanparty0")?;
    for forbidden in ["default", "198.51.100", "via"] {
        ensure!(!tap_routes.contains(forbidden), "the TAP has {tap_routes}");
    }
    let mtu = alice.node.sh("cat /sys/class/net/lanparty0/mtu")?;
    ensure!(mtu.trim() == "1344", "the TAP's MTU is {mtu}");
    Ok(())
}

#[test]
fn b5_a_hostile_server_changes_nothing_with_udhcpc() {
    sandbox::test(|| hostile_server_changes_nothing("udhcpc"));
}

#[test]
fn b5_a_hostile_server_changes_nothing_with_dhclient() {
    sandbox::test(|| hostile_server_changes_nothing("dhclient"));
}

#[test]
fn without_a_dhcp_server_players_find_each_other_by_link_local_addresses() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions::default())?;
        party.start_relay()?;
        party.start_player(0)?;
        party.start_player(1)?;
        let limit = Duration::from_secs(30);
        let alice = party.players[0].node.wait_for_ipv4(TAP, limit)?;
        let bob = party.players[1].node.wait_for_ipv4(TAP, limit)?;
        ensure!(
            alice.is_link_local() && bob.is_link_local(),
            "{alice} and {bob}"
        );
        lanparty_lab::traffic::ping(&party.players[0].node, bob.into(), 3)?;
        Ok(())
    });
}

#[test]
fn a_static_address_needs_no_dhcp_server() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            players: vec!["alice"],
            player_arguments: vec!["--ip".to_owned(), "10.73.42.77/24".to_owned()],
            ..PartyOptions::default()
        })?;
        party.start_relay()?;
        party.start_gateway()?;
        party.start_player(0)?;
        ensure!(party.players[0].address()?.to_string() == "10.73.42.77");
        lanparty_lab::traffic::ping(&party.players[0].node, lanparty_lab::party::HOST1.into(), 3)?;
        Ok(())
    });
}
