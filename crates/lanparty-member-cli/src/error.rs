//! What can be wrong with the flags, or with what they name.

use std::io;
use std::path::PathBuf;

use lanparty_ctrl::room::RoomCodeError;
use lanparty_net::InviteError;
use lanparty_obs::ExitCode;
use lanparty_transport::TlsSetupError;

/// Flags that were understood but cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MemberArgsError {
    #[error("which room? Paste the host's invite, or give --relay and --room")]
    NoRoom,
    #[error("--room cannot be used: {0}")]
    Room(#[from] RoomCodeError),
    #[error("{0}")]
    Invite(#[from] InviteError),
    #[error("the invite names a room that cannot be: {0}; ask the host for another invite")]
    InvitedRoom(#[source] RoomCodeError),
    #[error("{} cannot be read as an invite: {reason}; check --invite-file", path.display())]
    InviteFile { path: PathBuf, reason: io::Error },
    #[error("the invite could not be asked for: {0}; give it with --invite-file")]
    Prompt(#[source] io::Error),
    #[error(
        "{} holds no room key: {reason}; it must have 64 hexadecimal digits, check --room-key-file",
        path.display()
    )]
    RoomKey { path: PathBuf, reason: io::Error },
    #[error("--name {name:?} cannot be shown to others: {reason}")]
    Name { name: String, reason: String },
    #[error(
        "{} holds no certificate: {reason}; take the file that the relay wrote with --dev-cert-der-out, and check --relay-ca-cert",
        path.display()
    )]
    Certificate { path: PathBuf, reason: io::Error },
    #[error(
        "no relay can be trusted: {0}; name its certificate with --relay-ca-cert or its key with --relay-pin"
    )]
    Trust(TlsSetupError),
}

impl MemberArgsError {
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoRoom => ExitCode::Usage,
            Self::Room(_)
            | Self::Invite(_)
            | Self::InvitedRoom(_)
            | Self::InviteFile { .. }
            | Self::Prompt(_)
            | Self::RoomKey { .. }
            | Self::Name { .. } => ExitCode::Configuration,
            Self::Certificate { .. } | Self::Trust(_) => ExitCode::Certificate,
        }
    }
}
