//! Application close codes of a connection, as `docs/protocol.md` lists them.

use serde::{Deserialize, Serialize};

/// Why a connection was closed, or a join refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u16)]
pub enum CloseCode {
    /// The member left on purpose.
    Normal = 0,
    /// A message or too many datagrams broke the protocol.
    ProtocolError = 1,
    /// Hello did not come within 5 s, or joining took over 10 s.
    JoinTimeout = 2,
    /// The two sides speak no common protocol version.
    VersionMismatch = 3,
    /// A mandatory message of an unknown type.
    UnknownMessage = 4,
    /// The room code, key or proof was not accepted. Deliberately the same for
    /// an unknown room, a wrong key and a ban.
    NotAdmitted = 5,
    /// The relay's policy allows no rooms of this kind.
    RoomPolicy = 6,
    /// The room has a gateway already.
    GatewayPresent = 7,
    /// Another identity holds this MAC address in the room.
    MacInUse = 8,
    /// The MAC address is missing or may not be used by a member.
    MacNotAllowed = 9,
    /// The room is full.
    RoomFull = 10,
    /// The relay is full.
    RelayFull = 11,
    /// The same identity joined again on a newer connection.
    Replaced = 12,
    /// The relay is restarting; come back.
    Restarting = 13,
    /// The host removed this member.
    Kicked = 14,
    /// The member read its control stream too slowly.
    TooSlow = 15,
    /// A field of Hello is out of its range.
    InvalidHello = 16,
    /// Something went wrong inside the relay.
    InternalError = 17,
    /// A gateway found that its LAN and this room form a loop.
    LoopDetected = 18,
}
