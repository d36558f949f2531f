//! Carries plans out, keeps watching and leaves nothing behind.

use std::net::IpAddr;

use lanparty_os::Prefix;

use crate::plan::{self, Captured, Goal, Hop, HostRoute, Overlap, Pin, Snapshot, Step};

/// A machine's routing tables; the backend of a [`Guard`].
pub trait Table {
    /// # Errors
    /// When the system cannot be asked.
    fn snapshot(&mut self, relay: IpAddr) -> Result<Snapshot, RouteError>;

    /// # Errors
    /// When the system refuses. A step that is done already is not an error.
    fn apply(&mut self, step: &Step) -> Result<(), RouteError>;
}

#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    #[cfg_attr(
        not(windows),
        error(
            "changing routes needs the capability CAP_NET_ADMIN; run with sudo, or see \"Running without root\" in docs/operating.md"
        )
    )]
    #[cfg_attr(
        windows,
        error("changing routes needs an administrator; run this from an elevated prompt")
    )]
    NotPermitted,
    #[error("cannot keep the path to the relay outside the party's LAN")]
    System(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot set {switch} of the network adapter {name}")]
    Switch {
        switch: &'static str,
        name: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot record how to undo a change, so it is not made")]
    Journal(#[source] lanparty_os::journal::JournalError),
    #[error(transparent)]
    Captured(#[from] Captured),
    #[error(
        "the network adapter {name} has no IPv4; tick \"Internet Protocol Version 4\" in its properties"
    )]
    NoIp { name: String },
    #[error("this operating system has no supported route guard")]
    Unsupported,
}

/// What a look at the tables brought to light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteEvent {
    /// The path to the relay is now held in this way.
    Pinned(Pin),
    /// A default route, or half of one, was taken off the TAP.
    RemovedFromTap { destination: Prefix, hop: Hop },
}

/// Holds the path to one relay outside one TAP until dropped.
#[derive(Debug)]
pub struct Guard<T: Table> {
    table: T,
    goal: Goal,
    pin: Pin,
    /// The host route that we added and have to remove.
    held: Option<HostRoute>,
}

impl<T: Table> Guard<T> {
    /// Pins the path and verifies it. Call it before the TAP has a cable, so
    /// that the path cannot lead through it yet.
    ///
    /// # Errors
    /// When the tables cannot be read or changed, or the path leads into the TAP.
    pub fn establish(table: T, tap: u32, relay: IpAddr) -> Result<Self, RouteError> {
        let goal = Goal { relay, tap };
        let mut guard = Self {
            table,
            goal,
            pin: Pin::NoPath,
            held: None,
        };
        guard.check()?;
        Ok(guard)
    }

    /// The relay has moved to another address.
    ///
    /// # Errors
    /// As [`Self::establish`].
    pub fn set_relay(&mut self, relay: IpAddr) -> Result<Vec<RouteEvent>, RouteError> {
        self.goal.relay = relay;
        self.check()
    }

    /// Looks at the tables and puts right what is not; call it whenever they
    /// have changed and after the TAP was activated.
    ///
    /// # Errors
    /// As [`Self::establish`].
    pub fn check(&mut self) -> Result<Vec<RouteEvent>, RouteError> {
        let snapshot = self.table.snapshot(self.goal.relay)?;
        let plan = plan::plan(&snapshot, &self.goal, self.held);
        let mut events = Vec::new();
        for step in &plan.steps {
            self.table.apply(step)?;
            match step {
                Step::AddPin(route) => self.held = Some(*route),
                Step::RemovePin(_) => self.held = None,
                Step::RemoveFromTap(entry) => events.push(RouteEvent::RemovedFromTap {
                    destination: entry.destination,
                    hop: entry.hop,
                }),
            }
        }
        if plan.pin != self.pin {
            self.pin = plan.pin;
            events.push(RouteEvent::Pinned(plan.pin));
        }
        let verified = if plan.steps.is_empty() {
            snapshot
        } else {
            self.table.snapshot(self.goal.relay)?
        };
        plan::verify(&verified, &self.goal)?;
        Ok(events)
    }

    #[must_use]
    pub const fn pin(&self) -> Pin {
        self.pin
    }

    #[must_use]
    pub const fn relay(&self) -> IpAddr {
        self.goal.relay
    }

