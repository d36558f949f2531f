//! The guard on a real kernel, in network namespaces of this test's own
//! threads, which vanish with the threads.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests, outside of test functions"
)]

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::thread;

use lanparty_client_route::plan::{Overlap, Pin};
use lanparty_client_route::{Guard, SystemTable, TapSide};
use lanparty_os::LinuxMachine;
use lanparty_os::journal::{BootId, Journal};

const RELAY: &str = "203.0.113.5";

#[test]
fn the_pin_is_made_verified_and_removed_over_both_ip_versions() {
    in_namespace("pin", |state| {
        let before = routes();
        for (relay, gateway) in [(RELAY, "192.168.1.1"), ("2001:db8:5::1", "fd00:1::1")] {
            let guard = guard(state, relay);
            assert!(matches!(guard.pin(), Pin::Own(_)), "{:?}", guard.pin());
            let route = sh("ip -d -4 route show proto 174; ip -d -6 route show proto 174");
            assert!(
                route.contains(relay) && route.contains(&format!("via {gateway} dev lanplwan")),
                "{route}"
            );
            drop(guard);
            assert_eq!(routes(), before);
        }
    });
}

#[test]
fn a_lease_that_covers_the_relay_does_not_take_its_path() {
    in_namespace("lease", |state| {
        let mut guard = guard(state, RELAY);
        let mut side = TapSide::fence("lanpltap", index("lanpltap")).unwrap();
        let lan = "203.0.113.77/24".parse().unwrap();
        assert!(matches!(
            guard.overlap(lan).unwrap(),
            Some(Overlap::Relay { .. })
        ));
        side.set_address(lan).unwrap();
        assert!(guard.table().has_changed().unwrap());
        guard.check().unwrap();
        assert!(sh("ip route get 203.0.113.5").contains("dev lanplwan"));
        assert!(sh("ip route get 203.0.113.6").contains("dev lanpltap"));
    });
}

#[test]
fn a_default_route_on_the_tap_is_taken_off() {
    in_namespace("default", |state| {
        let mut guard = guard(state, RELAY);
        let mut side = TapSide::fence("lanpltap", index("lanpltap")).unwrap();
        side.set_address("10.73.42.7/24".parse().unwrap()).unwrap();
        let before = routes();
        sh("ip route add default via 10.73.42.1 dev lanpltap metric 5");
        sh("ip route add 128.0.0.0/1 via 10.73.42.1 dev lanpltap proto dhcp");
        assert!(guard.table().has_changed().unwrap());
        assert_eq!(guard.check().unwrap().len(), 2);
        assert_eq!(routes(), before);
        assert!(sh("ip route get 8.8.8.8").contains("dev lanplwan"));
    });
}

#[test]
fn broadcasts_and_multicasts_leave_by_the_tap_and_its_address_can_change() {
    in_namespace("broadcasts", |_| {
        let mut side = TapSide::fence("lanpltap", index("lanpltap")).unwrap();
        side.set_address("169.254.7.7/16".parse().unwrap()).unwrap();
        side.set_address("10.73.42.7/24".parse().unwrap()).unwrap();
        for group in ["255.255.255.255", "224.0.0.251", "239.255.255.250"] {
            let route = sh(&format!("ip route get {group}"));
            assert!(route.contains("dev lanpltap src 10.73.42.7"), "{route}");
        }
        let addresses = sh("ip -4 -o addr show dev lanpltap");
        assert!(!addresses.contains("169.254"), "{addresses}");
        side.clear_address().unwrap();
        assert_eq!(sh("ip -4 -o addr show dev lanpltap"), "");
    });
}

#[test]
fn nobody_reaches_the_players_home_through_the_tap() {
    in_namespace("forwarding", |_| {
        sh("echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding");
        TapSide::fence("lanpltap", index("lanpltap")).unwrap();
        for family in ["ipv4", "ipv6"] {
            let forwards = |interface: &str| {
                sh(&format!(
                    "cat /proc/sys/net/{family}/conf/{interface}/forwarding"
                ))
            };
            assert_eq!(forwards("lanpltap").trim(), "0");
            assert_eq!(forwards("lanplwan").trim(), "1", "not ours to change");
        }
    });
}

