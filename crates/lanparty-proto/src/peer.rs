//! The number by which the members of a room know each other.

use std::fmt;
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

/// A peer id minted by the relay, unique within one room.
///
/// `0` means "the relay itself" and `0xFFFF` means "every member"; neither is
/// ever minted, so neither can be constructed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct PeerId(NonZeroU16);

/// The wire value that names the relay as source or target of a probe.
pub const RELAY: u16 = 0;
/// The wire value reserved for "every member of the room".
pub const EVERYONE: u16 = 0xFFFF;

/// A number that names no single member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("peer id {0} is reserved")]
pub struct ReservedPeerId(pub u16);

impl PeerId {
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl TryFrom<u16> for PeerId {
    type Error = ReservedPeerId;

    fn try_from(raw: u16) -> Result<Self, Self::Error> {
        match NonZeroU16::new(raw) {
            Some(id) if raw != EVERYONE => Ok(Self(id)),
            _ => Err(ReservedPeerId(raw)),
        }
    }
}

impl From<PeerId> for u16 {
    fn from(id: PeerId) -> Self {
        id.get()
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({})", self.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_carries_a_number_and_refuses_the_reserved_ones() {
        let id = PeerId::try_from(258).unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "258");
        assert_eq!(serde_json::from_str::<PeerId>("258").unwrap(), id);
        for json in ["0", "65535", "65536", "-1", "\"7\""] {
            serde_json::from_str::<PeerId>(json).unwrap_err();
        }
    }
}
