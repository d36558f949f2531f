//! What has to change, given what is: pure functions over snapshots.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lanparty_os::Prefix;

/// IPv4 limited broadcast and multicast: games announce themselves with both,
/// and without these routes they would leave by the default route.
pub const TO_THE_TAP: [Prefix; 2] = [
    Prefix {
        address: IpAddr::V4(Ipv4Addr::BROADCAST),
        length: 32,
    },
    Prefix {
        address: IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)),
        length: 4,
    },
];

/// The shortest prefix that may be routed to the TAP. A party LAN is at most a
/// /8 (10.0.0.0/8); anything shorter is a default route or half of one.
const SHORTEST_ON_TAP: u8 = 8;

/// A way out of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    pub interface: u32,
    /// None where the destination is on the interface's own link.
    pub gateway: Option<IpAddr>,
    /// The source address that the route asks for.
    pub source: Option<IpAddr>,
}

/// A unicast route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub destination: Prefix,
    pub hop: Hop,
    pub metric: u32,
    /// Carries our protocol number.
    pub ours: bool,
}

/// The kernel's answer for one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup {
    pub hop: Hop,
    /// Set where policy routing has sent the packet past the main table.
    pub policy_table: Option<u32>,
    /// The destination is one of this machine's addresses.
    pub local: bool,
}

/// What the machine's tables hold at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The main table, all interfaces.
    pub routes: Vec<Entry>,
    /// Addresses with the index of their interface.
    pub addresses: Vec<(u32, Prefix)>,
    /// Interfaces that can pass packets.
    pub usable: Vec<u32>,
    /// The path to the relay as the kernel would choose it now.
    pub to_relay: Option<Lookup>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    pub relay: IpAddr,
    /// The TAP's interface index.
    pub tap: u32,
}

/// One change to the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A host route of ours to the relay.
    AddPin(HostRoute),
    RemovePin(HostRoute),
    /// Somebody put a default route, or half of one, on the TAP.
    RemoveFromTap(Entry),
}

/// The route to one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostRoute {
    pub to: IpAddr,
    pub hop: Hop,
}

/// How the path to the relay is held outside the TAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// By a host route of ours.
    Own(HostRoute),
    /// By a host route that was there before; it is not ours to remove.
    Borrowed(HostRoute),
    /// The relay runs on this machine; no route can take it away.
    ThisMachine,
    /// Policy routing of another program (usually a VPN) carries it; a route of
    /// ours in the main table would go around that program.
    PolicyRouted { table: u32, interface: u32 },
    /// No route leads to the relay at the moment.
    NoPath,
}

/// The steps to take and the state in which they end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub pin: Pin,
}

impl Snapshot {
    /// The route that a kernel without policy routing takes: the longest
    /// prefix, then the lowest metric.
    #[must_use]
    pub fn route_to(&self, to: IpAddr) -> Option<&Entry> {
        best(&self.routes, to)
    }

    /// The same among the routes that lead neither into the TAP nor into an
    /// unplugged cable.
    #[must_use]
    pub fn route_outside(&self, to: IpAddr, tap: Option<u32>) -> Option<&Entry> {
        let outside = self.routes.iter().filter(|entry| {
            Some(entry.hop.interface) != tap && self.usable.contains(&entry.hop.interface)
        });
        best(outside, to)
    }

    /// The address of this machine that a packet to `to` carries when it takes
    /// the best way outside the TAP.
    #[must_use]
    pub fn source_outside(&self, to: IpAddr, tap: Option<u32>) -> Option<IpAddr> {
        let route = self.route_outside(to, tap)?;
        if route.hop.source.is_some() {
            return route.hop.source;
        }
        // An address of the network that the next hop is in; else one that
        // reaches further than the link.
        let next = route.hop.gateway.unwrap_or(to);
        self.addresses
            .iter()
            .filter(|(interface, own)| {
                *interface == route.hop.interface && own.address.is_ipv4() == to.is_ipv4()
            })
            .min_by_key(|(_, own)| (!own.contains(next), is_link_local(own.address)))
            .map(|(_, own)| own.address)
    }
}

