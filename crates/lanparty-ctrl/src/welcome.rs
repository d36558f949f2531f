//! The relay's answer to an accepted Hello.

use std::net::SocketAddr;

use lanparty_proto::PeerId;
use lanparty_proto::mtu::{MAX_TAP_MTU, MIN_TAP_MTU};
use serde::{Deserialize, Serialize};

use crate::feature::Features;
use crate::{InvalidField, ResumeToken, RoomId, RoomPolicy};

/// What kind of LAN a room is right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A gateway is present: the room extends a real LAN.
    Lan,
    /// The room is a LAN among its players alone.
    Players,
}

/// Membership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub version: u16,
    pub mode: Mode,
    pub room_id: RoomId,
    /// The receiver's own id, the source of every datagram that it sends.
    pub peer_id: PeerId,
    /// The IP MTU of every adapter in the room, for the room's life.
    pub tap_mtu: u16,
    /// The gateway's id; present exactly in mode `lan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<PeerId>,
    /// Those of Hello's features that the relay agreed to.
    #[serde(default)]
    pub features: Features,
    pub resume: ResumeToken,
    /// Where the relay sees the member's packets come from.
    pub observed_address: SocketAddr,
    pub policy: RoomPolicy,
}

impl Welcome {
    /// Checks the fields that their types cannot.
    ///
    /// # Errors
    /// The first field that cannot be accepted.
    pub fn validate(&self) -> Result<(), InvalidField> {
        check_tap_mtu(self.tap_mtu)?;
        match (self.mode, self.gateway) {
            (Mode::Lan, Some(_)) | (Mode::Players, None) => Ok(()),
            (Mode::Lan, None) | (Mode::Players, Some(_)) => Err(InvalidField::Mode),
        }
    }
}

/// Checks an effective TAP MTU: not below what IPv6 needs and not above what
/// a standard LAN carries.
///
/// # Errors
/// The value, where it is out of range.
pub fn check_tap_mtu(mtu: u16) -> Result<(), InvalidField> {
    if (MIN_TAP_MTU..=MAX_TAP_MTU).contains(&mtu) {
        Ok(())
    } else {
        Err(InvalidField::TapMtu(mtu))
    }
}
