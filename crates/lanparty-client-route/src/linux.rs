//! The routing tables of Linux, by netlink.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use lanparty_os::LinuxMachine;
use lanparty_os::journal::{ChangeId, Journal, JournalError, Object, Undo};
use lanparty_os::netlink::{
    Change, Family, MAIN_TABLE, Monitor, Netlink, NetlinkError, NewAddress, Prefix, ROUTE_PROTOCOL,
    Route, RouteKind, RouteQuery, RouteScope,
};
use lanparty_os::sysctl;

use crate::guard::{RouteError, Table};
use crate::plan::{Entry, Hop, HostRoute, Lookup, Snapshot, Step, TO_THE_TAP};

/// Below what NetworkManager gives to cables (100) and Wi-Fi (600): where a
/// party LAN and another network claim the same addresses, the party wins.
const TAP_METRIC: u32 = 50;

/// `RT_TABLE_LOCAL`: this machine's own addresses.
const LOCAL_TABLE: u32 = 255;

/// The tables of the network namespace in which it was opened.
#[derive(Debug)]
pub struct SystemTable {
    netlink: Netlink,
    monitor: Monitor,
    journal: Journal,
    machine: LinuxMachine,
    /// The pins that are in the journal.
    pins: Vec<(HostRoute, ChangeId)>,
}

impl SystemTable {
    /// Pins are written to `journal` before they are made.
    ///
    /// # Errors
    /// When the kernel has no routing netlink or forbids it.
    pub fn open(journal: Journal) -> Result<Self, RouteError> {
        Ok(Self {
            netlink: Netlink::open()?,
            monitor: Monitor::open()?,
            journal,
            machine: LinuxMachine::open()?,
            pins: Vec::new(),
        })
    }

    /// Readable when something has changed.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.monitor.as_fd()
    }

    fn add_pin(&mut self, route: &HostRoute) -> Result<(), RouteError> {
        let system_route = pin(route);
        // A pin that somebody removed is still in the journal.
        let recorded = self.pins.iter().find(|(pinned, _)| pinned == route);
        let id = match recorded {
            Some((_, id)) => *id,
            None => self.journal.plan(Undo::Remove {
                object: Object::Route(system_route.clone()),
            })?,
        };
        self.pins.retain(|(pinned, _)| pinned != route);
        if let Err(error) = self.netlink.add_route(&system_route) {
            // Our protocol number keeps this from removing anybody else's.
            self.journal.undo(id, &mut self.machine)?;
            return Err(error.into());
        }
        self.pins.push((*route, id));
        Ok(())
    }

    fn remove_pin(&mut self, route: &HostRoute) -> Result<(), RouteError> {
        let Some(at) = self.pins.iter().position(|(pinned, _)| pinned == route) else {
            return Ok(());
        };
        let (_, id) = self.pins.swap_remove(at);
        let report = self.journal.undo(id, &mut self.machine)?;
        if !report.is_clean() {
            tracing::warn!("{report}");
        }
        Ok(())
    }

    /// Drains the news; true where they can concern the path to the relay.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn has_changed(&mut self) -> Result<bool, RouteError> {
        let mut changed = false;
        self.monitor
            .read(|change| {
                changed |= match change {
                    Change::Link(_)
                    | Change::LinkGone { .. }
                    | Change::Addresses
                    | Change::Routes
                    | Change::Missed => true,
                };
            })
            .map_err(|source| RouteError::System(Box::new(source)))?;
        Ok(changed)
    }
}

impl Table for SystemTable {
    fn snapshot(&mut self, relay: IpAddr) -> Result<Snapshot, RouteError> {
        let mut routes = self.netlink.routes(Family::V4)?;
        routes.extend(self.netlink.routes(Family::V6)?);
        let addresses = self.netlink.addresses()?;
        let links = self.netlink.links()?;
        Ok(Snapshot {
            routes: routes.iter().filter_map(entry).collect(),
            addresses: addresses
                .into_iter()
                .map(|address| (address.interface, address.prefix))
                .collect(),
            usable: links
                .into_iter()
                .filter(|link| link.is_up && link.has_carrier)
                .map(|link| link.index)
                .collect(),
            to_relay: self
                .netlink
                .route_to(relay, &RouteQuery::default())
                .ok()
                .as_ref()
                .and_then(lookup),
        })
    }

    fn apply(&mut self, step: &Step) -> Result<(), RouteError> {
        match step {
            Step::AddPin(route) => self.add_pin(route),
            Step::RemovePin(route) => self.remove_pin(route),
            Step::RemoveFromTap(entry) => {
                let route = Route {
                    gateway: entry.hop.gateway,
                    source: entry.hop.source,
                    ..Route::on_link(entry.destination, entry.hop.interface, entry.metric)
                };
                // Protocol 0 matches whoever set it.
                removed(self.netlink.delete_route(&Route {
                    protocol: 0,
                    scope: scope(entry.hop.gateway),
                    ..route
                }))
            }
        }
    }
}

