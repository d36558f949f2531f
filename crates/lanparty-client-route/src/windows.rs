//! The routing tables of Windows, by the IP Helper.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::windows::io::{AsHandle, BorrowedHandle};
use std::thread;
use std::time::Duration;

use lanparty_os::journal::{ChangeId, Interface, JournalError, Object, Setting, Undo};
use lanparty_os::windows::changes::{ChangeError, Changes, SharedJournal};
use lanparty_os::windows::firewall::Opening;
use lanparty_os::windows::guid::Guid;
use lanparty_os::windows::ip::{self, IpInterface, Monitor};
use lanparty_os::windows::machine::IpValue;
use lanparty_os::windows::network_list;
use lanparty_os::windows::rows::{Route, Unicast};
use lanparty_os::{Family, Prefix};

use crate::guard::{RouteError, Table};
use crate::plan::{Entry, Hop, HostRoute, Lookup, Snapshot, Step};

/// Limited broadcasts and multicasts leave by the interface with the lowest
/// metric and by no other; what Windows chooses by itself is never below 5.
const TAP_METRIC: &str = "1";
/// An adapter that was just restarted gets its IP back within a second or two.
const IP_PATIENCE: Duration = Duration::from_secs(10);
const IP_POLL: Duration = Duration::from_millis(100);

/// The tables of this machine.
#[derive(Debug)]
pub struct SystemTable {
    monitor: Monitor,
    journal: SharedJournal,
    /// The pins that are ours, as the journal has them.
    pins: Vec<(HostRoute, ChangeId)>,
}

impl SystemTable {
    /// Pins are written to `journal` before they are made.
    ///
    /// # Errors
    /// When the system does not tell of changes.
    pub fn open(journal: impl Into<SharedJournal>) -> Result<Self, RouteError> {
        Ok(Self {
            monitor: Monitor::new()?,
            journal: journal.into(),
            pins: Vec::new(),
        })
    }

    /// Drains the news; true where something has changed.
    ///
    /// # Errors
    /// When the news cannot be waited for.
    pub fn has_changed(&mut self) -> Result<bool, RouteError> {
        Ok(self.monitor.take()?)
    }

