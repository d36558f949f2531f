//! The netlink client and the TAP against the kernel, each test in a network
//! namespace of its own that dies with its thread.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on says so"
)]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use lanparty_os::netlink::{
    Change, Family, Link, LinkChange, Monitor, Netlink, NewAddress, Prefix, ROUTE_PROTOCOL, Route,
    RouteKind, RouteQuery, RouteScope, Rule, RuleAction,
};
use lanparty_os::sysctl;
use lanparty_os::tap::{Tap, TapError, TapOffloads, TapOptions};
use rustix::thread::UnshareFlags;

/// Moves this thread into an empty network namespace; false, with a message,
/// where that is not allowed.
fn in_own_namespace() -> bool {
    // SAFETY: a test runs on a thread of its own, and NEWNET changes nothing
    // that other threads share with it.
    match unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) } {
        Ok(()) => true,
        Err(errno) => {
            eprintln!("skipped: cannot make a network namespace ({errno}); run as root");
            false
        }
    }
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn tap(name: &str) -> Tap {
    Tap::create(&TapOptions {
        name: name.to_owned(),
        vnet_header: true,
        offloads: TapOffloads::ALL,
    })
    .unwrap()
}

fn link(netlink: &mut Netlink, name: &str) -> Link {
    netlink.link_by_name(name).unwrap().unwrap()
}

#[test]
fn a_tap_lives_as_long_as_its_descriptor() {
    if !in_own_namespace() {
        return;
    }
    let mut netlink = Netlink::open().unwrap();
    let tap = tap("soft%d");
    assert_eq!(tap.name(), "soft0");
    assert!(tap.offloads().tso4);
    let described = link(&mut netlink, "soft0");
    assert_eq!(described.kind.as_deref(), Some("tun"));
    assert!(described.is_ethernet && !described.is_up);
    let busy = Tap::create(&TapOptions {
        name: "soft0".to_owned(),
        ..TapOptions::default()
    });
    assert!(matches!(busy, Err(TapError::Busy { .. })), "{busy:?}");
    drop(tap);
    assert_eq!(netlink.link_by_name("soft0").unwrap(), None);
}

#[test]
fn a_name_that_the_kernel_would_cut_or_misread_is_refused() {
    for name in ["", "sixteen-letters-", "a/b", "a b", "a:1"] {
        let refused = Tap::create(&TapOptions {
            name: name.to_owned(),
            ..TapOptions::default()
        });
        assert!(matches!(refused, Err(TapError::BadName { .. })), "{name}");
    }
}

#[test]
fn a_link_takes_its_mac_its_mtu_and_its_state() {
    if !in_own_namespace() {
        return;
    }
    let mut netlink = Netlink::open().unwrap();
    let _tap = tap("t0");
    let mac = "02:00:5e:10:00:01".parse().unwrap();
    let index = link(&mut netlink, "t0").index;
    netlink
        .change_link(
            index,
            &LinkChange {
                up: Some(true),
                mtu: Some(1344),
                mac: Some(mac),
                ..LinkChange::default()
            },
        )
        .unwrap();
    let changed = netlink.link_by_index(index).unwrap().unwrap();
    assert_eq!(
        (changed.mac, changed.mtu, changed.is_up),
        (Some(mac), 1344, true)
    );
    // Unset fields stay.
    netlink
        .change_link(
            index,
            &LinkChange {
                mtu: Some(1500),
                ..LinkChange::default()
            },
        )
        .unwrap();
    assert!(link(&mut netlink, "t0").is_up);
    assert!(netlink.links().unwrap().iter().any(|l| l.is_loopback));
    let missing = netlink
        .change_link(9999, &LinkChange::default())
        .unwrap_err();
    assert!(missing.is_missing(), "{missing}");
}

#[test]
fn addresses_come_and_go_with_or_without_their_on_link_route() {
    if !in_own_namespace() {
        return;
    }
    let mut netlink = Netlink::open().unwrap();
    let _tap = tap("t0");
    let interface = up(&mut netlink, "t0");
    for (address, on_link_metric) in [
        ("192.168.7.3/24", Some(5)),
        ("10.9.0.1/16", None),
        ("fd00:7::3/64", Some(5)),
    ] {
        let new = NewAddress {
            interface,
            prefix: prefix(address),
            on_link_metric,
        };
        netlink.add_address(&new).unwrap();
        assert!(netlink.add_address(&new).unwrap_err().already_exists());
        netlink.replace_address(&new).unwrap();
        assert!(
            netlink
                .addresses_of(interface)
                .unwrap()
                .iter()
                .any(|own| own.prefix == prefix(address) && !own.is_link_local)
        );
        let routes = netlink.routes(new.prefix.family()).unwrap();
        let on_link = routes
            .iter()
            .find(|route| route.destination == new.prefix.network());
        assert_eq!(
            on_link.map(|route| route.metric),
            on_link_metric,
            "{address}"
        );
        netlink.delete_address(interface, new.prefix).unwrap();
        assert!(
            netlink
                .delete_address(interface, new.prefix)
                .unwrap_err()
                .is_missing()
        );
    }
}

fn up(netlink: &mut Netlink, name: &str) -> u32 {
    let index = link(netlink, name).index;
    netlink
        .change_link(
            index,
            &LinkChange {
                up: Some(true),
                ..LinkChange::default()
            },
        )
        .unwrap();
    index
}