/// The TAP's own part: its address, what leads to it, and what it must not
/// accept. All of it dies with the TAP, so none of it needs the journal.
#[derive(Debug)]
pub struct TapSide {
    netlink: Netlink,
    index: u32,
    address: Option<Prefix>,
}

impl TapSide {
    /// Closes the TAP to router advertisements, redirects and forwarding, and
    /// keeps the machine's other addresses from being announced on it.
    ///
    /// # Errors
    /// When a switch cannot be set.
    pub fn fence(name: &str, index: u32) -> Result<Self, RouteError> {
        let switches = [
            (Family::V4, "accept_redirects", "0"),
            (Family::V4, "send_redirects", "0"),
            // Nobody at the party reaches the player's home through this machine,
            // even where it is a router (containers make it one).
            (Family::V4, "forwarding", "0"),
            (Family::V4, "accept_source_route", "0"),
            (Family::V4, "proxy_arp", "0"),
            (Family::V6, "forwarding", "0"),
            // Answer ARP only for the TAP's own address, and ask only with it.
            (Family::V4, "arp_ignore", "1"),
            (Family::V4, "arp_announce", "2"),
            (Family::V6, "accept_ra", "0"),
            (Family::V6, "autoconf", "0"),
            (Family::V6, "router_solicitations", "0"),
            (Family::V6, "accept_redirects", "0"),
        ];
        for (family, switch, value) in switches {
            match sysctl::write(family, name, switch, value) {
                Ok(()) => {}
                // A kernel without IPv6 has nothing to close.
                Err(error)
                    if family == Family::V6 && error.kind() == std::io::ErrorKind::NotFound => {}
                // Containers may see /proc/sys read-only; what is right already
                // needs no write.
                Err(_) if sysctl::read(family, name, switch).is_ok_and(|now| now == value) => {}
                Err(source) => {
                    return Err(RouteError::Switch {
                        switch,
                        name: name.to_owned(),
                        source,
                    });
                }
            }
        }
        Ok(Self {
            netlink: Netlink::open()?,
            index,
            address: None,
        })
    }

    #[must_use]
    pub const fn address(&self) -> Option<Prefix> {
        self.address
    }

    /// Gives the TAP one address and its on-link prefix, in place of the one
    /// before, and leads limited broadcasts and multicasts to it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_address(&mut self, prefix: Prefix) -> Result<(), RouteError> {
        self.netlink.replace_address(&NewAddress {
            interface: self.index,
            prefix,
            on_link_metric: Some(TAP_METRIC),
        })?;
        // Only after the new one is there: the kernel drops all routes of an
        // interface with its last address.
        if let Some(old) = self.address.replace(prefix).filter(|old| *old != prefix) {
            removed(self.netlink.delete_address(self.index, old))?;
        }
        for destination in TO_THE_TAP {
            let route = Route::on_link(destination, self.index, TAP_METRIC);
            self.netlink.replace_route(&route)?;
        }
        Ok(())
    }

    /// # Errors
    /// When the kernel refuses.
    pub fn clear_address(&mut self) -> Result<(), RouteError> {
        let Some(old) = self.address.take() else {
            return Ok(());
        };
        removed(self.netlink.delete_address(self.index, old))
    }
}

fn pin(route: &HostRoute) -> Route {
    let interface = route.hop.interface;
    Route {
        gateway: route.hop.gateway,
        source: route.hop.source,
        scope: scope(route.hop.gateway),
        ..Route::on_link(Prefix::host(route.to), interface, 0)
    }
}

const fn scope(gateway: Option<IpAddr>) -> RouteScope {
    if gateway.is_some() {
        RouteScope::Universe
    } else {
        RouteScope::Link
    }
}

fn removed(result: Result<(), NetlinkError>) -> Result<(), RouteError> {
    match result {
        Err(error) if !error.is_missing() => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn entry(route: &Route) -> Option<Entry> {
    if route.table != MAIN_TABLE || route.kind != RouteKind::Unicast {
        return None;
    }
    Some(Entry {
        destination: route.destination,
        hop: hop(route)?,
        metric: route.metric,
        ours: route.protocol == ROUTE_PROTOCOL,
    })
}

fn lookup(route: &Route) -> Option<Lookup> {
    Some(Lookup {
        hop: Hop {
            // The kernel names the address it would choose, not one that a
            // route asks for.
            source: None,
            ..hop(route)?
        },
        policy_table: Some(route.table).filter(|table| ![MAIN_TABLE, LOCAL_TABLE].contains(table)),
        local: route.kind == RouteKind::Local,
    })
}

fn hop(route: &Route) -> Option<Hop> {
    Some(Hop {
        interface: route.interface?,
        gateway: route.gateway,
        source: route.source,
    })
}

impl From<NetlinkError> for RouteError {
    fn from(error: NetlinkError) -> Self {
        if error.is_permission_denied() {
            return Self::NotPermitted;
        }
        Self::System(Box::new(error))
    }
}

impl From<JournalError> for RouteError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}
