//! The multicast groups that players joined, so that the gateway can report
//! them again when its link comes up.
//!
//! A switch with snooping forgets all ports when its link flaps, and on a LAN
//! without a querier nobody asks again; the players' games would go deaf.
//! The gateway reports on their behalf and never queries: a LAN has one
//! querier, and it must not be us.

mod report;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lanparty_proto::MacAddr;

use crate::class::{Class, Protocol};
use crate::ipv4::{Span, Transport};
use crate::ipv6;
use crate::nd::Icmpv6;
use crate::read;

/// Groups that one player may be in; Linux allows a socket 20
/// (`igmp_max_memberships`), and a PC has few sockets that join.
pub const PER_PLAYER: usize = 64;
/// Players whose groups are remembered: the most that a room may hold.
pub const MAX_PLAYERS: usize = 256;

/// How a player asked for a group, so that the report speaks the version that
/// the LAN's switch has already seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Igmp2,
    Igmp3,
    Mld,
}

/// Who is in which group. Nothing ages: without a querier a host reports
/// once, and a player that leaves is forgotten whole.
#[derive(Clone, Debug, Default)]
pub struct MulticastGroups {
    joined: BTreeMap<MacAddr, BTreeMap<IpAddr, Version>>,
}

impl MulticastGroups {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            joined: BTreeMap::new(),
        }
    }

    /// Learns from a player's frame that passed the policy.
    pub fn observe(&mut self, player: MacAddr, frame: &[u8], class: &Class) {
        match class.protocol {
            Protocol::Ipv4(packet) => {
                if let Transport::Igmp { kind } = packet.transport {
                    let body = body(frame, class, packet.body);
                    self.observe_igmp(player, kind, body);
                }
            }
            Protocol::Ipv6(packet) => {
                if packet.transport == ipv6::Transport::Icmpv6(Icmpv6::ListenerReport) {
                    let body = body(frame, class, packet.body);
                    self.observe_mld(player, body);
                }
            }
            Protocol::Arp(_)
            | Protocol::Ipx(_)
            | Protocol::WakeOnLan
            | Protocol::LoopProbe
            | Protocol::Other(_) => {}
        }
    }

    pub fn forget_player(&mut self, player: MacAddr) {
        self.joined.remove(&player);
    }

    /// The groups of one player.
    pub fn groups_of(&self, player: MacAddr) -> impl Iterator<Item = IpAddr> {
        self.joined
            .get(&player)
            .into_iter()
            .flat_map(|groups| groups.keys().copied())
    }

    /// The frames that report every group of a player again, with its MAC
    /// address as source. Without an IP address of its own the player is
    /// reported from 0.0.0.0 (RFC 3376, section 4.2.13) or `::` (RFC 3590).
    #[must_use]
    pub fn report_frames(
        &self,
        player: MacAddr,
        own_v4: Option<Ipv4Addr>,
        own_link_local: Option<Ipv6Addr>,
    ) -> Vec<Vec<u8>> {
        let Some(groups) = self.joined.get(&player) else {
            return Vec::new();
        };
        let source_v4 = own_v4.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let source_v6 = own_link_local.unwrap_or(Ipv6Addr::UNSPECIFIED);
        let mut frames = Vec::new();
        let mut igmp3 = Vec::new();
        let mut mld = Vec::new();
        for (group, version) in groups {
            match (group, version) {
                (IpAddr::V4(group), Version::Igmp3) => igmp3.push(*group),
                (IpAddr::V4(group), Version::Igmp2 | Version::Mld) => {
                    frames.push(report::igmp2(player, source_v4, *group));
                }
                (IpAddr::V6(group), _) => mld.push(*group),
            }
        }
        if !igmp3.is_empty() {
            frames.push(report::igmp3(player, source_v4, &igmp3));
        }
        if !mld.is_empty() {
            frames.push(report::mld2(player, source_v6, &mld));
        }
        frames
    }

    fn observe_igmp(&mut self, player: MacAddr, kind: u8, body: &[u8]) {
        let group = read::ipv4_at(body, 4).map(IpAddr::V4);
        match (kind, group) {
            (0x12 | 0x16, Some(group)) => self.join(player, group, Version::Igmp2),
            (0x17, Some(group)) => self.leave(player, group),
            (0x22, _) => {
                let count = read::u16_at(body, 6).unwrap_or(0);
                let records = body.get(8..).unwrap_or_default();
                self.observe_records(player, records, count, 4, Version::Igmp3);
            }
            _ => {}
        }
    }

    fn observe_mld(&mut self, player: MacAddr, body: &[u8]) {
        let group = read::ipv6_at(body, 8).map(IpAddr::V6);
        match (read::u8_at(body, 0), group) {
            (Some(131), Some(group)) => self.join(player, group, Version::Mld),
            (Some(132), Some(group)) => self.leave(player, group),
            (Some(143), _) => {
                let count = read::u16_at(body, 6).unwrap_or(0);
                let records = body.get(8..).unwrap_or_default();
                self.observe_records(player, records, count, 16, Version::Mld);
            }
            _ => {}
        }
    }

    /// The group records of IGMPv3 (RFC 3376, section 4.2.4) and MLDv2
    /// (RFC 3810, section 5.2.5), which differ in the length of an address.
    fn observe_records(
        &mut self,
        player: MacAddr,
        mut records: &[u8],
        count: u16,
        address_len: usize,
        version: Version,
    ) {
        for _ in 0..count {
            let Some((kind, group, sources, len)) = record(records, address_len) else {
                return;
            };
            match (kind, sources) {
                // Include nothing: leave.
                (1 | 3, 0) => self.leave(player, group),
                // Sources are forgotten: the report asks for more, never less.
                (1 | 3 | 5, _) | (2 | 4, _) => self.join(player, group, version),
                _ => {}
            }
            records = records.get(len..).unwrap_or_default();
        }
    }

    fn join(&mut self, player: MacAddr, group: IpAddr, version: Version) {
        // All-hosts is never reported (RFC 3376, section 5; RFC 3810, section 6).
        let all_hosts = match group {
            IpAddr::V4(group) => group == Ipv4Addr::new(224, 0, 0, 1),
            IpAddr::V6(group) => group == Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        };
        if !group.is_multicast() || all_hosts {
            return;
        }
        if !self.joined.contains_key(&player) && self.joined.len() >= MAX_PLAYERS {
            return;
        }
        let groups = self.joined.entry(player).or_default();
        if groups.len() < PER_PLAYER || groups.contains_key(&group) {
            groups.insert(group, version);
        }
    }

    fn leave(&mut self, player: MacAddr, group: IpAddr) {
        if let Some(groups) = self.joined.get_mut(&player) {
            groups.remove(&group);
            if groups.is_empty() {
                self.joined.remove(&player);
            }
        }
    }
}

fn body<'a>(frame: &'a [u8], class: &Class, span: Span) -> &'a [u8] {
    let at = class.link.payload_at.saturating_add(span.at);
    read::slice_at(frame, at, span.len).unwrap_or_default()
}

/// Kind, group, number of sources and length of the first record.
fn record(records: &[u8], address_len: usize) -> Option<(u8, IpAddr, u16, usize)> {
    let sources = read::u16_at(records, 2)?;
    let group = match address_len {
        4 => IpAddr::V4(read::ipv4_at(records, 4)?),
        _ => IpAddr::V6(read::ipv6_at(records, 4)?),
    };
    let auxiliary = usize::from(read::u8_at(records, 1)?).saturating_mul(4);
    let len = usize::from(sources)
        .saturating_add(1)
        .saturating_mul(address_len)
        .saturating_add(4)
        .saturating_add(auxiliary);
    records.get(..len)?;
    Some((read::u8_at(records, 0)?, group, sources, len))
}

#[cfg(test)]
mod tests;
