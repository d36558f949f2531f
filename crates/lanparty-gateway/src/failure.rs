//! Why the program could not start or go on, and its exit status.

use std::io;
use std::path::PathBuf;

use lanparty_client_core::End;
use lanparty_ctrl::{CloseCode, RoomCode};
use lanparty_lan::LanError;
use lanparty_member_cli::MemberArgsError;
use lanparty_net::{InviteError, ResolveError};
use lanparty_obs::ExitCode;
use lanparty_os::lock::LockError;
use lanparty_os::private_file::PrivateFileError;
use lanparty_os::state_dir::StateDirError;
use lanparty_proto::MacAddr;
use lanparty_transport::{BindError, TlsSetupError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Policy(String),
    #[error(transparent)]
    Member(#[from] MemberArgsError),
    #[error(
        "which room? --new-room makes one with a key, --room names one; or give the room's invite"
    )]
    NoRoom,
    #[error("--new-room makes a key, but one was given; leave one of them out")]
    NewRoomWithKey,
    #[error(
        "this gateway's own room is {own}, and a new one would make its invite worthless; leave --room out to join it, \
         or choose another directory with --state-dir"
    )]
    OtherRoom { own: RoomCode },
    #[error("this gateway has no room of its own whose key it could replace; --new-room makes one")]
    NoOwnRoom,
    #[error("the room is moving to a new key already; try again in a moment")]
    Moving,
    #[error("{} holds no room; delete it to make a new one, with a new invite", path.display())]
    RoomFile { path: PathBuf },
    #[error("{} holds no list of members; delete it to begin with an empty one", path.display())]
    AccessFile { path: PathBuf },
    #[error("there is no invite yet: start the gateway once, so that it meets the relay")]
    NoInvite,
    #[error("{} holds no invite; start the gateway to have it written again", path.display())]
    InviteFile { path: PathBuf },
    #[error("this room has no invite: {0}")]
    Invite(#[source] InviteError),
    #[error("{} holds no token: {reason}; check --create-token-file", path.display())]
    CreateToken { path: PathBuf, reason: String },
    #[error("{0}")]
    Refused(String),
    #[error("{0}; {hint}", hint = .0.user_hint())]
    Lan(#[from] LanError),
    #[error("the interface {0} is gone; start the gateway again when it is back")]
    InterfaceGone(String),
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    #[error(transparent)]
    Secret(#[from] PrivateFileError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("this gateway's identity cannot be used: {0}")]
    Identity(#[source] TlsSetupError),
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error(transparent)]
    Transport(#[from] BindError),
    #[error("{0}")]
    Ended(End),
    #[error(
        "another gateway ({mac}) already serves this LAN; two of them would join their rooms into one. Stop the other one first."
    )]
    SecondGateway { mac: MacAddr },
    #[error("cannot open the local socket {}: {source}; choose another directory with --state-dir", path.display())]
    LocalSocket {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no gateway answers at {}: {source}; is one running, as this user and with the same --state-dir?", path.display())]
    NoGateway {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the gateway's answer cannot be read: {0}; are both the same version?")]
    Answer(#[source] serde_json::Error),
    #[error("cannot {0}: {1}")]
    System(&'static str, #[source] io::Error),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Policy(_) | Self::NoRoom | Self::NewRoomWithKey => ExitCode::Usage,
            Self::OtherRoom { .. }
            | Self::NoOwnRoom
            | Self::Invite(_)
            | Self::CreateToken { .. } => ExitCode::Configuration,
            Self::Lan(error) => error.exit_code(),
            Self::InterfaceGone(_) => ExitCode::Interface,
            Self::StateDir(_)
            | Self::Secret(_)
            | Self::Lock(_)
            | Self::LocalSocket { .. }
            | Self::RoomFile { .. }
            | Self::AccessFile { .. }
            | Self::NoInvite
            | Self::InviteFile { .. } => ExitCode::State,
            Self::Member(error) => error.exit_code(),
            Self::Transport(BindError::Tls(_)) => ExitCode::Certificate,
            Self::Resolve(_) | Self::NoGateway { .. } => ExitCode::RelayUnreachable,
            Self::Ended(end) => end.exit_code(),
            Self::SecondGateway { .. } => CloseCode::LoopDetected.exit_code(),
            Self::Answer(_) => ExitCode::VersionMismatch,
            Self::Identity(_)
            | Self::Transport(_)
            | Self::System(..)
            | Self::Refused(_)
            | Self::Moving => ExitCode::Failure,
        }
    }
}
