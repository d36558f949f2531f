//! What a LAN party must be able to do, checked one by one with real traffic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;

use crate::packet::RawSocket;
use crate::party::{
    self, GATEWAY_PC, HOME_ROUTER, HOST1, HOST2, LAN, Party, Player, SUBNET_BROADCAST, TAP,
};
use crate::traffic::{self, Ear, Leave};

/// One line of the report.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    pub name: String,
    pub passed: bool,
    /// What was measured, or what went wrong.
    pub value: String,
}

/// How much data the copies move; enough to leave TCP's slow start behind,
/// little enough for a pass of a few seconds.
const COPY: u64 = 20_000_000;

/// Runs every check once and reports each as it ends.
pub fn run(party: &Party, mut report: impl FnMut(&Check)) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut check = |name: String, outcome: Result<String>| {
        let (passed, value) = match outcome {
            Ok(value) => (true, value),
            Err(error) => (false, format!("{error:#}")),
        };
        let check = Check {
            name,
            passed,
            value,
        };
        report(&check);
        checks.push(check);
    };

    for player in &party.players {
        let name = player.name();
        check(
            format!("{name} has a lease from the LAN's DHCP server"),
            lease(player),
        );
        check(
            format!("{name}'s own internet stays where it was"),
            internet_untouched(player),
        );
        for (host, address) in [
            ("host1", HOST1),
            ("host2", HOST2),
            ("the gateway PC", GATEWAY_PC),
        ] {
            check(format!("{name} pings {host}"), ping(&player.node, address));
        }
        check(
            format!("host2 pings {name}"),
            player
                .address()
                .and_then(|address| ping(&party.host2, address)),
        );
        check(
            format!("the gateway PC pings {name}"),
            player
                .address()
                .and_then(|address| ping(&party.gateway_node, address)),
        );
        check(
            format!("{name}'s limited broadcast finds everybody"),
            shout_from_player(party, player, Ipv4Addr::BROADCAST, 7777),
        );
        check(
            format!("{name}'s subnet broadcast finds everybody"),
            shout_from_player(party, player, SUBNET_BROADCAST, 7778),
        );
        check(
            format!("{name}'s IPv4 multicast finds everybody"),
            shout_from_player(party, player, Ipv4Addr::new(239, 255, 10, 73), 7779),
        );
        check(
            format!("{name}'s IPv6 multicast finds everybody"),
            shout_v6_from_player(party, player),
        );
        check(
            format!("{name} gets 1,472-byte UDP from host1"),
            big_udp(party, player),
        );
        check(
            format!("{name}'s IPX reaches host1 bit by bit"),
            ipx(party, player),
        );
        check(
            format!("{name} copies a file to host1"),
            copy_to_lan(party, player),
        );
        check(
            format!("{name} copies a file from host1"),
            copy_from_lan(party, player),
        );
    }
    for [from, to] in pairs(&party.players) {
        check(
            format!("{} pings {}", from.name(), to.name()),
            to.address().and_then(|address| ping(&from.node, address)),
        );
    }
    check(
        "host1's broadcast finds every player".to_owned(),
        shout_from_lan(party, SUBNET_BROADCAST, 7780),
    );
    check(
        "host1's multicast finds every player".to_owned(),
        shout_from_lan(party, Ipv4Addr::new(239, 255, 10, 74), 7781),
    );
    check(
        "the switch knows the players behind the gateway's port".to_owned(),
        switch_ports(party),
    );
    check(
        "the relay lists the room with all its members".to_owned(),
        rooms(party),
    );
    checks
}

fn pairs(players: &[Player]) -> Vec<[&Player; 2]> {
    players
        .iter()
        .flat_map(|from| players.iter().map(move |to| [from, to]))
        .filter(|[from, to]| from.name() != to.name())
        .collect()
}

fn lease(player: &Player) -> Result<String> {
    let address = player.address()?;
    let mac = player.node.mac(TAP)?.to_string();
    let leases = party::leases();
    ensure!(
        leases
            .lines()
            .any(|line| line.contains(&mac) && line.contains(&format!(" {address} "))),
        "{address} on {mac} is not among dnsmasq's leases: {leases}"
    );
    Ok(address.to_string())
}

fn internet_untouched(player: &Player) -> Result<String> {
    let now = player.node.sh("ip route show default")?;
    ensure!(
        now == player.default_route,
        "the default route was {:?} and is {now:?}",
        player.default_route
    );
    ping(&player.node, HOME_ROUTER).context("the home router")
}

fn ping(from: &crate::Node, target: Ipv4Addr) -> Result<String> {
    Ok(traffic::ping(from, target.into(), 3)?.to_string())
}

