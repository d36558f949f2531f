//! What the relay tells its operator: `lanparty-relay rooms --json`.

use std::net::SocketAddr;
use std::time::Instant;

use lanparty_ctrl::{DisplayName, Mode, Role, RoomCode, RoomId, RoomPolicy};
use lanparty_obs::DropCounts;
use lanparty_obs::stats::{LineStatus, PeerStats};
use lanparty_proto::{MacAddr, PeerId};
use serde::{Deserialize, Serialize};

use crate::connection::Conn;
use crate::counters::Counters;
use crate::room::{Member, Room};

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
    pub line: LineStatus,
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
