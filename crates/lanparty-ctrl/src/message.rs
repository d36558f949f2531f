//! The messages of the control stream.

use lanparty_obs::stats::PeerStats;
use lanparty_proto::{MacAddr, PeerId};
use serde::{Deserialize, Serialize};

use crate::{CloseCode, RoomCode, RoomId};

/// The protocol version of this crate, in ALPN and Hello.
pub const PROTOCOL_VERSION: u16 = 1;
/// The ALPN token of that version.
pub const ALPN: &[u8] = b"lanparty/1";

/// One message of the control stream, in either direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    Hello(Box<Hello>),
    Welcome(Box<Welcome>),
    Reject(Reject),
    PeerJoined(Box<PeerInfo>),
    PeerLeft(PeerLeft),
    Stats(Box<PeerStats>),
    Ping(Ping),
    Pong(Ping),
    RoomPolicy(Box<RoomPolicy>),
    Restarting(Restarting),
    Disconnect(Disconnect),
}

/// What a member is in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A player with one registered MAC address.
    Client,
    /// The bridge to the party's LAN; at most one per room.
    Gateway,
}

/// The first message of a connection, from the member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    pub version: u16,
    #[serde(default)]
    pub features: Vec<Feature>,
    pub role: Role,
    pub room: RoomCode,
    /// Required for a client; absent for a gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    pub name: DisplayName,
    /// The largest datagram that this member can take, in bytes.
    pub datagram_budget: u16,
    /// The program and version, for the operator's eyes.
    pub agent: DisplayName,
    pub key_card: KeyCard,
    /// Proof that the member holds the room key; absent in rooms without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<Admission>,
    /// From an earlier Welcome: asks for the same peer id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<ResumeToken>,
}
