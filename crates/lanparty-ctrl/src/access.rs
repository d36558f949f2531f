//! The host's say over who is in the room.

use std::fmt;
use std::str::FromStr;

use lanparty_proto::{MacAddr, PeerId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hello::check_mac;
use crate::{BoundedVec, DisplayName, InvalidField, Role, hex};

/// SHA-256 of the SPKI of a member's TLS certificate: who somebody is in one
/// room, and nowhere else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub [u8; 32]);

/// A text is not an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an identity is 64 hexadecimal digits")]
pub struct IdentityError;

/// Identities that the host has decided about. Four times the players of a
/// full room.
pub type Identities = BoundedVec<Identity, 256>;

/// Who may be in the room. Gateway to relay; each one replaces the whole
/// earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Whether only members in `approved` may be in the room, beside the
    /// gateway itself.
    pub approval: bool,
    /// Never in the room, whatever else is said.
    pub banned: Identities,
    pub approved: Identities,
}

/// Somebody with the room key waits for the host's word. Relay to gateway;
/// the answer is an [`Access`] that lists the identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    pub identity: Identity,
    /// What it calls itself: no proof of anything.
    pub name: DisplayName,
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
}

/// The host puts a member out. Gateway to relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    pub peer: PeerId,
    /// Whether its identity may never come back, as if an [`Access`] listed it.
    pub ban: bool,
}

impl Asking {
    pub(crate) fn validate(&self) -> Result<(), InvalidField> {
        check_mac(self.role, self.mac)
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        hex::decode_array(text).map(Self).ok_or(IdentityError)
    }
}

impl From<[u8; 32]> for Identity {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({self})")
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        hex::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_read_back_as_they_print() {
        let identity = Identity([0xA1; 32]);
        let text = identity.to_string();
        assert_eq!(text, "a1".repeat(32));
        assert_eq!(text.parse(), Ok(identity));
        assert_eq!(text.to_uppercase().parse(), Ok(identity));
        for bad in ["", "a1", &"a1".repeat(33), &"g1".repeat(32)] {
            assert_eq!(bad.parse::<Identity>(), Err(IdentityError), "{bad}");
        }
    }
}
