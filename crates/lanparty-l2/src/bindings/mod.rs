//! Which IP address belongs to which player, and which addresses players may
//! never use.
//!
//! A lease is learned from the DHCP server's acknowledgement. Any other
//! address goes to the first player that uses it, once a conflict probe has
//! stayed unanswered (RFC 5227); IPv6 hosts make that probe themselves
//! (RFC 4862), so there the first claim counts at once. The model is
//! RFC 7513's and RFC 6620's.
//!
//! The gateway keeps the table with probes. A player keeps one without, so
//! that a fellow player cannot pose as the router or a LAN host towards it:
//! frames between players never pass the gateway.

mod lan_hosts;
mod police;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use lanparty_proto::MacAddr;

use crate::buckets::{Rate, TokenBucket};
use crate::class::{Class, Protocol};
use crate::dhcp::{Message, MessageType, Role};
use crate::members::Members;
use crate::nd::Icmpv6;
use crate::{ipv4, ipv6, read};
use lan_hosts::LanHosts;

/// Addresses that one player may hold. IPv6 hosts use several: link-local,
/// stable and a temporary one a day (RFC 8981); IPv4 hosts one or two.
pub const PER_PLAYER: usize = 16;
/// Addresses that all players of a room may hold together.
pub const CAPACITY: usize = 4_096;
/// Leases that one player may hold at a time. One machine has one; a second
/// and third come from systems that identify themselves anew at each start.
const MAX_LEASES: usize = 3;
/// Routers and servers that the LAN's DHCP may name.
const MAX_ROUTERS: usize = 8;
/// IPv6 prefixes that the LAN's routers may announce.
const MAX_PREFIXES: usize = 8;
/// Unanswered probes that make an address free, and their distance. RFC 5227
/// takes three over several seconds for hosts that may be on slow links; the
/// gateway is on the wire and the player is waiting.
const PROBES: u8 = 2;
const PROBE_INTERVAL: Duration = Duration::from_millis(250);
/// New claims per player: a host that is tried out for its free addresses
/// would otherwise make the gateway broadcast a probe for each.
const CLAIMS: Rate = Rate::new(1, 8);
/// The lease that a DHCP acknowledgement without a lease time stands for.
const DEFAULT_LEASE: Duration = Duration::from_secs(3_600);
/// No lease is believed for longer than a party lasts.
const MAX_LEASE: Duration = Duration::from_secs(7 * 86_400);

/// How an address that nobody has becomes a player's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// After unanswered conflict probes, which the caller sends: the gateway.
    Probe,
    /// At once: a player, who cannot ask the whole LAN.
    FirstClaim,
}

/// What an address is to a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Own,
    /// Nobody's; it can be claimed.
    Free,
    /// Nobody's, but not an address that a host on this LAN can have.
    Unclaimable,
    /// The router's, the gateway's, a live LAN host's or another player's.
    Anothers,
}

/// What the caller has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingEffect {
    /// Send [`crate::arp::probe_frame`] for this address to the LAN.
    SendProbe(Ipv4Addr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Lease { until: Instant },
    Claim,
}

#[derive(Clone, Copy, Debug)]
struct Binding {
    owner: MacAddr,
    origin: Origin,
    last_used: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    owner: MacAddr,
    probes_left: u8,
    due: Instant,
}

/// The table. Bounded in every part.
#[derive(Clone, Debug)]
pub struct IpBindings {
    confirmation: Confirmation,
    bound: BTreeMap<IpAddr, Binding>,
    pending: BTreeMap<Ipv4Addr, Pending>,
    pace: BTreeMap<MacAddr, TokenBucket>,
    lan_hosts: LanHosts,
    /// The gateway PC's addresses and configured ones.
    protected: BTreeSet<IpAddr>,
    /// Learned from DHCP.
    routers: BTreeSet<Ipv4Addr>,
    /// The upper halves of the /64 prefixes that routers announced.
    prefixes: BTreeSet<u64>,
    effects: VecDeque<BindingEffect>,
}

