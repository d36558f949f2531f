//! Where the relay's certificate comes from, and when it has changed.
//!
//! Every source can be read at any time and has a stamp that is different
//! after a change. A source that a program renews by itself, as ACME would,
//! is another variant.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lanparty_os::private_file::{self, PrivateFileError};
use lanparty_transport::identity::DEVELOPMENT_NAMES;
use lanparty_transport::{Identity, ServerIdentity};

use crate::failure::Failure;
use crate::secret_file;

/// How often files are looked at. Whoever renews a certificate does so days
/// before it expires.
const INTERVAL: Duration = Duration::from_secs(2);
/// Far above any certificate key.
const MAX_KEY_LEN: u64 = 64 * 1024;

#[derive(Clone, Debug)]
pub(crate) enum CertificateSource {
    /// Files that somebody else renews.
    Files { chain: PathBuf, key: PathBuf },
    /// The relay's own key, and a certificate that it signs itself.
    Own {
        seed: PathBuf,
        /// Where members find the certificate, if the operator hands it out.
        certificate_out: Option<PathBuf>,
    },
}

impl CertificateSource {
    /// # Errors
    /// Where the certificate cannot be read, or no member could use it.
    pub(crate) fn read(&self) -> Result<ServerIdentity, Failure> {
        match self {
            Self::Files { chain, key } => {
                let chain = fs::read(chain).map_err(|source| Failure::ReadCertificate {
                    path: chain.clone(),
                    source,
                })?;
                Ok(ServerIdentity::from_pem(&chain, &read_key(key)?)?)
            }
            Self::Own {
                seed,
                certificate_out,
            } => {
                let seed = secret_file::load_or_create(seed)?;
                let identity = ServerIdentity::self_signed(&seed, &DEVELOPMENT_NAMES)?;
                if let Some(path) = certificate_out {
                    write_certificate(path, &identity)?;
                }
                Ok(identity)
            }
        }
    }

    /// # Errors
    /// As [`Self::read`], and where the certificate is out of its dates.
    pub(crate) fn read_valid(&self) -> Result<ServerIdentity, Failure> {
        let identity = self.read()?;
        identity.check_dates(since_epoch())?;
        Ok(identity)
    }

    fn stamp(&self) -> Vec<FileStamp> {
        match self {
            Self::Files { chain, key } => vec![FileStamp::of(chain), FileStamp::of(key)],
            Self::Own { seed, .. } => vec![FileStamp::of(seed)],
        }
    }
}

fn read_key(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |source| Failure::ReadCertificate {
        path: path.to_owned(),
        source,
    };
    match private_file::read(path, MAX_KEY_LEN) {
        Ok(Some(key)) => Ok(key),
        Ok(None) => Err(unreadable(std::io::ErrorKind::NotFound.into())),
        Err(PrivateFileError::TooOpen { .. }) => Err(Failure::KeyTooOpen(path.to_owned())),
        Err(PrivateFileError::Io { source, .. }) => Err(unreadable(source)),
        Err(other) => Err(other.into()),
    }
}

fn write_certificate(path: &Path, identity: &ServerIdentity) -> Result<(), Failure> {
    fs::write(path, identity.certificate_der()).map_err(|source| Failure::WriteCertificate {
        path: path.into(),
        source,
    })?;
    tracing::info!("wrote the certificate to {}", path.display());
    Ok(())
}

/// The wall clock; certificates have dates.
#[expect(
    clippy::disallowed_methods,
    reason = "read at the edge, for the dates of certificates and resume tokens"
)]
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// What tells two states of a file apart; a file that cannot be examined has
/// none of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FileStamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl FileStamp {
    fn of(path: &Path) -> Self {
        fs::metadata(path)
            .map(|metadata| Self {
                inode: metadata.ino(),
                length: metadata.len(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
            })
            .unwrap_or_default()
    }
}

/// Notices a changed certificate.
#[derive(Debug)]
pub(crate) struct CertificateWatch {
    source: CertificateSource,
    /// As of the last read.
    taken: Vec<FileStamp>,
    /// As of the last look.
    seen: Vec<FileStamp>,
    next_look: Instant,
    shown: Identity,
}

impl CertificateWatch {
    pub(crate) fn new(source: CertificateSource, shown: Identity, now: Instant) -> Self {
        let stamp = source.stamp();
        Self {
            source,
            taken: stamp.clone(),
            seen: stamp,
            next_look: now + INTERVAL,
            shown,
        }
    }

    pub(crate) const fn next_look(&self) -> Instant {
        self.next_look
    }

    /// True where there is something new to read. Chain and key are written
    /// one after the other, so a change counts once it has come to rest.
    pub(crate) fn look(&mut self, now: Instant) -> bool {
        if now < self.next_look {
            return false;
        }
        self.next_look = now + INTERVAL;
        let stamp = self.source.stamp();
        let at_rest = stamp == self.seen;
        self.seen.clone_from(&stamp);
        at_rest && stamp != self.taken
    }

    /// Reads the certificate again and gives it to `show`; an unusable one
    /// leaves the old one in place.
    pub(crate) fn reload(
        &mut self,
        show: impl FnOnce(&ServerIdentity) -> Result<(), lanparty_transport::TlsSetupError>,
    ) {
        // A broken file is complained about once, not at each look.
        self.taken = self.source.stamp();
        let reloaded = self
            .source
            .read_valid()
            .and_then(|identity| Ok(show(&identity).map(|()| identity)?));
        match reloaded {
            Ok(identity) => {
                let pin = identity.identity();
                if pin == self.shown {
                    tracing::info!("reloaded the certificate; its pin is still {pin}");
                } else {
                    tracing::info!(
                        "reloaded the certificate; its pin is {pin} and was {}",
                        self.shown
                    );
                }
                self.shown = pin;
            }
            Err(error) => tracing::warn!("kept the old certificate: {error}"),
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment will do")]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_it_has_come_to_rest_and_only_once() {
        let home = tempfile::tempdir().unwrap();
        let (chain, key) = (home.path().join("chain.pem"), home.path().join("key.pem"));
        fs::write(&chain, "one").unwrap();
        fs::write(&key, "one").unwrap();
        let source = CertificateSource::Files {
            chain: chain.clone(),
            key: key.clone(),
        };
        let begin = Instant::now();
        let mut watch = CertificateWatch::new(source, Identity([0; 32]), begin);
        let mut looks = 0;
        let mut look = |watch: &mut CertificateWatch| {
            assert!(!watch.look(watch.next_look() - Duration::from_millis(1)));
            looks += 1;
            assert_eq!(watch.next_look(), begin + looks * INTERVAL);
            watch.look(watch.next_look())
        };
        assert!(!look(&mut watch));
        fs::write(&chain, "another").unwrap();
        assert!(!look(&mut watch));
        fs::write(&key, "another").unwrap();
        assert!(!look(&mut watch));
        assert!(look(&mut watch));
        watch.reload(|_| Ok(()));
        assert!(!look(&mut watch) && !look(&mut watch));
        fs::remove_file(&key).unwrap();
        assert!(!look(&mut watch));
        assert!(look(&mut watch));
    }
}
