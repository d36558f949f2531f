//! The guard on the IP Helper, in the rig: an adapter of the stand-in driver
//! and a way to the rest of the world. Elsewhere there is nothing to test.
#![cfg(windows)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests, outside of test functions"
)]

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lanparty_client_route::plan::Pin;
use lanparty_client_route::{Guard, SystemTable, TapSide, source_address};
use lanparty_os::journal::{BootId, Journal};
use lanparty_os::windows::changes::SharedJournal;
use lanparty_os::windows::guid::Guid;
use lanparty_os::windows::ip::{self, IpInterface};
use lanparty_os::windows::rows::Route;
use lanparty_os::windows::{WindowsMachine, class};
use lanparty_os::{Family, Prefix};
use tempfile::TempDir;

const RELAY: &str = "203.0.113.5";

/// One test at a time has the tables.
static TABLES: Mutex<()> = Mutex::new(());

struct Rig {
    adapter: Guid,
    luid: u64,
    tap: u32,
    state: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Rig {
    /// None where there is no adapter or no way out.
    fn find() -> Option<Self> {
        let alone = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
        let adapters = class::adapters().unwrap();
        let guid = |id: &String| id.parse::<Guid>().ok();
        let adapter = adapters
            .iter()
            .filter(|adapter| adapter.component_id.as_deref() == Some("tap0901"))
            .find_map(|adapter| adapter.instance_id.as_ref().and_then(guid));
        let interface = adapter.and_then(|guid| Some((guid, ip::interface_of(guid)?)));
        let way = ip::best_route(relay()).ok().flatten();
        let (Some((adapter, (luid, tap))), Some(_)) = (interface, way) else {
            eprintln!("SKIPPED: no adapter of the rig's, or no way out of it");
            return None;
        };
        Some(Self {
            adapter,
            luid,
            tap,
            state: tempfile::tempdir().unwrap(),
            _alone: alone,
        })
    }

    fn journal(&self) -> SharedJournal {
        let boot = BootId::current().unwrap();
        Journal::open(self.state.path(), boot).unwrap().into()
    }

    /// What `cleanup` does after a crash; the journal is copied, because this
    /// process still has it.
    fn cleanup(&self) -> String {
        let copy = tempfile::tempdir().unwrap();
        let to = copy.path().join("journal");
        lanparty_os::private_file::write(
            &to,
            &std::fs::read(self.state.path().join("journal")).unwrap(),
        )
        .unwrap();
        let mut journal = Journal::open(copy.path(), BootId::current().unwrap()).unwrap();
        let report = journal.undo_all(&mut WindowsMachine).unwrap();
        assert!(report.is_clean() && journal.is_empty(), "{report}");
        report.to_string()
    }

    fn interface(&self) -> IpInterface {
        IpInterface::read(self.luid, Family::V4).unwrap().unwrap()
    }
}

fn relay() -> IpAddr {
    RELAY.parse().unwrap()
}

fn pins() -> Vec<Route> {
    let mut routes = ip::routes().unwrap();
    routes.retain(|route| route.destination == Prefix::host(relay()));
    routes
}

#[test]
fn the_pin_is_made_beside_the_adapter_and_removed() {
    let Some(rig) = Rig::find() else { return };
    let table = SystemTable::open(rig.journal()).unwrap();
    let mut guard = Guard::establish(table, rig.tap, relay()).unwrap();
    let Pin::Own(pin) = guard.pin() else {
        panic!("{:?}", guard.pin());
    };
    assert_ne!(pin.hop.interface, rig.tap);
    let found = pins();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].next_hop, pin.hop.gateway);
    assert_eq!(guard.check().unwrap(), []);

    // Somebody removes it.
    ip::delete_route(&found[0]).unwrap();
    guard.check().unwrap();
    assert_eq!(pins().len(), 1);

    drop(guard);
    assert_eq!(pins(), []);
}

#[test]
fn a_killed_programs_pin_is_removed_by_cleanup() {
    let Some(rig) = Rig::find() else { return };
    let table = SystemTable::open(rig.journal()).unwrap();
    std::mem::forget(Guard::establish(table, rig.tap, relay()).unwrap());
    assert_eq!(pins().len(), 1);
    let report = rig.cleanup();
    assert!(report.contains(RELAY), "{report}");
    assert_eq!(pins(), []);
}