fn everybody_else<'a>(party: &'a Party, player: &Player) -> Vec<Ear<'a>> {
    let others = party
        .players
        .iter()
        .filter(|other| other.name() != player.name());
    [
        Ear::new(&party.host1, LAN),
        Ear::new(&party.host2, LAN),
        Ear::new(&party.gateway_node, gateway_interface(party)),
    ]
    .into_iter()
    .chain(others.map(|other| Ear::new(&other.node, TAP)))
    .collect()
}

const fn gateway_interface(party: &Party) -> &'static str {
    if party.options.gateway_bridge {
        "party0"
    } else {
        LAN
    }
}

fn shout_from_player(party: &Party, player: &Player, to: Ipv4Addr, port: u16) -> Result<String> {
    let target = SocketAddr::new(to.into(), port);
    heard(
        &player.node,
        Leave::ByRoute,
        target,
        &everybody_else(party, player),
    )
}

fn shout_v6_from_player(party: &Party, player: &Player) -> Result<String> {
    let target = SocketAddr::new(
        IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0x6c70, 1)),
        7782,
    );
    heard(
        &player.node,
        Leave::By(TAP),
        target,
        &everybody_else(party, player),
    )
}

fn shout_from_lan(party: &Party, to: Ipv4Addr, port: u16) -> Result<String> {
    let players: Vec<_> = party
        .players
        .iter()
        .map(|player| Ear::new(&player.node, TAP))
        .collect();
    heard(
        &party.host1,
        Leave::By(LAN),
        SocketAddr::new(to.into(), port),
        &players,
    )
}

fn heard(
    from: &crate::Node,
    leave: Leave<'_>,
    target: SocketAddr,
    ears: &[Ear<'_>],
) -> Result<String> {
    let answers = traffic::shout(from, leave, target, 200, ears)?;
    let deaf: Vec<_> = ears
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| answer.is_none())
        .map(|(ear, _)| ear.node.name())
        .collect();
    ensure!(deaf.is_empty(), "no answer from {}", deaf.join(", "));
    let slowest = answers.iter().flatten().max().copied().unwrap_or_default();
    Ok(format!(
        "{} answers, the last after {:.2} ms",
        answers.len(),
        slowest.as_secs_f64() * 1e3
    ))
}

fn big_udp(party: &Party, player: &Player) -> Result<String> {
    let target = SocketAddr::new(player.address()?.into(), 7783);
    let (sent, size) = (20, 1_472);
    let arrived = traffic::udp(&party.host1, &player.node, target, size, sent)?;
    ensure!(arrived == sent, "{arrived} of {sent} arrived");
    Ok(format!("{arrived} of {sent}"))
}

fn ipx(party: &Party, player: &Player) -> Result<String> {
    let source = player.node.mac(TAP)?;
    let frame = crate::packet::ipx_ethernet_ii(source, 42);
    let ear = RawSocket::open(&party.host1, LAN)?;
    let mouth = RawSocket::open(&player.node, TAP)?;
    for _attempt in 0..5 {
        mouth.send(&frame)?;
        let same = |seen: &[u8]| seen == frame;
        if ear.receive(Duration::from_millis(500), same).is_some() {
            return Ok(format!("{} bytes identical", frame.len()));
        }
    }
    bail!("host1 never saw the frame");
}

fn copy_to_lan(party: &Party, player: &Player) -> Result<String> {
    let target = SocketAddr::new(HOST1.into(), 7784);
    Ok(traffic::copy(&player.node, &party.host1, target, COPY)?.to_string())
}

fn copy_from_lan(party: &Party, player: &Player) -> Result<String> {
    let target = SocketAddr::new(player.address()?.into(), 7785);
    Ok(traffic::copy(&party.host1, &player.node, target, COPY)?.to_string())
}

fn switch_ports(party: &Party) -> Result<String> {
    for player in &party.players {
        let port = party.switch.port_of(player.node.mac(TAP)?)?;
        ensure!(
            port.as_deref() == Some(&party.gateway_port),
            "{} is behind {port:?}, not {}",
            player.name(),
            party.gateway_port
        );
    }
    Ok(party.gateway_port.clone())
}

fn rooms(party: &Party) -> Result<String> {
    let rooms = party.rooms()?;
    let members = rooms
        .pointer("/rooms/0/members")
        .and_then(serde_json::Value::as_array)
        .context("no room is listed")?;
    let expected = party.players.len() + 1;
    ensure!(
        members.len() == expected,
        "{} members are listed, not {expected}",
        members.len()
    );
    Ok(format!("{expected} members"))
}