    fn add_pin(&mut self, pin: &HostRoute) -> Result<(), RouteError> {
        let route = system_route(pin)?;
        // A pin that somebody removed is still in the journal.
        let recorded = self.pins.iter().find(|(pinned, _)| pinned == pin);
        let id = match recorded {
            Some((_, id)) => *id,
            None => self.journal.plan(Undo::Remove {
                object: Object::IpRoute(route),
            })?,
        };
        self.pins.retain(|(pinned, _)| pinned != pin);
        match ip::add_route(&route) {
            Ok(()) => self.pins.push((*pin, id)),
            Err(error) => {
                // The same route of somebody else is as good, and stays his.
                self.journal.forget(id)?;
                if error.kind() != io::ErrorKind::AlreadyExists {
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    fn remove_pin(&mut self, pin: &HostRoute) -> Result<(), RouteError> {
        let Some(at) = self.pins.iter().position(|(pinned, _)| pinned == pin) else {
            return Ok(());
        };
        let (_, id) = self.pins.swap_remove(at);
        Ok(self.journal.undo(id)?)
    }
}

/// Signalled when something has changed; see [`SystemTable::has_changed`].
impl AsHandle for SystemTable {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.monitor.as_handle()
    }
}

impl Table for SystemTable {
    fn snapshot(&mut self, relay: IpAddr) -> Result<Snapshot, RouteError> {
        let is_ours = |route: &Route| {
            self.pins
                .iter()
                .any(|(pin, _)| Prefix::host(pin.to) == route.destination && pin.hop == hop(route))
        };
        take_snapshot(relay, is_ours)
    }

    fn apply(&mut self, step: &Step) -> Result<(), RouteError> {
        match step {
            Step::AddPin(route) => self.add_pin(route),
            Step::RemovePin(route) => self.remove_pin(route),
            Step::RemoveFromTap(entry) => {
                let luid = luid(entry.hop.interface)?;
                ip::delete_route(&Route {
                    destination: entry.destination,
                    next_hop: entry.hop.gateway,
                    interface: entry.hop.interface,
                    luid,
                    metric: entry.metric,
                })?;
                Ok(())
            }
        }
    }
}

/// The address that packets to the relay carry when they take the best way
/// outside the TAP; None where there is no way.
///
/// # Errors
/// When the tables cannot be read.
pub fn source_address(relay: IpAddr, tap: Option<u32>) -> Result<Option<IpAddr>, RouteError> {
    let snapshot = take_snapshot(relay, |_| false)?;
    Ok(snapshot.source_outside(relay, tap))
}

fn take_snapshot(relay: IpAddr, is_ours: impl Fn(&Route) -> bool) -> Result<Snapshot, RouteError> {
    let mut metrics = BTreeMap::new();
    // What counts is the sum of both metrics.
    let mut metric = |route: &Route| {
        let family = route.destination.family();
        let of_interface = metrics.entry((route.luid, family)).or_insert_with(|| {
            let interface = IpInterface::read(route.luid, family).ok().flatten();
            interface.map_or(0, |interface| interface.effective_metric())
        });
        route.metric.saturating_add(*of_interface)
    };
    let mut snapshot = Snapshot {
        routes: ip::routes()?
            .iter()
            .map(|route| Entry {
                destination: route.destination,
                hop: hop(route),
                metric: metric(route),
                ours: is_ours(route),
            })
            .collect(),
        addresses: ip::addresses()?
            .into_iter()
            .filter(|address| address.is_usable)
            .map(|address| (address.interface, address.prefix))
            .collect(),
        usable: ip::usable_interfaces()?,
        to_relay: None,
    };
    let hop = match ip::best_route(relay) {
        Ok(best) => best.map(|(route, _)| hop(&route)),
        Err(error) => {
            tracing::debug!(%error, "the system does not say which way it would take");
            snapshot.route_to(relay).map(|entry| entry.hop)
        }
    };
    let is_own = |(_, own): &(u32, Prefix)| own.address == relay;
    let local = snapshot.addresses.iter().any(is_own);
    snapshot.to_relay = hop.map(|hop| Lookup {
        hop,
        policy_table: None,
        local,
    });
    Ok(snapshot)
}

/// The TAP's own part: its address, and what it must not accept. Windows keeps
/// adapters and what is set for them, so all of it is in the journal, and put
/// back when this is dropped.
#[derive(Debug)]
pub struct TapSide {
    adapter: Guid,
    interface: Interface,
    journal: SharedJournal,
    address: Option<(Prefix, Changes)>,
    category: Option<thread::JoinHandle<io::Result<Option<String>>>>,
    opening: Option<Opening>,
    changes: Changes,
}

impl TapSide {
    /// Closes the TAP to default routes, router advertisements and forwarding,
    /// and gives it the metric that leads broadcasts to it.
    ///
    /// # Errors
    /// When something cannot be set, or the adapter has no IPv4.
    pub fn fence(
        adapter: Guid,
        name: &str,
        index: u32,
        journal: &SharedJournal,
    ) -> Result<Self, RouteError> {
        let interface = Interface {
            name: name.to_owned(),
            index,
        };
        wait_for_ip(adapter, name)?;
        let mut changes = Changes::new(journal.clone(), interface.clone());
        let settings = [
            (IpValue::DefaultRoutes, "ignored"),
            // NL_ROUTER_DISCOVERY_BEHAVIOR: off.
            (IpValue::RouterDiscovery, "0"),
            // Nobody at the party reaches the player's home through this
            // machine, even where it shares its internet.
            (IpValue::Forwarding, "off"),
            (IpValue::Metric, TAP_METRIC),
        ];
        for family in [Family::V4, Family::V6] {
            for (value, ours) in settings {
                // False where the adapter does without this family.
                changes.set(
                    &Setting::Ip {
                        adapter,
                        family,
                        value,
                    },
                    ours,
                )?;
            }
        }
        Ok(Self {
            adapter,
            interface,
            journal: journal.clone(),
            address: None,
            category: None,
            opening: None,
            changes,
        })
    }

    /// The address that was set here.
    #[must_use]
    pub const fn address(&self) -> Option<Prefix> {
        match &self.address {
            Some((prefix, _)) => Some(*prefix),
            None => None,
        }
    }

    /// Every address of the adapter, whoever set it.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn addresses(&self) -> Result<Vec<Unicast>, RouteError> {
        let mut addresses = ip::addresses()?;
        addresses.retain(|address| address.interface == self.interface.index);
        Ok(addresses)
    }

    /// Gives the TAP one address and its on-link prefix, in place of the one
    /// before.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_address(&mut self, prefix: Prefix) -> Result<(), RouteError> {
        if self.address() == Some(prefix) {
            return Ok(());
        }
        let luid = luid(self.interface.index)?;
        let object = Object::Address {
            interface: self.interface.clone(),
            prefix,
        };
        let mut changes = Changes::new(self.journal.clone(), self.interface.clone());
        changes.add(object, || ip::add_address(luid, prefix))?;
        self.address = Some((prefix, changes));
        Ok(())
    }

    /// Takes away what [`Self::set_address`] gave; what the system refuses
    /// stays in the journal.
    pub fn clear_address(&mut self) {
        self.address = None;
    }

    /// Tells Windows that the party is a private network, so that its firewall
    /// treats games as it does at home. False while Windows does not know the
    /// network, which takes some seconds after the adapter has got its cable;
    /// then call it again.
    ///
    /// # Errors
    /// When Windows refuses; games then see what a public network lets through.
    pub fn make_private(&mut self) -> Result<bool, RouteError> {
        let adapter = self.adapter;
        // The first answer can take seconds, and this is the thread of frames.
        let asked = self
            .category
            .get_or_insert_with(|| thread::spawn(move || network_list::category(adapter)));
        if !asked.is_finished() {
            return Ok(false);
        }
        let answer = self.category.take().map(thread::JoinHandle::join);
        let Some(Ok(category)) = answer else {
            return Ok(false);
        };
        match category?.as_deref() {
            None => Ok(false),
            Some(network_list::PUBLIC) => {
                let setting = Setting::Category { adapter };
                Ok(self.changes.set(&setting, network_list::PRIVATE)?)
            }
            // Private already, or a company's, which is not ours to change.
            Some(_) => Ok(true),
        }
    }

    /// Lets the party's games in through the firewall until this is dropped;
    /// see [`lanparty_os::windows::opening`] for what that is.
    ///
    /// # Errors
    /// When the firewall cannot be opened.
    pub fn open_firewall(&mut self) -> Result<(), RouteError> {
        let luid = luid(self.interface.index)?;
        self.opening = Some(Opening::new(luid)?);
        Ok(())
    }
}

fn wait_for_ip(adapter: Guid, name: &str) -> Result<(), RouteError> {
    let mut waited = Duration::ZERO;
    loop {
        if let Some((luid, _)) = ip::interface_of(adapter)
            && IpInterface::read(luid, Family::V4)?.is_some()
        {
            return Ok(());
        }
        if waited >= IP_PATIENCE {
            return Err(RouteError::NoIp {
                name: name.to_owned(),
            });
        }
        thread::sleep(IP_POLL);
        waited += IP_POLL;
    }
}

fn system_route(pin: &HostRoute) -> io::Result<Route> {
    Ok(Route {
        destination: Prefix::host(pin.to),
        next_hop: pin.hop.gateway,
        interface: pin.hop.interface,
        luid: luid(pin.hop.interface)?,
        // The interface's is added; nothing else competes with a host route.
        metric: 0,
    })
}

fn luid(interface: u32) -> io::Result<u64> {
    ip::luid_of_index(interface).ok_or_else(|| io::ErrorKind::NotFound.into())
}

const fn hop(route: &Route) -> Hop {
    Hop {
        interface: route.interface,
        gateway: route.next_hop,
        source: None,
    }
}

impl From<io::Error> for RouteError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::PermissionDenied {
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

impl From<ChangeError> for RouteError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Journal(error) => error.into(),
            error if error.is_permission_denied() => Self::NotPermitted,
            error => Self::System(Box::new(error)),
        }
    }
}
