//! One room: its members, who holds which address, and what the host allows.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use lanparty_ctrl::{DisplayName, Ipv6Policy, Mode, PeerInfo, Role, RoomCode, RoomId, RoomPolicy};
use lanparty_l2::buckets::PeerBuckets;
use lanparty_l2::mac_table::MacTable;
use lanparty_l2::rules::{Ipv6Mode, Rules};
use lanparty_obs::stats::PeerStats;
use lanparty_proto::ethernet::EtherType;
use lanparty_proto::{MacAddr, PeerId};

use crate::access::Hosting;
use crate::attempts::Source;
use crate::connection::{Conn, Owner};
use crate::counters::Counters;
use crate::ids::Quarantine;
use crate::limits::Limits;
use crate::probes::ProbeLimits;
use crate::rate::Allowance;
use crate::sealed::SealedBudgets;

#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) id: RoomId,
    pub(crate) code: RoomCode,
    /// Only holders of its key are in it, and frames in it are sealed.
    pub(crate) keyed: bool,
    pub(crate) opened: Instant,
    /// Where the member came from that opened it.
    pub(crate) opener: Source,
    pub(crate) last_frame: Instant,
    pub(crate) hosting: Hosting,
    /// Joins that may still fail.
    pub(crate) failures: Allowance,
    pub(crate) sealed: SealedBudgets,
    pub(crate) members: BTreeMap<PeerId, Member>,
    /// The players' MAC addresses.
    pub(crate) players: BTreeMap<MacAddr, PeerId>,
    /// The one member with the role of a gateway.
    pub(crate) gateway: Option<PeerId>,
    /// Its own address, if it announced one.
    pub(crate) gateway_mac: Option<MacAddr>,
    /// The last that a gateway sent; it stays when the gateway leaves.
    pub(crate) policy: RoomPolicy,
    /// The same as `lanparty-l2` wants it.
    pub(crate) rules: Rules,
    /// Addresses on the LAN, learnt from the gateway's frames, so that
    /// traffic to them is not charged as unknown.
    pub(crate) lan_macs: MacTable,
    pub(crate) quarantine: Quarantine,
    pub(crate) probes: ProbeLimits,
    /// Of all members, also of those that have left.
    pub(crate) counters: Counters,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) conn: Conn,
    pub(crate) owner: Owner,
    pub(crate) info: PeerInfo,
    pub(crate) agent: DisplayName,
    pub(crate) remote: SocketAddr,
    pub(crate) datagram_budget: u16,
    pub(crate) joined: Instant,
    pub(crate) last_seen: Instant,
    pub(crate) buckets: PeerBuckets,
    pub(crate) malformed: Allowance,
    pub(crate) counters: Counters,
    pub(crate) stats: Option<(Instant, Box<PeerStats>)>,
}

impl Room {
    pub(crate) fn new(
        id: RoomId,
        code: RoomCode,
        keyed: bool,
        opener: Source,
        limits: &Limits,
        now: Instant,
    ) -> Self {
        let policy = RoomPolicy::default();
        Self {
            id,
            code,
            keyed,
            opened: now,
            opener,
            last_frame: now,
            hosting: Hosting::default(),
            failures: Allowance::full(limits.failed_joins_per_room, now),
            sealed: SealedBudgets::default(),
            members: BTreeMap::new(),
            players: BTreeMap::new(),
            gateway: None,
            gateway_mac: None,
            rules: rules(&policy),
            policy,
            lan_macs: MacTable::default(),
            quarantine: Quarantine::default(),
            probes: ProbeLimits::default(),
            counters: Counters::default(),
        }
    }

    pub(crate) const fn mode(&self) -> Mode {
        match self.gateway {
            Some(_) => Mode::Lan,
            None => Mode::Players,
        }
    }

    /// Whose MAC address this is.
    pub(crate) fn holder(&self, mac: MacAddr) -> Option<PeerId> {
        let of_gateway = self.gateway.filter(|_| self.gateway_mac == Some(mac));
        self.players.get(&mac).copied().or(of_gateway)
    }

    /// The member that this owner has in the room already.
    pub(crate) fn member_of(&self, owner: &Owner) -> Option<PeerId> {
        self.members
            .iter()
            .find(|(_, member)| member.owner == *owner)
            .map(|(&peer, _)| peer)
    }

    pub(crate) fn insert(&mut self, member: Member) {
        let peer = member.info.peer;
        match (member.info.role, member.info.mac) {
            (Role::Gateway, mac) => {
                self.gateway = Some(peer);
                self.gateway_mac = mac;
                self.hosting.gateway_changed();
            }
            (Role::Client, Some(mac)) => {
                self.players.insert(mac, peer);
            }
            // Hello was checked: a player has an address.
            (Role::Client, None) => {}
        }
        self.quarantine.release(peer);
        self.members.insert(peer, member);
    }

    pub(crate) fn remove(&mut self, peer: PeerId) -> Option<Member> {
        let member = self.members.remove(&peer)?;
        self.players.retain(|_, holder| *holder != peer);
        if self.gateway == Some(peer) {
            self.gateway = None;
            self.gateway_mac = None;
            self.lan_macs = MacTable::new();
        }
        self.probes.forget(peer);
        self.sealed.forget(peer);
        Some(member)
    }

    pub(crate) fn set_policy(&mut self, policy: RoomPolicy) {
        self.rules = rules(&policy);
        self.policy = policy;
    }
}

fn rules(policy: &RoomPolicy) -> Rules {
    let mut rules = Rules {
        ipv6: match policy.ipv6 {
            Ipv6Policy::Off => Ipv6Mode::Off,
            Ipv6Policy::Lan => Ipv6Mode::Lan,
        },
        allow_hosts: policy.allow_hosts.to_vec(),
        party_subnet_only: policy.party_subnet_only,
        ..Rules::default()
    };
    for ether_type in &policy.ether_types {
        rules = rules.allow_ether_type(EtherType(ether_type.get()));
    }
    for vlan in &policy.vlans {
        rules = rules.allow_vlan(vlan.get());
    }
    rules
}
