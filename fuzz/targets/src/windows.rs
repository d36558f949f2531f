//! What Windows hands over: strings of the registry, descriptors, rows of
//! tables, answers of a driver.

use std::net::IpAddr;

use lanparty_client_route::plan::{self, Entry, Goal, Hop, Pin, Snapshot, Step};
use lanparty_client_tap::windows::{control, discovery};
use lanparty_os::Prefix;
use lanparty_os::windows::descriptor::{
    DIRECTORY_CONTENT, Descriptor, FILE_CONTENT, Sid, private_to,
};
use lanparty_os::windows::guid::Guid;
use lanparty_os::windows::rows::{AdapterValues, RawAddress, RawRoute, RawUnicast};
use lanparty_os::windows::wide;

use crate::{take_bytes, take_u16};

/// A SID and a descriptor: whatever is not understood is not private, and what
/// we make for a user is.
pub fn descriptor(mut data: &[u8]) {
    let sid = Sid::parse(take_bytes(&mut data));
    let found = Descriptor::parse(data);
    let Some(user) = sid else { return };
    let own = Descriptor::parse(&private_to(&user)).expect("what we make ourselves");
    assert!(own.is_private_to(&user, FILE_CONTENT));
    assert!(!own.is_private_to(&Sid::parse(&STRANGER).expect("a SID"), FILE_CONTENT));
    if let Some(found) = found {
        let file = found.is_private_to(&user, FILE_CONTENT);
        let directory = found.is_private_to(&user, DIRECTORY_CONTENT);
        // What nobody else may read or write, nobody else may write.
        assert!(!file || directory);
        assert!(!directory || found.is_owned_by(&user));
    }
}

/// S-1-5-21: nobody in particular.
const STRANGER: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0];

/// The adapters of a machine, and which of them is taken.
pub fn adapters(mut data: &[u8]) {
    let wanted = wide::text_of_bytes(take_bytes(&mut data)).parse::<Guid>();
    let mut adapters = Vec::new();
    while !data.is_empty() && adapters.len() < 32 {
        let present = take_u16(&mut data);
        let mut value = |bit: u16| {
            let text = wide::text_of_bytes(take_bytes(&mut data));
            (present & (1 << bit) != 0).then_some(text)
        };
        adapters.push(AdapterValues {
            component_id: value(0),
            instance_id: value(1),
            driver_version: value(2),
            connection: value(3),
            device: value(4),
        });
    }
    let found = discovery::of_driver(&adapters);
    for adapter in &found {
        assert!(!adapter.name.is_empty());
        assert_eq!(adapter.guid.to_string().parse(), Ok(adapter.guid));
        let _line = adapter.to_string();
        let _path = control::device_path(adapter.guid);
    }
    match discovery::choose(&found, wanted.ok(), "lanparty0") {
        Ok(Some((chosen, _))) => {
            assert!(found.contains(&chosen));
            assert!(wanted.is_err() || wanted == Ok(chosen.guid));
        }
        Ok(None) => assert!(found.is_empty() && wanted.is_err()),
        Err(error) => assert!(wanted.is_ok(), "{error}"),
    }
}

/// The driver's answers to control codes.
pub fn driver(data: &[u8]) {
    let version = control::version(data);
    assert_eq!(version.is_some(), data.len() >= 8);
    if let Some(version) = version {
        let text = version.to_string();
        assert_eq!(control::Version::parse(&text), Some(version));
    }
    let _mtu = control::mtu(data);
    if let Some(mac) = control::mac(data) {
        assert_eq!(control::network_address(mac).len(), 12);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _version = control::Version::parse(text);
    }
}

/// Tables of routes and addresses: the path to the relay never leads into the
/// TAP, and what was done once need not be done again.
pub fn tables(mut data: &[u8]) {
    const TAP: u32 = 1;
    let relay = address(&mut data);
    let mut snapshot = Snapshot {
        usable: vec![TAP, 2, 3],
        ..Snapshot::default()
    };
    while !data.is_empty() && snapshot.routes.len() < 64 {
        let kind = take_u16(&mut data);
        let row = RawRoute {
            destination: address(&mut data),
            prefix_length: take_u16(&mut data).to_be_bytes()[1],
            next_hop: address(&mut data),
            interface: u32::from(kind % 4),
            luid: 0,
            metric: u32::from(take_u16(&mut data)),
        };
        if let Some(route) = row.check() {
            assert!(route.destination.length <= Prefix::host(route.destination.address).length);
            snapshot.routes.push(Entry {
                destination: route.destination.network(),
                hop: Hop {
                    interface: route.interface,
                    gateway: route.next_hop,
                    source: None,
                },
                metric: route.metric,
                ours: false,
            });
        }
        let row = RawUnicast {
            address: row.next_hop,
            prefix_length: row.prefix_length,
            interface: row.interface,
            origin: i32::from(kind >> 8),
            dad_state: i32::from(kind >> 4 & 7),
        };
        if let Some(found) = row.check() {
            snapshot.addresses.push((found.interface, found.prefix));
        }
    }
    let Some(relay) = relay.ip() else { return };
    settle(snapshot, relay, TAP);
}

fn settle(mut snapshot: Snapshot, relay: IpAddr, tap: u32) {
    let goal = Goal { relay, tap };
    let first = plan::plan(&snapshot, &goal, None);
    let mut held = None;
    for step in &first.steps {
        match step {
            Step::AddPin(route) => {
                assert_ne!(route.hop.interface, tap);
                held = Some(*route);
                snapshot.routes.push(Entry {
                    destination: Prefix::host(route.to),
                    hop: route.hop,
                    metric: 0,
                    ours: true,
                });
            }
            Step::RemovePin(_) => panic!("nothing was held"),
            Step::RemoveFromTap(unwanted) => {
                assert_eq!(unwanted.hop.interface, tap);
                snapshot.routes.retain(|entry| entry != unwanted);
            }
        }
    }
    let second = plan::plan(&snapshot, &goal, held);
    assert_eq!(second.steps, []);
    assert_eq!(second.pin, first.pin);
    if let Some(source) = snapshot.source_outside(relay, Some(tap)) {
        assert_eq!(source.is_ipv4(), relay.is_ipv4());
        assert!(
            snapshot
                .addresses
                .iter()
                .any(|(interface, own)| *interface != tap && own.address == source)
        );
    }
    if let Pin::Own(route) | Pin::Borrowed(route) = first.pin {
        assert_eq!(route.to, relay);
    }
}

/// A family and as many bytes as its address has.
fn address(data: &mut &[u8]) -> RawAddress {
    let family = take_u16(data);
    let mut raw = RawAddress {
        family,
        ..RawAddress::default()
    };
    let len = if family == 2 { 4 } else { 16 };
    let (bytes, rest) = data.split_at_checked(len).unwrap_or((data, &[]));
    *data = rest;
    let fill = |to: &mut [u8]| to.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    if family == 2 {
        fill(&mut raw.v4);
    } else {
        fill(&mut raw.v6);
    }
    raw
}
