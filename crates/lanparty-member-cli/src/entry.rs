//! What the flags come to: the way into a room.

use std::io;
use std::path::PathBuf;

use lanparty_ctrl::RoomCode;
use lanparty_net::{Invite, RelayEndpoint};
use lanparty_seal::RoomKey;
use lanparty_transport::{Identity, ServerTrust, TlsSetupError};

use crate::error::MemberArgsError;

/// Where the relay is and whom to take for it, and the room as far as it was
/// said.
#[derive(Debug)]
pub struct Place {
    pub relay: RelayEndpoint,
    /// The name that the relay's certificate must have.
    pub server_name: String,
    pub trust: ServerTrust,
    pub room: Option<RoomCode>,
    pub key: Option<RoomKey>,
    /// The file that the trust came from.
    pub(crate) certificate: Option<PathBuf>,
}

/// A [`Place`] with a room.
#[derive(Debug)]
pub struct Entry {
    pub relay: RelayEndpoint,
    /// The name that the relay's certificate must have.
    pub server_name: String,
    pub trust: ServerTrust,
    pub room: RoomCode,
    /// None: the room is open to whoever knows its name.
    pub key: Option<RoomKey>,
    certificate: Option<PathBuf>,
}

impl Place {
    pub(crate) fn of_invite(invite: &Invite) -> Result<Self, MemberArgsError> {
        let pins = invite.pins().iter().copied().map(Identity).collect();
        Ok(Self {
            relay: invite.relay().clone(),
            server_name: invite.relay().server_name(),
            trust: match invite.pins() {
                [] => ServerTrust::SystemRoots,
                _ => ServerTrust::Pin(pins),
            },
            room: Some(
                invite
                    .room()
                    .parse()
                    .map_err(MemberArgsError::InvitedRoom)?,
            ),
            key: invite.key().copied().map(RoomKey::from_bytes),
            certificate: None,
        })
    }

    /// What to say when the transport cannot use that trust.
    #[must_use]
    pub fn unusable_trust(&self, error: TlsSetupError) -> MemberArgsError {
        unusable_trust(self.certificate.as_ref(), error)
    }

    /// # Errors
    /// When no room was named.
    pub fn entry(self) -> Result<Entry, MemberArgsError> {
        Ok(Entry {
            relay: self.relay,
            server_name: self.server_name,
            trust: self.trust,
            room: self.room.ok_or(MemberArgsError::NoRoom)?,
            key: self.key,
            certificate: self.certificate,
        })
    }
}

impl Entry {
    /// What to say when the transport cannot use that trust.
    #[must_use]
    pub fn unusable_trust(&self, error: TlsSetupError) -> MemberArgsError {
        unusable_trust(self.certificate.as_ref(), error)
    }
}

fn unusable_trust(certificate: Option<&PathBuf>, error: TlsSetupError) -> MemberArgsError {
    match certificate {
        Some(path) => MemberArgsError::Certificate {
            path: path.clone(),
            reason: io::Error::other(error.to_string()),
        },
        None => MemberArgsError::Trust(error),
    }
}
