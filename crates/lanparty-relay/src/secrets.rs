//! What the relay keeps across restarts, so that a restart costs its members
//! a moment and not their place.

use std::fs;
use std::path::{Path, PathBuf};

use lanparty_os::lock::Lock;
use lanparty_os::state_dir;
use lanparty_relay_core::RelaySecrets;
use lanparty_transport::EndpointKeys;

use crate::certificate::CertificateSource;
use crate::cli::Serve;
use crate::failure::Failure;
use crate::secret_file;

/// The directory's name under the place that holds all programs' state.
const PROGRAM: &str = "relay";

/// The relay's state directory, held for this process alone.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    _lock: Lock,
}

impl StateDir {
    pub(crate) fn open(chosen: Option<&Path>) -> Result<Self, Failure> {
        let path = state_dir::open(PROGRAM, chosen)?;
        let lock = Lock::acquire(&path.join("lock"))?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket_in(&self.path)
    }

    /// The key of the resume tokens.
    pub(crate) fn relay_secrets(&self) -> Result<RelaySecrets, Failure> {
        Ok(RelaySecrets {
            resume_key: self.secret("resume.key")?,
        })
    }

    /// The keys by which members of before the restart are told of it.
    pub(crate) fn endpoint_keys(&self) -> Result<EndpointKeys, Failure> {
        Ok(EndpointKeys::from_secret(self.secret("endpoint.key")?))
    }

    /// The certificate that the operator names, else the relay's own, whose
    /// key stays the same.
    pub(crate) fn certificate(&self, serve: &Serve) -> CertificateSource {
        match (&serve.tls_cert, &serve.tls_key) {
            (Some(chain), Some(key)) => CertificateSource::Files {
                chain: chain.clone(),
                key: key.clone(),
            },
            _ => CertificateSource::Own {
                seed: IdentityFiles::in_directory(&self.path).present,
                certificate_out: serve.dev_cert_der_out.clone(),
            },
        }
    }

    fn secret(&self, name: &str) -> Result<[u8; 32], Failure> {
        secret_file::load_or_create(&self.path.join(name))
    }
}

/// The seeds of the relay's own identity.
#[derive(Debug)]
pub(crate) struct IdentityFiles {
    pub(crate) present: PathBuf,
    /// Prepared, and shown to nobody yet.
    pub(crate) next: PathBuf,
}

impl IdentityFiles {
    /// Those of the relay with this state directory, also while it runs.
    pub(crate) fn find(chosen: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self::in_directory(&state_dir::open(PROGRAM, chosen)?))
    }

    fn in_directory(directory: &Path) -> Self {
        Self {
            present: directory.join("identity.seed"),
            next: directory.join("identity.next.seed"),
        }
    }

    /// Makes the next identity the present one, in one step.
    pub(crate) fn switch(&self) -> Result<(), Failure> {
        fs::rename(&self.next, &self.present).map_err(Failure::Switch)
    }
}

/// Where the relay with this state directory answers, without opening it.
pub(crate) fn find_socket(chosen: Option<&Path>) -> Result<PathBuf, Failure> {
    Ok(socket_in(&state_dir::open(PROGRAM, chosen)?))
}

fn socket_in(directory: &Path) -> PathBuf {
    directory.join("relay.sock")
}
