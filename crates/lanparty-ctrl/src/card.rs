//! Key cards: who a member is and where its session keys can be sent.

use std::fmt;

use lanparty_proto::MacAddr;
use serde::{Deserialize, Serialize};

use crate::signing::{SignedBytes, sha256, verify_ed25519};
use crate::{Role, hex};

/// A member's keys, signed by its identity key.
///
/// The relay passes cards on and cannot be trusted with them: whoever uses a
/// key of a card verifies the card first.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCard {
    /// SHA-256 of the SPKI of the member's TLS certificate.
    #[serde(with = "hex")]
    pub identity: [u8; 32],
    /// The Ed25519 key in that SPKI.
    #[serde(with = "hex")]
    pub public_key: [u8; 32],
    /// A fresh X25519 key of this session, never stored.
    #[serde(with = "hex")]
    pub x25519: [u8; 32],
    /// Random, new whenever the program starts.
    #[serde(with = "hex")]
    pub session: [u8; 16],
    /// By `public_key`, over [`KeyCard::signed_bytes`].
    #[serde(with = "hex")]
    pub signature: [u8; 64],
}

/// Why a card proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    #[error("the key card's public key is not that of its identity")]
    Identity,
    #[error("the key card's signature does not hold")]
    Signature,
}

/// The DER encoding of an Ed25519 SPKI up to its 32 key bytes (RFC 8410 section 4).
const ED25519_SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

impl KeyCard {
    /// The identity that belongs to an Ed25519 public key: SHA-256 of its SPKI.
    #[must_use]
    pub fn identity_of(public_key: &[u8; 32]) -> [u8; 32] {
        let mut spki = ED25519_SPKI_PREFIX.to_vec();
        spki.extend_from_slice(public_key);
        sha256(&spki)
    }

    /// What the signature covers, with the MAC address and role that the card
    /// vouches for.
    #[must_use]
    pub fn signed_bytes(&self, mac: Option<MacAddr>, role: Role) -> Vec<u8> {
        SignedBytes::new("lanparty/1 key card")
            .fixed(&self.identity)
            .fixed(&self.public_key)
            .fixed(&self.x25519)
            .fixed(&self.session)
            .role(role)
            .mac(mac)
            .finish()
    }

    /// Checks that the card was made by the holder of its identity, for this
    /// MAC address and role.
    ///
    /// # Errors
    /// The first proof that fails.
    pub fn verify(&self, mac: Option<MacAddr>, role: Role) -> Result<(), CardError> {
        if Self::identity_of(&self.public_key) != self.identity {
            return Err(CardError::Identity);
        }
        let message = self.signed_bytes(mac, role);
        if !verify_ed25519(&self.public_key, &message, &self.signature) {
            return Err(CardError::Signature);
        }
        Ok(())
    }
}

impl fmt::Debug for KeyCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyCard({})", hex::encode(&self.identity))
    }
}
