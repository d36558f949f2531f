//! Why a member program could not start, in the words that a user reads.

use std::path::PathBuf;

use crate::ExitCode;

/// A problem with this computer or its settings. Each sentence says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the room code cannot be used: {reason}")]
    RoomCode { reason: String },
    #[error("the MAC address cannot be used: {reason}")]
    Mac { reason: String },
    #[error(
        "{} holds no certificate: {reason}; take the file that the relay wrote with --dev-cert-der-out",
        path.display()
    )]
    Certificate { path: PathBuf, reason: String },
    #[error(
        "the relay's certificate was not accepted for {server_name}: {reason}; check --server-name and --relay-ca-cert, or ask the relay's operator"
    )]
    WrongRelay { server_name: String, reason: String },
    #[error("the interface {name} cannot be used: {reason}; {remedy}")]
    Interface {
        name: String,
        reason: String,
        remedy: String,
    },
    #[error("this needs {capability}; {remedy}")]
    Privilege {
        capability: &'static str,
        remedy: String,
    },
    #[error(
        "the relay {relay} cannot be reached: {reason}; check the address and the internet connection"
    )]
    RelayUnreachable { relay: String, reason: String },
    #[error("the directory {} cannot be used: {reason}; choose another with --state-dir", path.display())]
    StateDirectory { path: PathBuf, reason: String },
    #[error("another instance already uses {}; stop it first, or choose another --state-dir", path.display())]
    AlreadyRunning { path: PathBuf },
}

impl Problem {
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::RoomCode { .. } | Self::Mac { .. } => ExitCode::Configuration,
            Self::Certificate { .. } | Self::WrongRelay { .. } => ExitCode::Certificate,
            Self::Interface { .. } => ExitCode::Interface,
            Self::Privilege { .. } => ExitCode::Privilege,
            Self::RelayUnreachable { .. } => ExitCode::RelayUnreachable,
            Self::StateDirectory { .. } | Self::AlreadyRunning { .. } => ExitCode::State,
        }
    }
}
