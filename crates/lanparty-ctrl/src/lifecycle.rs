//! What happens to members and connections: refusals, comings and goings.

use lanparty_proto::{MacAddr, PeerId};
use serde::{Deserialize, Serialize};

use crate::hello::check_mac;
use crate::{CloseCode, DisplayName, DisplayText, InvalidField, KeyCard, Role};

/// The longest delay that a relay may ask for.
pub const MAX_DELAY_MS: u32 = 3_600_000;

/// The relay's answer to a Hello that it does not accept. The connection is
/// closed with the same code. Every protocol version has this message with
/// these fields, so that versions can refuse each other in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    pub code: CloseCode,
    pub message: DisplayText,
    /// When a new attempt may make sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
    pub relay_version: u16,
}

impl Reject {
    pub(crate) fn validate(&self) -> Result<(), InvalidField> {
        check_delay(self.retry_after_ms.unwrap_or(0))
    }
}

/// A member of the room, as the others know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerInfo {
    pub peer: PeerId,
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    pub name: DisplayName,
    pub key_card: KeyCard,
}

impl PeerInfo {
    pub(crate) fn validate(&self) -> Result<(), InvalidField> {
        check_mac(self.role, self.mac)
    }
}

/// A member left the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLeft {
    pub peer: PeerId,
    pub reason: CloseCode,
}

/// A sign of life; Pong carries the nonce of its Ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    pub nonce: u64,
}

/// The relay goes away on purpose and expects to be back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarting {
    /// When to dial again.
    pub reconnect_in_ms: u32,
    /// For how long to keep trying without alarming the user.
    pub try_for_ms: u32,
}

impl Restarting {
    pub(crate) fn validate(&self) -> Result<(), InvalidField> {
        check_delay(self.reconnect_in_ms)?;
        check_delay(self.try_for_ms)
    }
}

/// The last message before a connection is closed on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disconnect {
    pub reason: CloseCode,
    pub message: DisplayText,
}

fn check_delay(ms: u32) -> Result<(), InvalidField> {
    if ms > MAX_DELAY_MS {
        return Err(InvalidField::Delay(ms));
    }
    Ok(())
}