#[test]
fn the_same_route_of_somebody_else_is_borrowed_and_stays() {
    let Some(rig) = Rig::find() else { return };
    let (way, _) = ip::best_route(relay()).unwrap().unwrap();
    let theirs = Route {
        destination: Prefix::host(relay()),
        metric: 0,
        ..way
    };
    ip::add_route(&theirs).unwrap();
    let table = SystemTable::open(rig.journal()).unwrap();
    let guard = Guard::establish(table, rig.tap, relay()).unwrap();
    assert!(matches!(guard.pin(), Pin::Borrowed(_)), "{:?}", guard.pin());
    drop(guard);
    assert_eq!(pins().len(), 1);
    assert!(ip::delete_route(&theirs).unwrap());
    assert!(!ip::delete_route(&theirs).unwrap());
}

#[test]
fn a_default_route_on_the_adapter_is_taken_off_it() {
    let Some(rig) = Rig::find() else { return };
    let table = SystemTable::open(rig.journal()).unwrap();
    let mut guard = Guard::establish(table, rig.tap, relay()).unwrap();
    let wide = Route {
        destination: "128.0.0.0/1".parse().unwrap(),
        next_hop: None,
        interface: rig.tap,
        luid: rig.luid,
        metric: 5,
    };
    ip::add_route(&wide).unwrap();
    assert!(guard.table().has_changed().unwrap());
    assert_eq!(guard.check().unwrap().len(), 1);
    assert!(!ip::delete_route(&wide).unwrap(), "it is still there");
}

#[test]
fn the_adapter_is_fenced_and_afterwards_as_before_even_when_killed() {
    let Some(rig) = Rig::find() else { return };
    let before = rig.interface();
    let fence = || TapSide::fence(rig.adapter, "lanparty0", rig.tap, &rig.journal()).unwrap();
    let check_fenced = || {
        assert_eq!(rig.interface().metric(), Some(1));
        assert!(rig.interface().ignores_default_routes());
    };
    let check_as_before = || {
        assert_eq!(rig.interface().metric(), before.metric());
        assert_eq!(
            rig.interface().ignores_default_routes(),
            before.ignores_default_routes()
        );
    };
    let side = fence();
    check_fenced();
    drop(side);
    check_as_before();

    std::mem::forget(fence());
    check_fenced();
    rig.cleanup();
    check_as_before();
}

#[test]
fn the_adapter_has_its_address_as_long_as_it_is_wanted() {
    let Some(rig) = Rig::find() else { return };
    let mut side = TapSide::fence(rig.adapter, "lanparty0", rig.tap, &rig.journal()).unwrap();
    let has = |side: &TapSide, text: &str| {
        let prefix: Prefix = text.parse().unwrap();
        let addresses = side.addresses().unwrap();
        addresses.iter().any(|address| address.prefix == prefix)
    };
    side.set_address("10.73.42.7/24".parse().unwrap()).unwrap();
    assert!(has(&side, "10.73.42.7/24"));
    side.set_address("10.73.43.8/24".parse().unwrap()).unwrap();
    assert!(has(&side, "10.73.43.8/24") && !has(&side, "10.73.42.7/24"));
    side.clear_address();
    assert!(!has(&side, "10.73.43.8/24"));
}

#[test]
fn the_source_address_is_one_outside_the_adapter() {
    let Some(rig) = Rig::find() else { return };
    let source = source_address(relay(), Some(rig.tap)).unwrap().unwrap();
    let (_, system) = ip::best_route(relay()).unwrap().unwrap();
    assert_eq!(Some(source), system);
}

#[test]
fn a_machine_without_firewall_and_network_list_says_so_and_does_nothing_worse() {
    let Some(rig) = Rig::find() else { return };
    let mut side = TapSide::fence(rig.adapter, "lanparty0", rig.tap, &rig.journal()).unwrap();
    for _ in 0..3 {
        eprintln!("category: {:?}", side.make_private());
    }
    eprintln!("firewall: {:?}", side.open_firewall());
}
