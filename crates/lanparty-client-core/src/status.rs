//! The member's status, as far as the session knows it.

use std::time::{Duration, Instant};

use lanparty_ctrl::{PeerInfo, Role};
use lanparty_obs::diagnostics::{GatewayStatus, MemberStatus, PeerStatus, RelayStatus};

use crate::Session;

impl Session {
    /// The driver adds the relay's address and path, and a player's adapter.
    #[must_use]
    pub fn status(&self, now: Instant) -> MemberStatus {
        let snapshot = self.snapshot(now);
        let budget = self.readings().datagram_budget;
        MemberStatus {
            room: self.config().room.to_string(),
            peer_id: snapshot.joined_for.and(snapshot.own_id),
            uptime_s: snapshot.joined_for.map(|uptime| uptime.as_secs()),
            relay: RelayStatus {
                connected: self.is_joined(),
                address: None,
                rtt_us: snapshot.relay_rtt.map(micros),
                datagram_budget: budget.and_then(|budget| u16::try_from(budget).ok()),
                path: None,
                line: self.readings().line.clone(),
            },
            gateway: GatewayStatus {
                present: match self.config().role {
                    Role::Client => snapshot.gateway.is_some(),
                    Role::Gateway => self.is_joined(),
                },
                rtt_us: snapshot.gateway_rtt.map(|rtt| micros(rtt.smoothed)),
            },
            tap: None,
            lan: self.readings().lan,
            peers: self.roster().iter().map(|info| self.peer(info)).collect(),
            counters: snapshot.counters,
            drops: snapshot.drops,
        }
    }

    fn peer(&self, info: &PeerInfo) -> PeerStatus {
        PeerStatus {
            peer: info.peer,
            role: match info.role {
                Role::Client => "client".to_owned(),
                Role::Gateway => "gateway".to_owned(),
            },
            name: info.name.to_string(),
            mac: info.mac,
            rtt_us: self.peer_rtt(info.peer).map(|rtt| micros(rtt.smoothed)),
            standing: self.standing(info.peer),
        }
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