impl IpBindings {
    #[must_use]
    pub fn new(confirmation: Confirmation) -> Self {
        Self {
            confirmation,
            bound: BTreeMap::new(),
            pending: BTreeMap::new(),
            pace: BTreeMap::new(),
            lan_hosts: LanHosts::default(),
            protected: BTreeSet::new(),
            routers: BTreeSet::new(),
            prefixes: BTreeSet::new(),
            effects: VecDeque::new(),
        }
    }

    /// Sets the addresses that no player may ever use: the gateway PC's own
    /// and, where configured, the router's.
    pub fn protect(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.protected = addresses.into_iter().take(CAPACITY).collect();
        self.bound
            .retain(|address, _| !self.protected.contains(address));
    }

    /// Learns from a frame that came from the LAN and passed the policy.
    pub fn observe_lan(
        &mut self,
        frame: &[u8],
        class: &Class,
        members: &dyn Members,
        now: Instant,
    ) {
        match class.protocol {
            Protocol::Arp(arp) => {
                if arp.sender.is_unspecified() {
                    self.lan_host_asks(arp.target.into(), now);
                } else {
                    self.lan_host_speaks(arp.sender.into(), now);
                }
            }
            Protocol::Ipv4(packet) => {
                if packet.transport == ipv4::Transport::Dhcp(Role::Server) {
                    self.observe_dhcp(frame, class, &packet, members, now);
                }
                // Others may be hosts of the internet behind the router.
                if packet.source.is_private() || packet.source.is_link_local() {
                    self.lan_host_speaks(packet.source.into(), now);
                }
            }
            Protocol::Ipv6(packet) => self.observe_ipv6(frame, class, &packet, now),
            Protocol::Ipx(_) | Protocol::WakeOnLan | Protocol::LoopProbe | Protocol::Other(_) => {}
        }
    }

    /// What the address is to the player.
    #[must_use]
    pub fn standing(&self, address: IpAddr, player: MacAddr, now: Instant) -> Standing {
        if self.is_protected(address) {
            return Standing::Anothers;
        }
        if let Some(binding) = self.binding(address, now) {
            return if binding.owner == player {
                Standing::Own
            } else {
                Standing::Anothers
            };
        }
        let pending = match address {
            IpAddr::V4(address) => self.pending.get(&address),
            IpAddr::V6(_) => None,
        };
        if self.lan_hosts.contains(address, now)
            || pending.is_some_and(|pending| pending.owner != player)
        {
            Standing::Anothers
        } else if self.is_claimable(address) {
            Standing::Free
        } else {
            Standing::Unclaimable
        }
    }

    pub(crate) fn is_anothers(&self, address: IpAddr, player: MacAddr, now: Instant) -> bool {
        self.standing(address, player, now) == Standing::Anothers
    }

    pub(crate) fn is_owned(&self, address: IpAddr, player: MacAddr, now: Instant) -> bool {
        self.standing(address, player, now) == Standing::Own
    }

    /// Asks for a free address; true where the player has it now. Where a
    /// probe is needed, [`Self::poll_effect`] yields it and a later
    /// [`Self::tick`] binds.
    pub fn claim(&mut self, address: IpAddr, player: MacAddr, now: Instant) -> bool {
        if self.standing(address, player, now) != Standing::Free {
            return false;
        }
        match address {
            IpAddr::V4(v4) if self.confirmation == Confirmation::Probe => {
                if !self.pending.contains_key(&v4) && self.may_claim(player, now) {
                    self.pending.insert(
                        v4,
                        Pending {
                            owner: player,
                            probes_left: PROBES.saturating_sub(1),
                            due: now.checked_add(PROBE_INTERVAL).unwrap_or(now),
                        },
                    );
                    self.effects.push_back(BindingEffect::SendProbe(v4));
                }
                false
            }
            IpAddr::V4(_) | IpAddr::V6(_) => {
                self.may_claim(player, now) && self.bind(address, player, Origin::Claim, now)
            }
        }
    }

