//! Why the program could not start or go on, and its exit status.

use std::io;
use std::path::PathBuf;

use lanparty_obs::ExitCode;
use lanparty_os::lock::LockError;
use lanparty_os::private_file::PrivateFileError;
use lanparty_os::state_dir::StateDirError;
use lanparty_transport::{BindError, TlsSetupError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{}", bind_sentence(.0))]
    Bind(#[from] BindError),
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    #[error(transparent)]
    Secret(#[from] PrivateFileError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("the relay's certificate cannot be used: {0}; check --tls-cert and --tls-key")]
    Certificate(#[from] TlsSetupError),
    #[error("cannot read {}: {source}; check --tls-cert and --tls-key", path.display())]
    ReadCertificate {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} can be read by other users; run `chmod 600` on it", .0.display())]
    KeyTooOpen(PathBuf),
    #[error(
        "no next key is prepared; run `lanparty-relay rotate-identity` first and hand out both pins"
    )]
    NoNextIdentity,
    #[error("the tokens in {} cannot be used: {why}; check --room-tokens", path.display())]
    RoomTokens { path: PathBuf, why: String },
    #[error("cannot make the next key the present one: {0}")]
    Switch(#[source] io::Error),
    #[error("cannot write the certificate to {}: {source}; choose another file with --dev-cert-der-out", path.display())]
    WriteCertificate {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot open the local socket {}: {source}; choose another directory with --state-dir", path.display())]
    LocalSocket {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no relay answers at {}: {source}; is one running, as this user and with the same --state-dir?", path.display())]
    NoRelay {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the relay's answer cannot be read: {0}; are both the same version?")]
    Answer(#[source] serde_json::Error),
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    #[error("cannot {0}: {1}")]
    System(&'static str, #[source] io::Error),
}

impl Failure {
    pub(crate) const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Bind(BindError::PermissionDenied(_)) => ExitCode::Privilege,
            Self::Bind(BindError::Tls(_))
            | Self::Certificate(_)
            | Self::ReadCertificate { .. }
            | Self::KeyTooOpen(_)
            | Self::WriteCertificate { .. } => ExitCode::Certificate,
            Self::Bind(BindError::AddressInUse(_) | BindError::Socket { .. }) => ExitCode::Bind,
            Self::RoomTokens { .. } => ExitCode::Configuration,
            Self::StateDir(_)
            | Self::Secret(_)
            | Self::Lock(_)
            | Self::NoNextIdentity
            | Self::Switch(_)
            | Self::LocalSocket { .. } => ExitCode::State,
            Self::NoRelay { .. } => ExitCode::RelayUnreachable,
            Self::Answer(_) => ExitCode::VersionMismatch,
            Self::Output(_) | Self::System(..) => ExitCode::Failure,
        }
    }
}

fn bind_sentence(error: &BindError) -> String {
    match error {
        BindError::Socket { source, .. } => {
            format!("{error}: {source}; choose an address of this machine with --listen")
        }
        BindError::AddressInUse(_) | BindError::PermissionDenied(_) => error.to_string(),
        BindError::Tls(source) => format!("{error}: {source}; check --tls-cert and --tls-key"),
    }
}
