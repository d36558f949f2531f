//! The messages of the control stream.

use lanparty_obs::stats::PeerStats;
use serde::Serialize;

use crate::{
    Access, Asking, Disconnect, Hello, PeerInfo, PeerLeft, Ping, Reject, Remove, Restarting,
    RoomPolicy, Sealed, Welcome,
};

/// One message of the control stream, in either direction. In JSON the
/// member `type` holds [`Message::name`], beside the fields of the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// Member to relay, first on the stream.
    Hello(Box<Hello>),
    /// Relay to member, the answer to an accepted Hello.
    Welcome(Box<Welcome>),
    /// Relay to member, the answer to a refused Hello.
    Reject(Reject),
    /// Relay to member: somebody is in the room.
    PeerJoined(Box<PeerInfo>),
    /// Relay to member: somebody left the room.
    PeerLeft(PeerLeft),
    /// Member to relay, every [`crate::timers::STATS_INTERVAL`].
    Stats(Box<PeerStats>),
    /// Either way.
    Ping(Ping),
    /// Either way, the answer to a Ping.
    Pong(Ping),
    /// Gateway to relay, then relay to members.
    RoomPolicy(Box<RoomPolicy>),
    /// Gateway to relay: who may be in the room.
    Access(Box<Access>),
    /// Relay to gateway: somebody waits for the host's word.
    Asking(Box<Asking>),
    /// Gateway to relay: a member must go.
    Remove(Remove),
    /// Member to relay to members of a keyed room.
    Sealed(Sealed),
    /// Relay to member.
    Restarting(Restarting),
    /// Either way, last on the stream.
    Disconnect(Disconnect),
}

impl Message {
    /// All names that `type` may have, in the order of the document.
    pub const NAMES: &'static [&'static str] = &[
        "hello",
        "welcome",
        "reject",
        "peer_joined",
        "peer_left",
        "stats",
        "ping",
        "pong",
        "room_policy",
        "access",
        "asking",
        "remove",
        "sealed",
        "restarting",
        "disconnect",
    ];

    /// The value of `type`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Welcome(_) => "welcome",
            Self::Reject(_) => "reject",
            Self::PeerJoined(_) => "peer_joined",
            Self::PeerLeft(_) => "peer_left",
            Self::Stats(_) => "stats",
            Self::Ping(_) => "ping",
            Self::Pong(_) => "pong",
            Self::RoomPolicy(_) => "room_policy",
            Self::Access(_) => "access",
            Self::Asking(_) => "asking",
            Self::Remove(_) => "remove",
            Self::Sealed(_) => "sealed",
            Self::Restarting(_) => "restarting",
            Self::Disconnect(_) => "disconnect",
        }
    }
}