    /// How a LAN would collide with the networks this machine is in.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub fn overlap(&mut self, lan: Prefix) -> Result<Option<Overlap>, RouteError> {
        let snapshot = self.table.snapshot(self.goal.relay)?;
        Ok(plan::overlap(&snapshot, &self.goal, lan))
    }

    /// The routers that this machine uses outside the TAP.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub fn home_routers(&mut self) -> Result<Vec<IpAddr>, RouteError> {
        let snapshot = self.table.snapshot(self.goal.relay)?;
        let mut routers: Vec<IpAddr> = snapshot
            .routes
            .iter()
            .filter(|entry| entry.hop.interface != self.goal.tap && !entry.ours)
            .filter_map(|entry| entry.hop.gateway)
            .collect();
        routers.sort_unstable();
        routers.dedup();
        Ok(routers)
    }

    pub const fn table(&mut self) -> &mut T {
        &mut self.table
    }
}

impl<T: Table> Drop for Guard<T> {
    fn drop(&mut self) {
        let Some(route) = self.held else { return };
        if let Err(error) = self.table.apply(&Step::RemovePin(route)) {
            // The journal still has it, so the next start or `cleanup` retries.
            tracing::warn!(%error, "cannot remove the route to the relay");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::fake::FakeTable;
    use crate::plan::Entry;

    const CABLE: u32 = 2;
    const TAP: u32 = 9;

    #[test]
    fn the_pin_is_gone_when_the_guard_is() {
        let (table, relay) = home();
        let before = table.borrow().routes.clone();
        let guard = Guard::establish(table.clone(), TAP, relay).unwrap();
        assert!(matches!(guard.pin(), Pin::Own(_)));
        assert_eq!(table.borrow().routes.len(), before.len() + 1);
        drop(guard);
        assert_eq!(table.borrow().routes, before);
    }

    #[test]
    fn a_lease_that_covers_the_relay_cannot_take_its_path() {
        let (table, relay) = home();
        let mut guard = Guard::establish(table.clone(), TAP, relay).unwrap();
        table.borrow_mut().add("203.0.113.0/24", TAP, None);
        assert_eq!(guard.check().unwrap(), []);
    }

    #[test]
    fn a_removed_pin_is_put_back() {
        let (table, relay) = home();
        let mut guard = Guard::establish(table.clone(), TAP, relay).unwrap();
        table.borrow_mut().routes.retain(|entry| !entry.ours);
        guard.check().unwrap();
        assert!(table.borrow().routes.iter().any(|entry| entry.ours));
    }

    #[test]
    fn a_path_through_the_tap_is_an_error() {
        let (table, relay) = home();
        let mut guard = Guard::establish(table.clone(), TAP, relay).unwrap();
        table.borrow_mut().routes.clear();
        table.borrow_mut().add("203.0.113.0/24", TAP, None);
        assert!(matches!(guard.check(), Err(RouteError::Captured(_))));
    }

    #[test]
    fn a_default_route_on_the_tap_is_removed_and_reported() {
        let (table, relay) = home();
        let mut guard = Guard::establish(table.clone(), TAP, relay).unwrap();
        table.borrow_mut().add("0.0.0.0/0", TAP, Some("10.9.0.1"));
        let events = guard.check().unwrap();
        assert!(matches!(events[..], [RouteEvent::RemovedFromTap { .. }]));
        let on_tap = |entry: &Entry| entry.hop.interface == TAP;
        assert!(!table.borrow().routes.iter().any(on_tap));
    }

    #[test]
    fn the_pin_moves_with_the_relay() {
        let (table, relay) = home();
        let mut guard = Guard::establish(table.clone(), TAP, relay).unwrap();
        let moved = "198.51.100.7".parse().unwrap();
        let events = guard.set_relay(moved).unwrap();
        assert!(matches!(events[..], [RouteEvent::Pinned(Pin::Own(route))] if route.to == moved));
        let table = table.borrow();
        assert_eq!(table.routes.iter().filter(|entry| entry.ours).count(), 1);
    }

    #[test]
    fn the_home_routers_are_known() {
        let (table, relay) = home();
        let mut guard = Guard::establish(table, TAP, relay).unwrap();
        let router: IpAddr = "192.168.1.1".parse().unwrap();
        assert_eq!(guard.home_routers().unwrap(), [router]);
    }

    fn home() -> (Rc<RefCell<FakeTable>>, IpAddr) {
        let mut table = FakeTable {
            usable: vec![CABLE, TAP],
            ..FakeTable::default()
        };
        table.add("0.0.0.0/0", CABLE, Some("192.168.1.1"));
        table.add("192.168.1.0/24", CABLE, None);
        let relay = "203.0.113.5".parse().unwrap();
        (Rc::new(RefCell::new(table)), relay)
    }
}
