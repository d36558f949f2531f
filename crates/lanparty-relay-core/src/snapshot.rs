//! What the relay tells its operator: `lanparty-relay rooms --json`.

use std::net::SocketAddr;
use std::time::Instant;

use lanparty_ctrl::{DisplayName, Mode, Role, RoomCode, RoomId, RoomPolicy};
use lanparty_obs::stats::PeerStats;
use lanparty_obs::{DropCounts, DropReason};
use lanparty_proto::{MacAddr, PeerId};
use serde::{Deserialize, Serialize};

use crate::Conn;
use crate::forward::Verdict;
use crate::room::{Member, Room};

/// Datagrams that members sent and what became of them.
///
/// `datagrams_in = forwarded + answered + drops.total()`, always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub datagrams_in: u64,
    pub bytes_in: u64,
    /// Datagrams that went to at least one member.
    pub forwarded: u64,
    /// Copies sent, one for each target.
    pub copies_out: u64,
    pub bytes_out: u64,
    /// Probes that the relay answered itself.
    pub answered: u64,
    pub drops: DropCounts,
    /// Sealed messages passed on, one for each receiver.
    pub sealed_out: u64,
    /// Sealed messages beyond their sender's budget, the same way.
    pub sealed_dropped: u64,
}

impl Counters {
    pub(crate) const fn sealed(&mut self, passed: u64, dropped: u64) {
        self.sealed_out = self.sealed_out.saturating_add(passed);
        self.sealed_dropped = self.sealed_dropped.saturating_add(dropped);
    }

    /// A datagram of this many bytes came in.
    pub(crate) fn received(&mut self, bytes: u64) {
        self.datagrams_in = self.datagrams_in.saturating_add(1);
        self.bytes_in = self.bytes_in.saturating_add(bytes);
    }

    /// The same, with what became of it.
    pub(crate) fn count(
        &mut self,
        bytes: u64,
        verdict: &Result<Verdict, DropReason>,
        targets: usize,
    ) {
        self.received(bytes);
        match verdict {
            Ok(Verdict::Forward(_)) => {
                let copies = u64::try_from(targets).unwrap_or(u64::MAX);
                self.forwarded = self.forwarded.saturating_add(1);
                self.copies_out = self.copies_out.saturating_add(copies);
                self.bytes_out = self.bytes_out.saturating_add(bytes.saturating_mul(copies));
            }
            Ok(Verdict::Answer(..)) => self.answered = self.answered.saturating_add(1),
            Err(reason) => self.drops.add(*reason),
        }
    }
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoomsSnapshot {
    pub relay: RelaySnapshot,
    pub rooms: Vec<RoomSnapshot>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RelaySnapshot {
    pub uptime_s: u64,
    pub draining: bool,
    /// Connections, joined or not.
    pub connections: usize,
    #[serde(flatten)]
    pub counters: Counters,
    /// Lost between a decision to forward and the member, by queues and QUIC,
    /// on all connections so far. Only the driver knows.
    pub links: DropCounts,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoomSnapshot {
    pub room: RoomCode,
    pub id: RoomId,
    /// Whether only holders of its key get in and the relay cannot read along.
    pub keyed: bool,
    pub mode: Mode,
    pub age_s: u64,
    pub tap_mtu: u16,
    pub policy: RoomPolicy,
    pub members: Vec<MemberSnapshot>,
    #[serde(flatten)]
    pub counters: Counters,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberSnapshot {
    pub peer: PeerId,
    pub role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    pub name: DisplayName,
    pub agent: DisplayName,
    pub remote: SocketAddr,
    pub joined_s: u64,
    /// Since the last datagram or control message.
    pub last_seen_ms: u64,
    /// As the member said in Hello.
    pub datagram_budget: u16,
    #[serde(flatten)]
    pub counters: Counters,
    /// The last report of the member, with its age.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<PeerStats>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats_age_ms: Option<u64>,
    /// The connection to the member, as the driver sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkSnapshot>,
}

/// What only the driver knows about a member's connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSnapshot {
    pub rtt_us: u64,
    /// The largest datagram that the path carries now.
    pub datagram_budget: u16,
    pub queue_bytes: u64,
    pub packets_lost: u64,
    pub drops: DropCounts,
}

impl Room {
    pub(crate) fn snapshot(
        &self,
        tap_mtu: u16,
        now: Instant,
        link: &mut impl FnMut(Conn) -> Option<LinkSnapshot>,
    ) -> RoomSnapshot {
        RoomSnapshot {
            room: self.code.clone(),
            id: self.id,
            keyed: self.keyed,
            mode: self.mode(),
            age_s: now.saturating_duration_since(self.opened).as_secs(),
            tap_mtu,
            policy: self.policy.clone(),
            members: self
                .members
                .values()
                .map(|member| member.snapshot(now, link(member.conn)))
                .collect(),
            counters: self.counters.clone(),
        }
    }
}

impl Member {
    fn snapshot(&self, now: Instant, link: Option<LinkSnapshot>) -> MemberSnapshot {
        let millis = |since: Instant| {
            let age = now.saturating_duration_since(since).as_millis();
            u64::try_from(age).unwrap_or(u64::MAX)
        };
        MemberSnapshot {
            peer: self.info.peer,
            role: self.info.role,
            mac: self.info.mac,
            name: self.info.name.clone(),
            agent: self.agent.clone(),
            remote: self.remote,
            joined_s: now.saturating_duration_since(self.joined).as_secs(),
            last_seen_ms: millis(self.last_seen),
            datagram_budget: self.datagram_budget,
            counters: self.counters.clone(),
            stats: self.stats.as_ref().map(|(_, stats)| (**stats).clone()),
            stats_age_ms: self.stats.as_ref().map(|&(at, _)| millis(at)),
            link,
        }
    }
}