#[test]
fn the_tap_accepts_no_router_advertisements() {
    in_namespace("fence", |_| {
        TapSide::fence("lanpltap", index("lanpltap")).unwrap();
        let switch = |name: &str| sh(&format!("cat /proc/sys/net/ipv6/conf/lanpltap/{name}"));
        assert_eq!(switch("accept_ra").trim(), "0");
        assert_eq!(switch("autoconf").trim(), "0");
        let outside = sh("cat /proc/sys/net/ipv6/conf/lanplwan/accept_ra");
        assert_eq!(outside.trim(), "1");
    });
}

#[test]
fn what_a_killed_process_left_is_undone_by_the_next() {
    in_namespace("killed", |state| {
        let before = routes();
        let killed = guard(state, RELAY);
        assert_ne!(routes(), before);
        // As after kill -9: the lock is gone with its file, the route is not.
        let copy = state.join("copy");
        fs::create_dir(&copy).unwrap();
        fs::copy(state.join("journal"), copy.join("journal")).unwrap();
        std::mem::forget(killed);

        let mut journal = Journal::open(&copy, BootId::current().unwrap()).unwrap();
        let report = journal
            .undo_all(&mut LinuxMachine::open().unwrap())
            .unwrap();
        assert_eq!(report.undone.len(), 1, "{report}");
        assert_eq!(routes(), before);
        drop(journal);
        drop(guard(&copy, RELAY));
    });
}

#[test]
fn the_pin_follows_the_default_route() {
    in_namespace("roaming", |state| {
        let mut guard = guard(state, RELAY);
        sh("ip link add lanplwan2 type veth peer name lanplisp2
            ip link set lanplisp2 up; ip link set lanplwan2 up
            ip addr add 192.168.2.50/24 dev lanplwan2
            ip route replace default via 192.168.2.1
            ip addr flush dev lanplwan; ip link set lanplwan down");
        guard.check().unwrap();
        let route = sh("ip route get 203.0.113.5");
        assert!(route.contains("via 192.168.2.1 dev lanplwan2"), "{route}");
        let pins = sh("ip route show proto 174");
        assert_eq!(pins.lines().count(), 1, "{pins}");
    });
}

fn guard(state: &Path, relay: &str) -> Guard<SystemTable> {
    let journal = Journal::open(state, BootId::current().unwrap()).unwrap();
    let table = SystemTable::open(journal).unwrap();
    let relay: IpAddr = relay.parse().unwrap();
    Guard::establish(table, index("lanpltap"), relay).unwrap()
}

fn index(interface: &str) -> u32 {
    let line = sh(&format!("ip -o link show {interface}"));
    line.split(':').next().unwrap().parse().unwrap()
}

fn routes() -> String {
    sh("ip -4 route show table main; ip -6 route show table main")
}

/// A home with a line to the internet, and a cable in the place of the TAP.
fn in_namespace(test: &str, body: impl FnOnce(&Path) + Send) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED {test}: network namespaces need root");
        return;
    }
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            lanparty_lab::namespace::enter_empty().unwrap();
            sh("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
                ip link set lo up
                ip link add lanplwan type veth peer name lanplisp
                ip link set lanplisp up; ip link set lanplwan up
                ip addr add 192.168.1.50/24 dev lanplwan
                ip addr add fd00:1::50/64 nodad dev lanplwan
                ip route add default via 192.168.1.1
                ip route add default via fd00:1::1
                ip link add lanpltap type veth peer name lanplcable
                ip link set lanplcable up; ip link set lanpltap up");
            let state = tempfile::tempdir().unwrap();
            body(state.path());
        });
        thread.join().unwrap();
    });
}

fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {error}");
    String::from_utf8(output.stdout).unwrap()
}
