//! The lab must carry traffic faithfully before anything is tested in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};
use lanparty_lab::packet::{RawSocket, ipx_ethernet_ii};
use lanparty_lab::traffic::{self, Ear, Leave};
use lanparty_lab::{Network, Node, sandbox};

struct Pair {
    network: Network,
    a: Node,
    b: Node,
}

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn pair() -> Result<Pair> {
    let mut network = Network::new("net")?;
    network.snoop_multicast()?;
    let (a, b) = (Node::new("a")?, Node::new("b")?);
    for (node, address) in [(&a, A), (&b, B)] {
        network.plug(node, "eth0", 1500)?;
        node.sh(&format!(
            "ip addr add {address}/24 dev eth0 && ip route add default dev eth0"
        ))?;
    }
    Ok(Pair { network, a, b })
}

#[test]
fn hosts_on_a_switch_reach_each_other() {
    sandbox::test(|| {
        let Pair { a, b, network } = pair()?;
        traffic::ping(&a, B.into(), 3)?;
        let copied = traffic::copy(&a, &b, SocketAddr::new(B.into(), 5000), 5_000_000)?;
        ensure!(copied.bytes == 5_000_000);
        ensure!(traffic::udp(&a, &b, SocketAddr::new(B.into(), 5001), 1472, 10)? == 10);
        let port = network.port_of(b.mac("eth0")?)?;
        ensure!(port.as_deref() == Some("port2"), "b is behind {port:?}");
        Ok(())
    });
}

#[test]
fn shouts_are_heard_through_a_snooping_switch() {
    sandbox::test(|| {
        let Pair {
            a,
            b,
            network: _network,
        } = pair()?;
        let group6 = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0x6c70, 7));
        for (target, leave) in [
            (IpAddr::V4(Ipv4Addr::BROADCAST), Leave::ByRoute),
            (IpAddr::V4(Ipv4Addr::new(239, 1, 2, 3)), Leave::ByRoute),
            (group6, Leave::By("eth0")),
        ] {
            let answers = traffic::shout(
                &a,
                leave,
                SocketAddr::new(target, 6000),
                100,
                &[Ear::new(&b, "eth0")],
            )?;
            ensure!(answers.iter().all(Option::is_some), "{target}: {answers:?}");
        }
        Ok(())
    });
}

#[test]
fn a_deaf_host_is_reported_as_deaf() {
    sandbox::test(|| {
        let Pair { a, b, network } = pair()?;
        network.set_port("port2", false)?;
        let answers = traffic::shout(
            &a,
            Leave::ByRoute,
            SocketAddr::new(Ipv4Addr::BROADCAST.into(), 6000),
            100,
            &[Ear::new(&b, "eth0")],
        )?;
        ensure!(answers == [None], "{answers:?}");
        Ok(())
    });
}

#[test]
fn raw_frames_arrive_bit_by_bit() {
    sandbox::test(|| {
        let Pair {
            a,
            b,
            network: _network,
        } = pair()?;
        let frame = ipx_ethernet_ii(a.mac("eth0")?, 100);
        let ear = RawSocket::open(&b, "eth0")?;
        RawSocket::open(&a, "eth0")?.send(&frame)?;
        let seen = ear.receive(Duration::from_secs(2), |seen| seen == frame);
        ensure!(seen.is_some(), "the frame did not arrive");
        Ok(())
    });
}
