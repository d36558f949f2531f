//! What the relay keeps across restarts, so that a restart costs its members
//! a moment and not their place.

use std::fs;
use std::path::{Path, PathBuf};

use lanparty_os::lock::Lock;
use lanparty_os::private_file;
use lanparty_os::state_dir;
use lanparty_relay_core::RelaySecrets;
use lanparty_transport::EndpointKeys;
use lanparty_transport::identity::{DEVELOPMENT_NAMES, ServerIdentity};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use crate::cli::Serve;
use crate::failure::Failure;

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
    pub(crate) fn identity(&self, serve: &Serve) -> Result<ServerIdentity, Failure> {
        if let Some(files) = serve.certificate_files() {
            return files.read();
        }
        let seed = self.secret("identity.seed")?;
        Ok(ServerIdentity::self_signed(&seed, &DEVELOPMENT_NAMES)?)
    }

    fn secret(&self, name: &str) -> Result<[u8; 32], Failure> {
        let create = || {
            let mut secret = [0; 32];
            StdRng::from_os_rng().fill_bytes(&mut secret);
            secret
        };
        Ok(private_file::load_or_create(&self.path.join(name), create)?)
    }
}

/// A certificate that somebody else renews.
#[derive(Debug)]
pub(crate) struct CertificateFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl CertificateFiles {
    pub(crate) fn read(&self) -> Result<ServerIdentity, Failure> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|source| Failure::ReadCertificate {
                path: path.clone(),
                source,
            })
        };
        Ok(ServerIdentity::from_pem(
            &read(&self.cert)?,
            &read(&self.key)?,
        )?)
    }
}

/// Where the relay with this state directory answers, without opening it.
pub(crate) fn find_socket(chosen: Option<&Path>) -> Result<PathBuf, Failure> {
    Ok(socket_in(&state_dir::open(PROGRAM, chosen)?))
}

fn socket_in(directory: &Path) -> PathBuf {
    directory.join("relay.sock")
}