fn best<'a>(routes: impl IntoIterator<Item = &'a Entry>, to: IpAddr) -> Option<&'a Entry> {
    routes
        .into_iter()
        .filter(|entry| entry.destination.contains(to))
        .min_by_key(|entry| (std::cmp::Reverse(entry.destination.length), entry.metric))
}

/// Compares a snapshot with the goal. `held` is the host route that this guard
/// has added before; pins of other processes are not its to remove.
#[must_use]
pub fn plan(snapshot: &Snapshot, goal: &Goal, held: Option<HostRoute>) -> Plan {
    let pin = pin(snapshot, goal);
    let present = |route: &HostRoute| {
        snapshot.routes.iter().any(|entry| {
            entry.ours && entry.destination == Prefix::host(route.to) && entry.hop == route.hop
        })
    };
    let wanted = match pin {
        Pin::Own(route) => Some(route),
        Pin::Borrowed(_) | Pin::ThisMachine | Pin::PolicyRouted { .. } | Pin::NoPath => None,
    };

    let mut steps = Vec::new();
    steps.extend(
        held.filter(|route| Some(*route) != wanted)
            .map(Step::RemovePin),
    );
    steps.extend(wanted.filter(|route| !present(route)).map(Step::AddPin));
    steps.extend(
        snapshot
            .routes
            .iter()
            .filter(|entry| entry.hop.interface == goal.tap && too_wide(entry.destination))
            .map(|entry| Step::RemoveFromTap(*entry)),
    );
    Plan { steps, pin }
}

fn pin(snapshot: &Snapshot, goal: &Goal) -> Pin {
    let this_machine = goal.relay.is_loopback()
        || snapshot.to_relay.is_some_and(|lookup| lookup.local)
        || snapshot
            .addresses
            .iter()
            .any(|(interface, own)| *interface != goal.tap && own.address == goal.relay);
    if this_machine {
        return Pin::ThisMachine;
    }
    if let Some(lookup) = snapshot.to_relay
        && let Some(table) = lookup.policy_table
        && lookup.hop.interface != goal.tap
    {
        return Pin::PolicyRouted {
            table,
            interface: lookup.hop.interface,
        };
    }
    // The TAP's routes and our own pin do not count, or the answer would depend
    // on what we did last.
    let others = snapshot
        .routes
        .iter()
        .filter(|entry| !entry.ours && entry.hop.interface != goal.tap)
        .filter(|entry| snapshot.usable.contains(&entry.hop.interface));
    let Some(best) = best(others, goal.relay) else {
        // A route of a form that the snapshot cannot tell, such as one with
        // several next hops; the kernel has chosen among them.
        return snapshot
            .to_relay
            .filter(|lookup| lookup.hop.interface != goal.tap)
            .map_or(Pin::NoPath, |lookup| {
                Pin::Own(HostRoute {
                    to: goal.relay,
                    hop: lookup.hop,
                })
            });
    };
    let route = HostRoute {
        to: goal.relay,
        hop: best.hop,
    };
    if is_host(best.destination) {
        Pin::Borrowed(route)
    } else {
        Pin::Own(route)
    }
}

/// The kernel's answer does not lead into the TAP.
///
/// # Errors
/// [`Captured`] when the tunnel would run through itself.
pub fn verify(snapshot: &Snapshot, goal: &Goal) -> Result<(), Captured> {
    match snapshot.to_relay {
        Some(lookup) if lookup.hop.interface == goal.tap => Err(Captured { relay: goal.relay }),
        Some(_) | None => Ok(()),
    }
}

/// The path to the relay leads into the TAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the route to the relay {relay} leads into the party's own adapter, so the tunnel would run through itself; remove the address or route on the adapter that covers it"
)]
pub struct Captured {
    pub relay: IpAddr,
}

/// How a party LAN collides with the networks that this machine is already in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    Relay { lan: Prefix, relay: IpAddr },
    HomeRouter { lan: Prefix, router: IpAddr },
    HomeNetwork { lan: Prefix, home: Prefix },
}

