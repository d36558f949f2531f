//! What Wireshark and the receiving kernels say to frames that crossed the
//! adapter, in both directions and over everything that makes superframes.
//!
//! ```text
//!   host ── cable ── bridge ── the adapter ══ frames ══ far, an adapter
//!                      on `machine`                     without offloads
//! ```
//!
//! The host's superframes reach the adapter whole, and the far kernel verifies
//! what was cut. The machine's end of the cable cuts nothing and finishes no
//! checksums, so its kernel cuts what was joined and the host verifies that.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, ensure};
use lanparty_client_tap::{Adapter as _, FromTap, Tap, TapCounters, TapOptions};
use lanparty_lab::wireshark::{Capture, Found};
use lanparty_lab::{Node, sandbox, superframes};
use lanparty_os::tap;
use lanparty_proto::MacAddr;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const COPY: usize = 8 << 20;
/// With 40 and one a burst.
const BURSTS: usize = 30;
const DATAGRAM: u16 = 1_201;

#[test]
fn tcp_over_ipv4_is_flawless_in_the_eyes_of_wireshark() {
    sandbox::test(|| tcp("10.77.0.2:4010"));
}

#[test]
fn tcp_over_ipv6_is_flawless_in_the_eyes_of_wireshark() {
    sandbox::test(|| tcp("[fd77::2]:4010"));
}

#[test]
fn udp_over_ipv4_is_flawless_in_the_eyes_of_wireshark() {
    sandbox::test(|| udp("10.77.0.1:4011", "10.77.0.2:4011"));
}

#[test]
fn udp_over_ipv6_is_flawless_in_the_eyes_of_wireshark() {
    sandbox::test(|| udp("[fd77::1]:4011", "[fd77::2]:4011"));
}

fn tcp(server: &str) -> Result<()> {
    let server = server.parse()?;
    let found = watched(|host, far| superframes::exchange_between(host, far, server, COPY))?;
    // Most segments of at most 1,304 bytes.
    let least = (COPY / 1_304 / 2) as u64;
    ensure!(found.iter().all(|found| found.tcp >= least), "{found:?}");
    Ok(())
}

fn udp(host_address: &str, far_address: &str) -> Result<()> {
    let addresses: (SocketAddr, SocketAddr) = (host_address.parse()?, far_address.parse()?);
    let found = watched(|host, far| {
        let (host, far) = ((host, addresses.0), (far, addresses.1));
        superframes::datagrams_between(host, far, DATAGRAM, BURSTS)?;
        Ok(())
    })?;
    let least = (BURSTS * 41 / 2) as u64;
    ensure!(found.iter().all(|found| found.udp >= least), "{found:?}");
    Ok(())
}

/// Lets traffic cross and returns what the host and the far end received.
fn watched(traffic: impl FnOnce(&Node, &Node) -> Result<()>) -> Result<[Found; 2]> {
    let [machine, host, far] = [Node::new("machine")?, Node::new("host")?, Node::new("far")?];
    machine.sh(&format!(
        "ip link add br0 type bridge; ip link set br0 up
         ip link add h0 type veth peer name eth0 netns {}
         ip link set h0 master br0 up
         ethtool -K h0 tx off tso off gso off gro off",
        host.pid()
    ))?;
    let mut adapter = machine.inside(|| {
        Ok(Tap::open(&TapOptions {
            name: "lanpltap0".to_owned(),
            mac: MacAddr([0x02, 0, 0x5e, 0x10, 0, 1]),
            mtu: 1_344,
            offload: true,
        })?)
    })?;
    adapter.set_carrier(true)?;
    machine.sh("ip link set lanpltap0 master br0")?;
    let far_adapter = far.inside(|| {
        Ok(tap::Tap::create(&tap::TapOptions {
            name: "t0".to_owned(),
            ..tap::TapOptions::default()
        })?)
    })?;
    host.sh("ethtool -K eth0 gro off")?;
    for (node, interface, last) in [(&host, "eth0", 1), (&far, "t0", 2)] {
        node.sh(&format!(
            "sysctl -qw net.ipv4.tcp_ecn=1
             ip link set {interface} mtu 1344 up
             ip addr add 10.77.0.{last}/24 dev {interface}
             ip addr add fd77::{last}/64 dev {interface} nodad"
        ))?;
    }
    let captures = [Capture::on(&host, "eth0")?, Capture::on(&far, "t0")?];
    let stop = AtomicBool::new(false);
    let counters = thread::scope(|scope| {
        let pump = scope.spawn(|| pump(&mut adapter, &far_adapter, &stop));
        let done = traffic(&host, &far);
        stop.store(true, Ordering::Relaxed);
        let counters = pump.join().unwrap();
        done.map(|()| counters)
    })?;
    let [at_host, at_far] = captures.map(Capture::finish);
    let found = [at_host?, at_far?];
    for found in &found {
        ensure!(found.bad.is_empty(), "Wireshark objects to {:?}", found.bad);
    }
    for node in [&host, &far] {
        let malformed = node.inside(superframes::malformed)?;
        ensure!(
            malformed.is_empty(),
            "{} counted {malformed:?}",
            node.name()
        );
    }
    ensure!(
        counters.reads * 3 < counters.frames_in && counters.writes * 2 < counters.frames_out,
        "few superframes, so little was tried: {counters:?}"
    );
    Ok(found)
}

/// Moves frames between the adapter and one without offloads.
fn pump(adapter: &mut Tap, far: &tap::Tap, stop: &AtomicBool) -> TapCounters {
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    let mut buffer = [0; 2_048];
    while !stop.load(Ordering::Relaxed) {
        let mut fds = [
            PollFd::new(adapter, PollFlags::IN),
            PollFd::new(far, PollFlags::IN),
        ];
        let _timed_out = poll(&mut fds, Some(&timeout)).unwrap();
        adapter
            .receive(32, &mut |received| match received {
                FromTap::Frame(frame) => {
                    assert!(frame.len() <= 1_344 + 14, "{} bytes", frame.len());
                    // A full queue is a loss as on any LAN.
                    let _ = rustix::io::write(far, frame);
                }
                FromTap::Dropped(reason) => panic!("dropped: {reason}"),
            })
            .unwrap();
        for _ in 0..64 {
            let Ok(length) = rustix::io::read(far, &mut buffer[..]) else {
                break;
            };
            adapter.send(&buffer[..length]);
        }
        assert_eq!(adapter.flush(), 0, "the kernel refused frames");
    }
    adapter.counters()
}