    /// Sends due probes and binds what nobody contested.
    pub fn tick(&mut self, now: Instant) {
        let mut won = Vec::new();
        for (address, pending) in &mut self.pending {
            if pending.due > now {
                continue;
            }
            match pending.probes_left.checked_sub(1) {
                Some(left) => {
                    pending.probes_left = left;
                    pending.due = now.checked_add(PROBE_INTERVAL).unwrap_or(now);
                    self.effects.push_back(BindingEffect::SendProbe(*address));
                }
                None => won.push((*address, pending.owner)),
            }
        }
        for (address, owner) in won {
            self.pending.remove(&address);
            self.bind(address.into(), owner, Origin::Claim, now);
        }
    }

    /// When [`Self::tick`] is next needed.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Instant> {
        self.pending.values().map(|pending| pending.due).min()
    }

    pub fn poll_effect(&mut self) -> Option<BindingEffect> {
        self.effects.pop_front()
    }

    /// Frees everything of a player that left.
    pub fn forget_player(&mut self, player: MacAddr) {
        self.bound.retain(|_, binding| binding.owner != player);
        self.pending.retain(|_, pending| pending.owner != player);
        self.pace.remove(&player);
    }

    /// The addresses of a player, for status and re-reports.
    pub fn addresses_of(&self, player: MacAddr, now: Instant) -> impl Iterator<Item = IpAddr> {
        self.bound
            .iter()
            .filter(move |(_, binding)| binding.owner == player && binding.is_valid(now))
            .map(|(address, _)| *address)
    }

    /// True where the player holds so many leases that it must not ask for
    /// another: with invented client identifiers it could drain the pool.
    pub(crate) fn has_leases_enough(&self, player: MacAddr, now: Instant) -> bool {
        let leases = self.bound.values().filter(|binding| {
            binding.owner == player
                && matches!(binding.origin, Origin::Lease { .. })
                && binding.is_valid(now)
        });
        leases.count() >= MAX_LEASES
    }

    fn binding(&self, address: IpAddr, now: Instant) -> Option<&Binding> {
        self.bound
            .get(&address)
            .filter(|binding| binding.is_valid(now))
    }

    fn is_protected(&self, address: IpAddr) -> bool {
        let router = match address {
            IpAddr::V4(address) => self.routers.contains(&address),
            IpAddr::V6(_) => false,
        };
        router || self.protected.contains(&address)
    }

    /// Addresses that a host on this link can have: private ones and the
    /// LAN's own. Anything else would be forged traffic towards the router.
    fn is_claimable(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => address.is_private() || address.is_link_local(),
            IpAddr::V6(address) => {
                address.is_unicast_link_local()
                    || address.is_unique_local()
                    || self.prefixes.contains(&upper_half(address))
            }
        }
    }

    fn may_claim(&mut self, player: MacAddr, now: Instant) -> bool {
        if !self.pace.contains_key(&player) && self.pace.len() >= CAPACITY {
            return false;
        }
        self.pace
            .entry(player)
            .or_insert_with(|| TokenBucket::new(CLAIMS, now))
            .take(1, now)
    }

    fn bind(&mut self, address: IpAddr, owner: MacAddr, origin: Origin, now: Instant) -> bool {
        self.bound.retain(|_, binding| binding.is_valid(now));
        let is_new_to_owner = self
            .bound
            .get(&address)
            .is_none_or(|held| held.owner != owner);
        let held = self.bound.values().filter(|held| held.owner == owner);
        if is_new_to_owner && held.count() >= PER_PLAYER {
            let oldest = self
                .bound
                .iter()
                .filter(|(_, held)| held.owner == owner)
                .min_by_key(|(_, held)| held.last_used)
                .map(|(address, _)| *address);
            if let Some(oldest) = oldest {
                self.bound.remove(&oldest);
            }
        }
        if !self.bound.contains_key(&address) && self.bound.len() >= CAPACITY {
            return false;
        }
        let binding = Binding {
            owner,
            origin,
            last_used: now,
        };
        self.bound.insert(address, binding);
        true
    }

    /// A LAN host is about to take an address. Where a player has it already,
    /// that player answers and keeps it.
    fn lan_host_asks(&mut self, address: IpAddr, now: Instant) {
        if self.binding(address, now).is_none() {
            self.lan_host_speaks(address, now);
        }
    }

    fn lan_host_speaks(&mut self, address: IpAddr, now: Instant) {
        if address.is_unspecified() {
            return;
        }
        match self.binding(address, now).map(|binding| binding.origin) {
            // The server gave it away: whoever else speaks from it is a
            // leftover or an intruder, and not ours to judge.
            Some(Origin::Lease { .. }) => return,
            // A LAN host's own address goes before a player's static one.
            Some(Origin::Claim) => {
                self.bound.remove(&address);
            }
            None => {}
        }
        if let IpAddr::V4(address) = address {
            self.pending.remove(&address);
        }
        self.lan_hosts.see(address, now);
    }

    fn observe_dhcp(
        &mut self,
        frame: &[u8],
        class: &Class,
        packet: &ipv4::Ipv4,
        members: &dyn Members,
        now: Instant,
    ) {
        let at = class
            .link
            .payload_at
            .saturating_add(packet.body.at)
            .saturating_add(8);
        let Some(message) =
            read::slice_at(frame, at, packet.body.len.saturating_sub(8)).and_then(Message::parse)
        else {
            return;
        };
        if message.operation != 2 {
            return;
        }
        let (routers, _) = message.option(3).unwrap_or_default().as_chunks::<4>();
        let servers = message.address_option(54);
        for router in routers
            .iter()
            .map(|octets| Ipv4Addr::from(*octets))
            .chain(servers)
        {
            if self.routers.len() < MAX_ROUTERS && !router.is_unspecified() {
                self.routers.insert(router);
            }
        }
        let owner = message.client_mac;
        let address = message.your_address;
        if message.message_type() != Some(MessageType::Ack)
            || address.is_unspecified()
            || !members.contains_mac(owner)
            || self.is_protected(address.into())
        {
            return;
        }
        let lease = message
            .seconds_option(51)
            .map_or(DEFAULT_LEASE, |seconds| {
                Duration::from_secs(u64::from(seconds))
            })
            .min(MAX_LEASE);
        let until = now.checked_add(lease).unwrap_or(now);
        self.pending.remove(&address);
        self.bind(address.into(), owner, Origin::Lease { until }, now);
    }

    fn observe_ipv6(&mut self, frame: &[u8], class: &Class, packet: &ipv6::Ipv6, now: Instant) {
        let ipv6::Transport::Icmpv6(message) = packet.transport else {
            if packet.source.is_unicast_link_local() {
                self.lan_host_speaks(packet.source.into(), now);
            }
            return;
        };
        match message {
            Icmpv6::NeighbourSolicitation { target, .. } if packet.source.is_unspecified() => {
                self.lan_host_asks(target.into(), now);
            }
            Icmpv6::NeighbourAdvertisement { target, .. } => {
                self.lan_host_speaks(target.into(), now);
            }
            Icmpv6::RouterAdvertisement => {
                let at = class.link.payload_at.saturating_add(packet.body.at);
                let body = read::slice_at(frame, at, packet.body.len).unwrap_or_default();
                for prefix in crate::ra::prefixes(body) {
                    if self.prefixes.len() < MAX_PREFIXES {
                        self.prefixes.insert(upper_half(prefix));
                    }
                }
            }
            Icmpv6::RouterSolicitation { .. }
            | Icmpv6::NeighbourSolicitation { .. }
            | Icmpv6::Redirect
            | Icmpv6::ListenerQuery
            | Icmpv6::ListenerReport
            | Icmpv6::Other { .. } => {}
        }
        if !packet.source.is_multicast() {
            self.lan_host_speaks(packet.source.into(), now);
        }
    }
}

impl Binding {
    fn is_valid(&self, now: Instant) -> bool {
        match self.origin {
            Origin::Lease { until } => now < until,
            Origin::Claim => true,
        }
    }
}

fn upper_half(address: std::net::Ipv6Addr) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = address.octets();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
