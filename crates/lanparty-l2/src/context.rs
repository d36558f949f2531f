//! What the policy is told beside the frame.

use std::time::Instant;

use lanparty_proto::MacAddr;

use crate::bindings::IpBindings;
use crate::host::HostView;
use crate::members::Members;
use crate::rules::Rules;

/// Who sent the frame, which decides what it may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Sent by a player, to the LAN or to another player.
    PlayerToLan,
    /// Sent by the gateway on behalf of its LAN.
    LanToPlayer,
}

/// Who is checking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Relay,
    /// The only place where frames for other players do not pass, so that
    /// "not a listed host" can be said of ARP requests too.
    Gateway,
    Player,
}

/// What the checking place knows.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub place: Place,
    pub rules: &'a Rules,
    /// The registered MAC address of the player that sent the frame; `None`
    /// for frames from the gateway.
    pub sender: Option<MacAddr>,
    /// All players of the room, the checking player included.
    pub members: &'a dyn Members,
    /// Whose IP address is whose, where the place keeps such a table. Without
    /// one, only impossible source addresses are refused.
    pub bindings: Option<&'a IpBindings>,
    /// The gateway PC's own addresses and subnets; only the gateway has them.
    pub host: Option<&'a HostView>,
    pub now: Instant,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("place", &self.place)
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}
