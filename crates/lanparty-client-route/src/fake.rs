//! A routing table in memory, for tests.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

use lanparty_os::Prefix;

use crate::guard::{RouteError, Table};
use crate::plan::{Entry, Hop, Lookup, Snapshot, Step};

/// Decides lookups as a kernel would: longest prefix, then lowest metric.
#[derive(Debug, Default)]
pub struct FakeTable {
    pub routes: Vec<Entry>,
    pub addresses: Vec<(u32, Prefix)>,
    pub usable: Vec<u32>,
}

impl FakeTable {
    /// Adds a route that is not ours.
    ///
    /// # Panics
    /// When a text is no address.
    #[expect(clippy::expect_used, reason = "for tests, with literals")]
    pub fn add(&mut self, destination: &str, interface: u32, gateway: Option<&str>) {
        self.routes.push(Entry {
            destination: destination.parse().expect("a prefix"),
            hop: Hop {
                interface,
                gateway: gateway.map(|gateway| gateway.parse().expect("an address")),
                source: None,
            },
            metric: 0,
            ours: false,
        });
    }

    fn current(&self) -> Snapshot {
        Snapshot {
            routes: self.routes.clone(),
            addresses: self.addresses.clone(),
            usable: self.usable.clone(),
            to_relay: None,
        }
    }
}

impl Table for FakeTable {
    fn snapshot(&mut self, relay: IpAddr) -> Result<Snapshot, RouteError> {
        let mut snapshot = self.current();
        snapshot.to_relay = snapshot.route_to(relay).map(|best| Lookup {
            hop: best.hop,
            policy_table: None,
            local: self.addresses.iter().any(|(_, own)| own.address == relay),
        });
        Ok(snapshot)
    }

    fn apply(&mut self, step: &Step) -> Result<(), RouteError> {
        match step {
            Step::AddPin(route) => self.routes.push(Entry {
                destination: Prefix::host(route.to),
                hop: route.hop,
                metric: 0,
                ours: true,
            }),
            Step::RemovePin(route) => self.routes.retain(|entry| {
                !(entry.ours
                    && entry.hop == route.hop
                    && entry.destination == Prefix::host(route.to))
            }),
            Step::RemoveFromTap(unwanted) => self.routes.retain(|entry| entry != unwanted),
        }
        Ok(())
    }
}

/// Lets a test look at the table that a guard holds.
impl Table for Rc<RefCell<FakeTable>> {
    fn snapshot(&mut self, relay: IpAddr) -> Result<Snapshot, RouteError> {
        self.borrow_mut().snapshot(relay)
    }

    fn apply(&mut self, step: &Step) -> Result<(), RouteError> {
        self.borrow_mut().apply(step)
    }
}
