//! What a session knows about itself, for status lines and for the relay.

use std::time::Duration;

use lanparty_obs::drops::DropCounts;
use lanparty_obs::stats::{LanStats, LineStatus, TapStats, TunnelCounters};
use lanparty_proto::{PeerId, ethernet, overlay};

use crate::probes::Rtt;
use crate::tunnel::SEAL_LEN;

/// What only the driver can see; it hands it over before each status report.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    pub relay_rtt: Option<Duration>,
    /// Drops of the transport and of the adapter or LAN interface.
    pub drops: DropCounts,
    /// The largest datagram that the path carries now.
    pub datagram_budget: Option<usize>,
    pub line: Option<LineStatus>,
    pub tap: Option<TapStats>,
    pub lan: Option<LanStats>,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Idle,
    Dialling,
    /// Connected and waiting for the relay's answer.
    Joining,
    Joined,
    /// Waiting to dial again.
    Waiting,
    Ended,
}

/// A session at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub phase: Phase,
    pub own_id: Option<PeerId>,
    /// Time since this join.
    pub joined_for: Option<Duration>,
    pub relay_rtt: Option<Duration>,
    pub gateway: Option<PeerId>,
    pub gateway_rtt: Option<Rtt>,
    /// The other members in the room.
    pub peers: usize,
    pub budget: Option<Budget>,
    pub counters: TunnelCounters,
    /// The session's own drops and those of the driver's readings.
    pub drops: DropCounts,
}

/// How the path's datagrams compare with the room's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The largest datagram that the path carries.
    pub available: usize,
    /// What a frame of the room's adapter MTU needs.
    pub needed: usize,
}

impl Budget {
    #[must_use]
    pub fn new(available: usize, tap_mtu: u16, sealed: bool) -> Self {
        let seal = if sealed { SEAL_LEN } else { 0 };
        Self {
            available,
            needed: overlay::HEADER_LEN + seal + ethernet::HEADER_LEN + usize::from(tap_mtu),
        }
    }

    /// True where the largest frames of the adapter cross in two pieces.
    #[must_use]
    pub const fn fragments(self) -> bool {
        self.available < self.needed
    }
}
