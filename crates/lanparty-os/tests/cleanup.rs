//! The journal and the real machine, in a network namespace that dies with
//! the test's thread.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use lanparty_os::journal::{BootId, Interface, Journal, Object, Setting, Undo};
use lanparty_os::netlink::{LinkChange, Netlink, NewAddress, Route, Rule};
use lanparty_os::tap::{Tap, TapOptions};
use lanparty_os::{Family, LinuxMachine, sysctl};
use rustix::thread::UnshareFlags;

/// Everything that the changes below could leave behind.
fn snapshot(netlink: &mut Netlink) -> String {
    let links: Vec<_> = netlink
        .links()
        .unwrap()
        .into_iter()
        .map(|link| (link.name, link.mtu))
        .collect();
    let routes = (
        netlink.routes(Family::V4).unwrap(),
        netlink.routes(Family::V6).unwrap(),
    );
    let rules = (
        netlink.rules(Family::V4).unwrap(),
        netlink.rules(Family::V6).unwrap(),
    );
    let addresses = netlink.addresses().unwrap();
    let switch = sysctl::read(Family::V4, "t0", "rp_filter").unwrap();
    format!("{links:#?} {routes:#?} {rules:#?} {addresses:#?} {switch}")
}

fn undos(interface: &Interface) -> Vec<Undo> {
    let remove = |object| Undo::Remove { object };
    vec![
        remove(Object::Route(route(interface.index))),
        remove(Object::Rule(rule())),
        remove(Object::Address {
            interface: interface.clone(),
            prefix: "192.168.7.3/24".parse().unwrap(),
        }),
        Undo::Restore {
            interface: interface.clone(),
            setting: Setting::Mtu,
            old: "1500".to_owned(),
            ours: "1344".to_owned(),
        },
        Undo::Restore {
            interface: interface.clone(),
            setting: Setting::Switch {
                family: Family::V4,
                name: "rp_filter".to_owned(),
            },
            old: sysctl::read(Family::V4, "t0", "rp_filter").unwrap(),
            ours: "2".to_owned(),
        },
    ]
}

fn route(interface: u32) -> Route {
    Route::on_link("203.0.113.9/32".parse().unwrap(), interface, 7)
}

fn rule() -> Rule {
    Rule {
        mark: Some(0x4c50),
        ..Rule::to_table(Family::V4, 500, 1000)
    }
}

fn make_changes(netlink: &mut Netlink, interface: u32) {
    netlink.add_route(&route(interface)).unwrap();
    netlink.add_rule(&rule()).unwrap();
    netlink
        .add_address(&NewAddress {
            interface,
            prefix: "192.168.7.3/24".parse().unwrap(),
            on_link_metric: Some(5),
        })
        .unwrap();
    netlink
        .change_link(
            interface,
            &LinkChange {
                mtu: Some(1344),
                ..LinkChange::default()
            },
        )
        .unwrap();
    sysctl::write(Family::V4, "t0", "rp_filter", "2").unwrap();
}

#[test]
fn the_machine_is_as_before_after_a_crash_and_the_next_start() {
    // SAFETY: a test runs on a thread of its own, and NEWNET changes nothing
    // that other threads share with it.
    if let Err(errno) = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) } {
        eprintln!("skipped: cannot make a network namespace ({errno}); run as root");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut netlink = Netlink::open().unwrap();
    let tap = Tap::create(&TapOptions {
        name: "t0".to_owned(),
        ..TapOptions::default()
    })
    .unwrap();
    let index = netlink.link_by_name("t0").unwrap().unwrap().index;
    netlink
        .change_link(
            index,
            &LinkChange {
                up: Some(true),
                ..LinkChange::default()
            },
        )
        .unwrap();
    // IPv6 would add addresses of its own while we look.
    sysctl::write(Family::V6, "t0", "disable_ipv6", "1").unwrap();
    // Without any address left, an interface loses its routes too.
    netlink
        .add_address(&NewAddress {
            interface: index,
            prefix: "10.0.0.1/8".parse().unwrap(),
            on_link_metric: None,
        })
        .unwrap();
    let before = snapshot(&mut netlink);

    let interface = Interface {
        name: "t0".to_owned(),
        index,
    };
    let mut journal = Journal::open(directory.path(), BootId::current().unwrap()).unwrap();
    for undo in undos(&interface) {
        journal.plan(undo).unwrap();
    }
    make_changes(&mut netlink, index);
    assert_ne!(snapshot(&mut netlink), before);
    drop(journal);

    let mut machine = LinuxMachine::open().unwrap();
    let mut journal = Journal::open(directory.path(), BootId::current().unwrap()).unwrap();
    let report = journal.undo_all(&mut machine).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.undone.len(), 5, "{report}");
    assert_eq!(snapshot(&mut netlink), before);

    // A sweep finds what no record speaks of.
    make_changes(&mut netlink, index);
    let mut report = lanparty_os::journal::Report::default();
    report.sweep(&mut machine);
    assert_eq!(netlink.rules(Family::V4).unwrap().len(), 3, "{report}");
    assert_eq!(report.undone.len(), 2, "{report}");

    // Undoing what went with its interface, or was never made, is fine, and
    // another interface of the same name is not ours.
    for undo in undos(&interface) {
        journal.plan(undo).unwrap();
    }
    drop(tap);
    let _other = Tap::create(&TapOptions {
        name: "t0".to_owned(),
        ..TapOptions::default()
    })
    .unwrap();
    sysctl::write(Family::V4, "t0", "rp_filter", "2").unwrap();
    let report = journal.undo_all(&mut machine).unwrap();
    assert_eq!(report.not_there, 5, "{report}");
    assert_eq!(sysctl::read(Family::V4, "t0", "rp_filter").unwrap(), "2");
}
