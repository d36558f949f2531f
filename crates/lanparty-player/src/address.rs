//! Which address the adapter has, and when that changes; sans-IO.
//!
//! A lease of the party's LAN comes first. Without one a link-local address
//! keeps the players of a room together, and a later lease replaces it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use lanparty_obs::stats::AddressSource;
use lanparty_os::Prefix;
use lanparty_proto::MacAddr;
use serde::{Deserialize, Serialize};

use crate::arp::Arp;
use crate::link_local::{self, Action, LinkLocal};

/// How long a DHCP server has to answer before a link-local address is tried.
pub const LEASE_PATIENCE: Duration = Duration::from_secs(10);
/// RFC 5227 section 2.3: ANNOUNCE_NUM and ANNOUNCE_INTERVAL.
const ANNOUNCEMENTS: u32 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);

/// Where the adapter's address is to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    Dhcp,
    Static(Prefix),
    /// Somebody else configures the adapter.
    None,
}

/// What a DHCP client has found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseEvent {
    /// An address of the LAN, new or confirmed.
    Bound(Prefix),
    /// The lease is over or was withdrawn.
    Lost,
    /// Nobody answers so far; the client goes on asking.
    NoAnswer,
}

#[derive(Debug)]
pub struct AddressKeeper {
    mac: MacAddr,
    mode: Addressing,
    current: Option<(Prefix, AddressSource)>,
    /// When patience with the DHCP server ends.
    give_up_waiting: Option<Instant>,
    link_local: Option<LinkLocal>,
    announcements: Option<(u32, Instant)>,
}

/// What the caller has to do, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Set(Prefix, AddressSource),
    Clear,
    /// The system has given the adapter this address by itself.
    Seen(Prefix, AddressSource),
    /// The system has taken the adapter's address away by itself.
    Gone,
    Send(Arp),
    /// Nobody offered a lease; a link-local address is being looked for.
    NoLease,
}

impl AddressKeeper {
    pub const fn new(mac: MacAddr, mode: Addressing) -> Self {
        Self {
            mac,
            mode,
            current: None,
            give_up_waiting: None,
            link_local: None,
            announcements: None,
        }
    }

    pub const fn mac(&self) -> MacAddr {
        self.mac
    }

    pub const fn current(&self) -> Option<(Prefix, AddressSource)> {
        self.current
    }

    /// The room was joined, for the first time or again.
    pub fn joined(&mut self, now: Instant) -> Vec<Change> {
        match (self.mode, self.current) {
            // The others may have forgotten us, or moved us to another port.
            (_, Some(_)) => {
                self.announcements = Some((ANNOUNCEMENTS, now));
                self.tick(now)
            }
            (Addressing::Static(prefix), None) => self.set(prefix, AddressSource::Static, now),
            (Addressing::Dhcp, None) => {
                self.give_up_waiting.get_or_insert(now + LEASE_PATIENCE);
                Vec::new()
            }
            (Addressing::None, None) => Vec::new(),
        }
    }

    pub fn lease(&mut self, event: LeaseEvent, now: Instant) -> Vec<Change> {
        let has_lease = matches!(self.current, Some((_, AddressSource::Dhcp)));
        match event {
            LeaseEvent::Bound(prefix) => {
                self.give_up_waiting = None;
                self.link_local = None;
                self.set(prefix, AddressSource::Dhcp, now)
            }
            LeaseEvent::Lost if has_lease => {
                self.current = None;
                self.announcements = None;
                self.give_up_waiting = Some(now + LEASE_PATIENCE);
                vec![Change::Clear]
            }
            LeaseEvent::Lost | LeaseEvent::NoAnswer => Vec::new(),
        }
    }

    /// Whether ARP packets from the room matter to [`Self::observe`].
    pub const fn listens(&self) -> bool {
        self.link_local.is_some()
    }

    /// Looks at an ARP packet from the room.
    pub fn observe(&mut self, arp: &Arp, now: Instant) -> Vec<Change> {
        let action = self
            .link_local
            .as_mut()
            .and_then(|link_local| link_local.observe(arp, now));
        action.map_or_else(Vec::new, |action| self.act(action, now))
    }

    pub fn next_wakeup(&self) -> Option<Instant> {
        let link_local = self.link_local.as_ref().and_then(LinkLocal::next_wakeup);
        let announcement = self.announcements.map(|(_, at)| at);
        [self.give_up_waiting, link_local, announcement]
            .into_iter()
            .flatten()
            .min()
    }

    pub fn tick(&mut self, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.give_up_waiting.is_some_and(|at| at <= now) {
            self.give_up_waiting = None;
            self.link_local = Some(LinkLocal::new(self.mac, now));
            changes.push(Change::NoLease);
        }
        let action = self
            .link_local
            .as_mut()
            .and_then(|link_local| link_local.tick(now));
        if let Some(action) = action {
            changes.extend(self.act(action, now));
        }
        changes.extend(self.announce(now));
        changes
    }

    fn act(&mut self, action: Action, now: Instant) -> Vec<Change> {
        match action {
            Action::Send(arp) => vec![Change::Send(arp)],
            Action::Take(address) => {
                let prefix = Prefix {
                    address: address.into(),
                    length: link_local::PREFIX_LEN,
                };
                self.set(prefix, AddressSource::LinkLocal, now)
            }
            Action::GiveUp => {
                self.current = None;
                self.announcements = None;
                vec![Change::Clear]
            }
        }
    }

