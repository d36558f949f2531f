//! The first message of a connection, from the member.

use lanparty_proto::MacAddr;
use lanparty_proto::mtu::{MAX_DATAGRAM_BUDGET, MIN_DATAGRAM_BUDGET};
use serde::{Deserialize, Serialize};

use crate::feature::Features;
use crate::{Admission, CreateToken, DisplayName, InvalidField, KeyCard, ResumeToken, RoomCode};

/// What a member is in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A player with one registered MAC address.
    Client,
    /// The bridge to the party's LAN; at most one per room.
    Gateway,
}

impl Role {
    /// For a person.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Client => "player",
            Self::Gateway => "gateway",
        }
    }
}

/// A member's request to be let into a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub version: u16,
    #[serde(default)]
    pub features: Features,
    pub role: Role,
    pub room: RoomCode,
    /// Whether this join may open a keyed room that nobody is in.
    #[serde(default)]
    pub create: bool,
    /// What the relay's operator gave to this host to open rooms with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_token: Option<CreateToken>,
    /// See [`check_mac`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    pub name: DisplayName,
    /// The largest datagram that this member's path carries now, in bytes.
    pub datagram_budget: u16,
    /// The program and its version, for the operator's eyes.
    pub agent: DisplayName,
    pub key_card: KeyCard,
    /// Present exactly in keyed rooms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<Admission>,
    /// From an earlier Welcome: asks for the same peer id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<ResumeToken>,
}

impl Hello {
    /// Checks the fields that their types cannot.
    ///
    /// # Errors
    /// The first field that cannot be accepted.
    pub fn validate(&self) -> Result<(), InvalidField> {
        check_mac(self.role, self.mac)?;
        if !(MIN_DATAGRAM_BUDGET..=MAX_DATAGRAM_BUDGET).contains(&self.datagram_budget) {
            return Err(InvalidField::DatagramBudget(self.datagram_budget));
        }
        Ok(())
    }
}

/// Checks the MAC address that a member of this role announces.
///
/// A client has exactly one, unicast and locally administered. A gateway
/// speaks for the whole LAN; it may announce the unicast address of its own
/// network interface, so that no client can take that address, which in a
/// virtual machine may well be a locally administered one.
///
/// # Errors
/// The rule that is broken.
pub fn check_mac(role: Role, mac: Option<MacAddr>) -> Result<(), InvalidField> {
    match (role, mac) {
        (Role::Client, None) => Err(InvalidField::ClientWithoutMac),
        (Role::Client, Some(mac)) => mac
            .validate_identity()
            .map(drop)
            .map_err(InvalidField::ClientMac),
        (Role::Gateway, Some(mac)) if mac.is_zero() || mac.is_multicast() => {
            Err(InvalidField::GatewayMac)
        }
        (Role::Gateway, _) => Ok(()),
    }
}
