//! What a session needs to know before it starts.

use lanparty_ctrl::{Access, CreateToken, DisplayName, Role, RoomCode, RoomPolicy};
use lanparty_proto::MacAddr;
use lanparty_seal::{RoomKey, Signer};

/// The settings of one member.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    pub role: Role,
    pub room: RoomCode,
    /// Makes the room a keyed one. Without it the room is open to whoever
    /// knows its name, and the relay reads along; a session with a key never
    /// falls back to that.
    pub key: Option<RoomKey>,
    /// Opens rooms on relays where only their operator's friends may.
    pub create_token: Option<CreateToken>,
    /// A player's registered address; a gateway's own network interface.
    pub mac: Option<MacAddr>,
    pub name: DisplayName,
    /// Program and version, for the relay's operator.
    pub agent: DisplayName,
    /// The identity key of the member in this room.
    pub signer: Signer,
    /// A gateway's choices for its room; ignored for a player.
    pub policy: RoomPolicy,
    /// A gateway's say over who may be in its room; ignored for a player.
    pub access: Access,
}
