//! The number by which the members of a room know each other.

use std::fmt;
use std::num::NonZeroU16;

/// A peer id minted by the relay, unique within one room.
///
/// `0` means "the relay itself" and `0xFFFF` means "every member"; neither is
/// ever minted, so neither can be constructed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