#[test]
fn routes_are_listed_as_they_were_set_and_looked_up_by_the_kernel() {
    if !in_own_namespace() {
        return;
    }
    let mut netlink = Netlink::open().unwrap();
    let _tap = tap("t0");
    let interface = up(&mut netlink, "t0");
    netlink
        .add_address(&NewAddress {
            interface,
            prefix: prefix("192.168.7.3/24"),
            on_link_metric: Some(5),
        })
        .unwrap();
    let by_gateway = Route {
        gateway: Some(ip("192.168.7.1")),
        source: Some(ip("192.168.7.3")),
        table: 1000,
        scope: RouteScope::Universe,
        ..Route::on_link(prefix("203.0.113.9/32"), interface, 77)
    };
    let default = Route {
        gateway: Some(ip("192.168.7.1")),
        scope: RouteScope::Universe,
        ..Route::on_link(Prefix::DEFAULT_V4, interface, 9)
    };
    let multicast = Route::on_link(prefix("239.255.255.250/32"), interface, 1);
    let prohibited = Route {
        interface: None,
        kind: RouteKind::Prohibit,
        scope: RouteScope::Universe,
        ..Route::on_link(prefix("198.51.100.0/24"), interface, 3)
    };
    for route in [&by_gateway, &default, &multicast, &prohibited] {
        netlink.add_route(route).unwrap();
        assert!(netlink.add_route(route).unwrap_err().already_exists());
        let listed = netlink.routes(Family::V4).unwrap();
        assert!(listed.contains(route), "{route:?} not in {listed:#?}");
        assert_eq!(route.protocol, ROUTE_PROTOCOL);
    }
    let chosen = netlink
        .route_to(ip("8.8.8.8"), &RouteQuery::default())
        .unwrap();
    assert_eq!(
        (chosen.gateway, chosen.interface, chosen.source),
        (
            Some(ip("192.168.7.1")),
            Some(interface),
            Some(ip("192.168.7.3"))
        )
    );
    for route in [&by_gateway, &default, &multicast, &prohibited] {
        netlink.delete_route(route).unwrap();
        assert!(netlink.delete_route(route).unwrap_err().is_missing());
    }
}

#[test]
fn a_marked_packet_follows_its_rule() {
    if !in_own_namespace() {
        return;
    }
    let mut netlink = Netlink::open().unwrap();
    let (_a, _b) = (tap("t0"), tap("t1"));
    let plain = up(&mut netlink, "t0");
    let marked = up(&mut netlink, "t1");
    netlink
        .add_route(&Route::on_link(Prefix::DEFAULT_V4, plain, 9))
        .unwrap();
    netlink
        .add_route(&Route {
            table: 1000,
            ..Route::on_link(Prefix::DEFAULT_V4, marked, 9)
        })
        .unwrap();
    let rule = Rule {
        mark: Some(0x4c50),
        mask: Some(0xffff),
        to: Some(prefix("203.0.113.0/24")),
        ..Rule::to_table(Family::V4, 500, 1000)
    };
    netlink.add_rule(&rule).unwrap();
    assert!(netlink.rules(Family::V4).unwrap().contains(&rule));
    let interface_for = |netlink: &mut Netlink, mark| {
        netlink
            .route_to(
                ip("203.0.113.9"),
                &RouteQuery {
                    mark,
                    ..RouteQuery::default()
                },
            )
            .unwrap()
            .interface
    };
    assert_eq!(interface_for(&mut netlink, None), Some(plain));
    assert_eq!(interface_for(&mut netlink, Some(0x4c50)), Some(marked));
    netlink.delete_rule(&rule).unwrap();
    assert!(netlink.delete_rule(&rule).unwrap_err().is_missing());
    let defaults = netlink.rules(Family::V6).unwrap();
    assert!(
        defaults
            .iter()
            .any(|rule| rule.action == RuleAction::Table(254))
    );
}

#[test]
fn the_monitor_tells_of_links_addresses_and_routes() {
    if !in_own_namespace() {
        return;
    }
    let mut monitor = Monitor::open().unwrap();
    let mut netlink = Netlink::open().unwrap();
    let device = tap("t0");
    let interface = up(&mut netlink, "t0");
    netlink
        .add_address(&NewAddress {
            interface,
            prefix: prefix("192.168.7.3/24"),
            on_link_metric: None,
        })
        .unwrap();
    netlink
        .add_route(&Route::on_link(prefix("10.0.0.0/8"), interface, 1))
        .unwrap();
    drop(device);
    let mut changes = Vec::new();
    let deadline = deadline();
    while !changes.contains(&Change::LinkGone { index: interface }) {
        monitor.read(|change| changes.push(change)).unwrap();
        assert!(!passed(deadline), "{changes:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(changes.contains(&Change::Addresses));
    assert!(changes.contains(&Change::Routes));
    assert!(changes.iter().any(
        |change| matches!(change, Change::Link(link) if link.index == interface && link.is_up)
    ));
}

#[test]
fn a_switch_of_an_interface_is_read_and_set() {
    if !in_own_namespace() {
        return;
    }
    let _tap = tap("t0");
    sysctl::write(Family::V6, "t0", "disable_ipv6", "1").unwrap();
    assert_eq!(sysctl::read(Family::V6, "t0", "disable_ipv6").unwrap(), "1");
    assert!(sysctl::read(Family::V6, "../all", "disable_ipv6").is_err());
}

#[expect(clippy::disallowed_methods, reason = "the test waits for the kernel")]
fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

#[expect(clippy::disallowed_methods, reason = "the test waits for the kernel")]
fn passed(deadline: Instant) -> bool {
    Instant::now() > deadline
}