impl Overlap {
    /// True where taking the address would cut this machine off, and not only
    /// hide some neighbours.
    #[must_use]
    pub const fn cuts_off(&self) -> bool {
        matches!(self, Self::Relay { .. } | Self::HomeRouter { .. })
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relay { lan, relay } => write!(
                f,
                "the party's LAN {lan} covers the relay's address {relay}; the party host has to use another subnet, for example 10.73.42.0/24"
            ),
            Self::HomeRouter { lan, router } => write!(
                f,
                "the party's LAN {lan} covers your own router {router}, so joining would cut you off the internet; change the subnet of your router, or ask the party host for another one, for example 10.73.42.0/24"
            ),
            Self::HomeNetwork { lan, home } => write!(
                f,
                "the party's LAN {lan} overlaps your own network {home}; devices at home with addresses inside it cannot be reached while you are at the party"
            ),
        }
    }
}

/// Finds the worst collision of `lan` with what is outside the TAP.
#[must_use]
pub fn overlap(snapshot: &Snapshot, goal: &Goal, lan: Prefix) -> Option<Overlap> {
    let lan = lan.network();
    if lan.contains(goal.relay) {
        return Some(Overlap::Relay {
            lan,
            relay: goal.relay,
        });
    }
    let outside = |interface: u32| interface != goal.tap && snapshot.usable.contains(&interface);
    let router = snapshot
        .routes
        .iter()
        .filter(|entry| outside(entry.hop.interface) && !entry.ours)
        .filter_map(|entry| entry.hop.gateway)
        .find(|gateway| lan.contains(*gateway));
    if let Some(router) = router {
        return Some(Overlap::HomeRouter { lan, router });
    }
    snapshot
        .addresses
        .iter()
        .filter(|(interface, home)| outside(*interface) && !home.address.is_loopback())
        .map(|(_, home)| home.network())
        .find(|home| home.contains(lan.address) || lan.contains(home.address))
        .map(|home| Overlap::HomeNetwork { lan, home })
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn is_host(prefix: Prefix) -> bool {
    prefix == Prefix::host(prefix.address)
}

fn too_wide(prefix: Prefix) -> bool {
    let multicast = match prefix.address {
        IpAddr::V4(address) => address.is_multicast(),
        IpAddr::V6(address) => address != Ipv6Addr::UNSPECIFIED && address.is_multicast(),
    };
    prefix.length < SHORTEST_ON_TAP && !multicast
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIFI: u32 = 3;
    const CABLE: u32 = 2;
    const TAP: u32 = 9;

    #[test]
    fn the_relay_is_pinned_to_the_next_hop_of_the_default_route() {
        let snapshot = home();
        let plan = plan(&snapshot, &goal(), None);
        let route = host_route("203.0.113.5", WIFI, Some("192.168.1.1"));
        assert_eq!(plan.steps, [Step::AddPin(route)]);
        assert_eq!(plan.pin, Pin::Own(route));
    }

    #[test]
    fn a_pin_that_is_in_place_is_left_alone() {
        let mut snapshot = home();
        snapshot.routes.push(pin_entry(WIFI, "192.168.1.1"));
        assert_eq!(plan(&snapshot, &goal(), Some(held())).steps, []);
    }

    #[test]
    fn a_pin_that_somebody_removed_is_put_back() {
        let steps = plan(&home(), &goal(), Some(held())).steps;
        assert_eq!(steps, [Step::AddPin(held())]);
    }

    #[test]
    fn the_pin_follows_the_laptop_into_another_network() {
        let mut snapshot = home();
        snapshot.routes = vec![
            entry("0.0.0.0/0", CABLE, Some("172.16.0.1"), 100),
            pin_entry(WIFI, "192.168.1.1"),
        ];
        assert_eq!(
            plan(&snapshot, &goal(), Some(held())).steps,
            [
                Step::RemovePin(host_route("203.0.113.5", WIFI, Some("192.168.1.1"))),
                Step::AddPin(host_route("203.0.113.5", CABLE, Some("172.16.0.1"))),
            ]
        );
    }

    #[test]
    fn the_lower_metric_wins_and_an_unplugged_interface_does_not_count() {
        let mut snapshot = home();
        snapshot
            .routes
            .push(entry("0.0.0.0/0", CABLE, Some("172.16.0.1"), 100));
        let cable = Pin::Own(host_route("203.0.113.5", CABLE, Some("172.16.0.1")));
        assert_eq!(plan(&snapshot, &goal(), None).pin, cable);
        snapshot.usable = vec![WIFI];
        let wifi = Pin::Own(host_route("203.0.113.5", WIFI, Some("192.168.1.1")));
        assert_eq!(plan(&snapshot, &goal(), None).pin, wifi);
    }

    #[test]
    fn a_relay_on_the_home_network_is_pinned_without_a_gateway() {
        let goal = Goal {
            relay: ip("192.168.1.77"),
            tap: TAP,
        };
        let route = host_route("192.168.1.77", WIFI, None);
        assert_eq!(plan(&home(), &goal, None).pin, Pin::Own(route));
    }

    #[test]
    fn a_host_route_of_somebody_else_is_borrowed_and_never_removed() {
        let mut snapshot = home();
        snapshot
            .routes
            .push(entry("203.0.113.5/32", WIFI, Some("192.168.1.1"), 0));
        let plan = plan(&snapshot, &goal(), None);
        assert_eq!(plan.steps, []);
        assert!(matches!(plan.pin, Pin::Borrowed(_)));
    }

    #[test]
    fn routes_on_the_tap_never_decide_the_path_to_the_relay() {
        let mut snapshot = home();
        snapshot.routes.push(entry("203.0.113.0/24", TAP, None, 0));
        snapshot.usable.push(TAP);
        let route = host_route("203.0.113.5", WIFI, Some("192.168.1.1"));
        assert_eq!(plan(&snapshot, &goal(), None).pin, Pin::Own(route));
    }

    #[test]
    fn a_relay_on_this_machine_needs_no_route() {
        for relay in ["127.0.0.1", "::1", "192.168.1.50"] {
            let goal = Goal {
                relay: ip(relay),
                tap: TAP,
            };
            let plan = plan(&home(), &goal, None);
            assert_eq!(
                (plan.pin, plan.steps),
                (Pin::ThisMachine, vec![]),
                "{relay}"
            );
        }
    }

    #[test]
    fn another_programs_policy_routing_is_respected() {
        let mut snapshot = home();
        snapshot.to_relay = Some(Lookup {
            hop: hop(12, None),
            policy_table: Some(51_820),
            local: false,
        });
        let plan = plan(&snapshot, &goal(), None);
        assert_eq!(plan.steps, []);
        let expected = Pin::PolicyRouted {
            table: 51_820,
            interface: 12,
        };
        assert_eq!(plan.pin, expected);
    }

    #[test]
    fn the_kernels_choice_among_several_next_hops_is_pinned() {
        let mut snapshot = home();
        snapshot.routes.clear();
        snapshot.to_relay = Some(Lookup {
            hop: hop(WIFI, Some("192.168.1.1")),
            policy_table: None,
            local: false,
        });
        assert_eq!(plan(&snapshot, &goal(), None).pin, Pin::Own(held()));
    }

    #[test]
    fn without_a_path_a_stale_pin_is_removed() {
        let mut snapshot = home();
        snapshot.routes = vec![pin_entry(WIFI, "192.168.1.1")];
        let plan = plan(&snapshot, &goal(), Some(held()));
        assert_eq!(plan.pin, Pin::NoPath);
        assert_eq!(plan.steps, [Step::RemovePin(held())]);
    }

    #[test]
    fn a_pin_to_the_relays_former_address_is_removed() {
        let former = host_route("203.0.113.99", WIFI, Some("192.168.1.1"));
        let steps = plan(&home(), &goal(), Some(former)).steps;
        assert_eq!(steps, [Step::RemovePin(former), Step::AddPin(held())]);
    }

    #[test]
    fn another_process_keeps_its_pin() {
        let mut snapshot = home();
        let mut other = pin_entry(WIFI, "192.168.1.1");
        other.destination = prefix("198.51.100.1/32");
        snapshot.routes.push(other);
        let steps = plan(&snapshot, &goal(), None).steps;
        assert_eq!(steps, [Step::AddPin(held())]);
    }

    #[test]
    fn default_routes_and_their_halves_are_taken_off_the_tap() {
        let mut snapshot = home();
        snapshot.routes.push(pin_entry(WIFI, "192.168.1.1"));
        for wide in ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "::/0", "2000::/3"] {
            let mut snapshot = snapshot.clone();
            let wide = entry(wide, TAP, None, 0);
            snapshot.routes.push(wide);
            let steps = plan(&snapshot, &goal(), Some(held())).steps;
            assert_eq!(steps, [Step::RemoveFromTap(wide)]);
        }
        for fine in [
            "224.0.0.0/4",
            "10.0.0.0/8",
            "255.255.255.255/32",
            "ff00::/8",
        ] {
            let mut snapshot = snapshot.clone();
            snapshot.routes.push(entry(fine, TAP, None, 0));
            assert_eq!(plan(&snapshot, &goal(), Some(held())).steps, [], "{fine}");
        }
    }

    #[test]
    fn a_path_into_the_tap_is_noticed() {
        let mut snapshot = home();
        assert_eq!(verify(&snapshot, &goal()), Ok(()));
        snapshot.to_relay = Some(Lookup {
            hop: hop(TAP, None),
            policy_table: None,
            local: false,
        });
        assert!(verify(&snapshot, &goal()).is_err());
    }

    #[test]
    fn a_packet_outside_the_tap_carries_the_address_of_its_network() {
        let mut snapshot = home();
        snapshot.routes.push(entry("203.0.113.0/24", TAP, None, 0));
        snapshot.usable.push(TAP);
        snapshot.addresses = vec![
            (TAP, prefix("203.0.113.9/24")),
            (WIFI, prefix("169.254.7.7/16")),
            (WIFI, prefix("fe80::1/64")),
            (WIFI, prefix("10.1.1.1/24")),
            (WIFI, prefix("192.168.1.50/24")),
        ];
        let source = |snapshot: &Snapshot, relay| snapshot.source_outside(ip(relay), Some(TAP));
        assert_eq!(source(&snapshot, "203.0.113.5"), Some(ip("192.168.1.50")));
        assert_eq!(
            snapshot.route_to(ip("203.0.113.5")).unwrap().hop.interface,
            TAP
        );
        // Without one of the router's network, one that reaches further.
        snapshot.addresses.pop();
        assert_eq!(source(&snapshot, "203.0.113.5"), Some(ip("10.1.1.1")));
        assert_eq!(source(&snapshot, "2001:db8::1"), None);
        snapshot.usable.clear();
        assert_eq!(source(&snapshot, "203.0.113.5"), None);
    }

    #[test]
    fn overlaps_are_told_worst_first() {
        let find = |lan: &str| overlap(&home(), &goal(), prefix(lan));
        assert!(matches!(
            find("203.0.113.9/24"),
            Some(Overlap::Relay { .. })
        ));
        assert!(matches!(
            find("192.168.1.60/24"),
            Some(Overlap::HomeRouter { .. })
        ));
        let neighbours = find("192.168.1.200/25").unwrap();
        assert!(matches!(neighbours, Overlap::HomeNetwork { .. }));
        assert!(!neighbours.cuts_off());
        assert_eq!(find("10.73.42.7/24"), None);
    }

    fn home() -> Snapshot {
        Snapshot {
            routes: vec![
                entry("0.0.0.0/0", WIFI, Some("192.168.1.1"), 600),
                entry("192.168.1.0/24", WIFI, None, 600),
            ],
            addresses: vec![
                (1, prefix("127.0.0.1/8")),
                (WIFI, prefix("192.168.1.50/24")),
            ],
            usable: vec![1, CABLE, WIFI],
            to_relay: None,
        }
    }

    fn goal() -> Goal {
        Goal {
            relay: ip("203.0.113.5"),
            tap: TAP,
        }
    }

    fn held() -> HostRoute {
        host_route("203.0.113.5", WIFI, Some("192.168.1.1"))
    }

    fn pin_entry(interface: u32, gateway: &str) -> Entry {
        Entry {
            ours: true,
            ..entry("203.0.113.5/32", interface, Some(gateway), 0)
        }
    }

    fn entry(destination: &str, interface: u32, gateway: Option<&str>, metric: u32) -> Entry {
        Entry {
            destination: prefix(destination),
            hop: hop(interface, gateway),
            metric,
            ours: false,
        }
    }

    fn host_route(to: &str, interface: u32, gateway: Option<&str>) -> HostRoute {
        HostRoute {
            to: ip(to),
            hop: hop(interface, gateway),
        }
    }

    fn hop(interface: u32, gateway: Option<&str>) -> Hop {
        Hop {
            interface,
            gateway: gateway.map(ip),
            source: None,
        }
    }

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
