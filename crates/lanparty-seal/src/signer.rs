//! The member's identity key, as far as sealing needs it.

use std::fmt;
use std::sync::Arc;

use lanparty_ctrl::KeyCard;

type Sign = dyn Fn(&[u8]) -> [u8; 64] + Send + Sync;

/// Signs with the Ed25519 key of the member's TLS certificate, which stays
/// where it is.
#[derive(Clone)]
pub struct Signer {
    public_key: [u8; 32],
    sign: Arc<Sign>,
}

impl Signer {
    /// `sign` makes signatures of the key whose public half is `public_key`.
    pub fn new(
        public_key: [u8; 32],
        sign: impl Fn(&[u8]) -> [u8; 64] + Send + Sync + 'static,
    ) -> Self {
        Self {
            public_key,
            sign: Arc::new(sign),
        }
    }

    #[must_use]
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// SHA-256 of the key's SPKI.
    #[must_use]
    pub fn identity(&self) -> [u8; 32] {
        KeyCard::identity_of(&self.public_key)
    }

    /// `message` begins with a label of its own.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        (self.sign)(message)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}
