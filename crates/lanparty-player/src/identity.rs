//! Who this player is: a secret seed and a MAC address, made once and kept.

use std::path::{Path, PathBuf};

use lanparty_ctrl::hex;
use lanparty_os::private_file::{self, PrivateFileError};
use lanparty_proto::MacAddr;
use lanparty_proto::mac::MacIdentityError;
use rand::Rng;
use serde::{Deserialize, Serialize};

/// The file's name in the state directory.
pub const FILE_NAME: &str = "lanparty-client-identity.json";
/// A few times what the file needs.
const MAX_LEN: u64 = 4_096;
/// Of the file's layout.
const VERSION: u32 = 1;

/// The content of the identity file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_debug_implementations, reason = "the seed is a secret")]
pub struct PlayerIdentity {
    version: u32,
    seed: String,
    /// Stable, so that the LAN's DHCP server gives the same lease again.
    mac: MacAddr,
}

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error(
        "{} is not an identity file of this program; delete it to become a new player, or name another with --identity",
        path.display()
    )]
    Content { path: PathBuf },
    #[error("the MAC address in {} cannot be used: {source}", path.display())]
    Mac {
        path: PathBuf,
        #[source]
        source: MacIdentityError,
    },
}

impl PlayerIdentity {
    /// Reads the file, or makes it where there is none.
    pub fn load_or_create(path: &Path, rng: &mut impl Rng) -> Result<Self, IdentityError> {
        let content = || IdentityError::Content { path: path.into() };
        if let Some(bytes) = private_file::read(path, MAX_LEN)? {
            let identity: Self = serde_json::from_slice(&bytes).map_err(|_| content())?;
            if identity.version != VERSION || hex::decode_array::<32>(&identity.seed).is_none() {
                return Err(content());
            }
            identity
                .mac
                .validate_identity()
                .map_err(|source| IdentityError::Mac {
                    path: path.into(),
                    source,
                })?;
            return Ok(identity);
        }
        let identity = Self {
            version: VERSION,
            seed: hex::encode(&rng.random::<[u8; 32]>()),
            mac: MacAddr::from_random(rng.random()),
        };
        let bytes = serde_json::to_vec_pretty(&identity).map_err(|_| content())?;
        private_file::write(path, &bytes)?;
        Ok(identity)
    }

    pub fn seed(&self) -> [u8; 32] {
        hex::decode_array(&self.seed).unwrap_or_default()
    }

    pub const fn mac(&self) -> MacAddr {
        self.mac
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_player_is_the_same_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        let load = |seed| PlayerIdentity::load_or_create(&path, &mut StdRng::seed_from_u64(seed));
        let first = load(1).unwrap();
        let again = load(2).unwrap();
        assert!(first == again);
        assert_ne!(first.seed(), [0; 32]);
        assert!(first.mac().validate_identity().is_ok());
    }

    #[test]
    fn a_damaged_file_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        let broken = [
            r#"{"version":1"#,
            r#"{"version":1,"seed":"00","mac":"02:00:00:00:00:01"}"#,
            r#"{"version":2,"seed":"0000000000000000000000000000000000000000000000000000000000000000","mac":"02:00:00:00:00:01"}"#,
            r#"{"version":1,"seed":"0000000000000000000000000000000000000000000000000000000000000000","mac":"01:00:00:00:00:01"}"#,
        ];
        for content in broken {
            private_file::write(&path, content.as_bytes()).unwrap();
            let loaded = PlayerIdentity::load_or_create(&path, &mut StdRng::seed_from_u64(1));
            assert!(loaded.is_err(), "{content}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }
}