    fn set(&mut self, prefix: Prefix, source: AddressSource, now: Instant) -> Vec<Change> {
        if self.current == Some((prefix, source)) {
            return Vec::new();
        }
        self.current = Some((prefix, source));
        self.announcements = Some((ANNOUNCEMENTS, now));
        let mut changes = vec![Change::Set(prefix, source)];
        changes.extend(self.announce(now));
        changes
    }

    fn announce(&mut self, now: Instant) -> Option<Change> {
        let (left, at) = self.announcements.filter(|(_, at)| *at <= now)?;
        self.announcements = (left > 1).then_some((left - 1, at + ANNOUNCE_INTERVAL));
        let address = self.address_v4()?;
        Some(Change::Send(Arp::announcement(self.mac, address)))
    }

    fn address_v4(&self) -> Option<Ipv4Addr> {
        match self.current?.0.address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    #[test]
    fn a_lease_is_set_and_announced() {
        let now = start();
        let mut keeper = AddressKeeper::new(OWN, Addressing::Dhcp);
        assert_eq!(keeper.joined(now), []);
        let changes = keeper.lease(lease("10.73.42.5/24"), now);
        let announcement = Arp::announcement(OWN, Ipv4Addr::new(10, 73, 42, 5));
        assert_eq!(
            changes,
            [
                Change::Set(prefix("10.73.42.5/24"), AddressSource::Dhcp),
                Change::Send(announcement)
            ]
        );
        assert_eq!(keeper.lease(lease("10.73.42.5/24"), now), [], "a renewal");
    }

    #[test]
    fn without_a_lease_in_ten_seconds_the_address_is_link_local() {
        let begin = start();
        let mut keeper = AddressKeeper::new(OWN, Addressing::Dhcp);
        keeper.joined(begin);
        let (changes, at) = run_until_set(&mut keeper);
        assert_eq!(changes.first(), Some(&Change::NoLease));
        assert!(matches!(
            changes.last(),
            Some(Change::Set(_, AddressSource::LinkLocal))
        ));
        assert!(at >= begin + LEASE_PATIENCE);
    }

    #[test]
    fn a_later_lease_replaces_the_link_local_address() {
        let mut keeper = AddressKeeper::new(OWN, Addressing::Dhcp);
        keeper.joined(start());
        let (_, now) = run_until_set(&mut keeper);
        let changes = keeper.lease(lease("10.73.42.5/24"), now);
        let set = Change::Set(prefix("10.73.42.5/24"), AddressSource::Dhcp);
        assert_eq!(changes.first(), Some(&set));
        let link_local = Arp::announcement(OTHER, Ipv4Addr::new(169, 254, 1, 1));
        assert_eq!(keeper.observe(&link_local, now), []);
    }

    #[test]
    fn a_lost_lease_is_cleared_and_waited_for_again() {
        let now = start();
        let mut keeper = AddressKeeper::new(OWN, Addressing::Dhcp);
        keeper.joined(now);
        keeper.lease(lease("10.73.42.5/24"), now);
        assert_eq!(keeper.lease(LeaseEvent::Lost, now), [Change::Clear]);
        assert_eq!(keeper.next_wakeup(), Some(now + LEASE_PATIENCE));
    }

    #[test]
    fn a_server_that_says_no_costs_nobody_a_link_local_address() {
        let mut keeper = AddressKeeper::new(OWN, Addressing::Dhcp);
        keeper.joined(start());
        let (_, now) = run_until_set(&mut keeper);
        assert_eq!(keeper.lease(LeaseEvent::Lost, now), []);
        assert!(keeper.current().is_some());
    }

    #[test]
    fn a_conflict_clears_the_link_local_address_and_finds_another() {
        let mut keeper = AddressKeeper::new(OWN, Addressing::Dhcp);
        keeper.joined(start());
        let (_, now) = run_until_set(&mut keeper);
        let taken = keeper.address_v4().unwrap();
        let conflict = Arp::announcement(OTHER, taken);
        assert_eq!(keeper.observe(&conflict, now), [Change::Clear]);
        run_until_set(&mut keeper);
        assert_ne!(keeper.address_v4(), Some(taken));
    }

    #[test]
    fn a_chosen_address_is_set_at_once_and_announced_again_after_a_return() {
        let now = start();
        let chosen = prefix("10.73.42.9/24");
        let mut keeper = AddressKeeper::new(OWN, Addressing::Static(chosen));
        let changes = keeper.joined(now);
        assert_eq!(changes[0], Change::Set(chosen, AddressSource::Static));
        let later = now + Duration::from_secs(60);
        assert!(matches!(keeper.joined(later)[..], [Change::Send(_)]));
    }

    /// Runs until an address is set; returns the changes but for probes.
    fn run_until_set(keeper: &mut AddressKeeper) -> (Vec<Change>, Instant) {
        let mut seen = Vec::new();
        loop {
            let now = keeper.next_wakeup().unwrap();
            for change in keeper.tick(now) {
                match change {
                    Change::Send(_) => {}
                    Change::Set(..) => {
                        seen.push(change);
                        return (seen, now);
                    }
                    Change::Clear | Change::NoLease | Change::Seen(..) | Change::Gone => {
                        seen.push(change);
                    }
                }
            }
        }
    }

    fn lease(text: &str) -> LeaseEvent {
        LeaseEvent::Bound(prefix(text))
    }

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "where a test's clock starts")]
    fn start() -> Instant {
        Instant::now()
    }
}
