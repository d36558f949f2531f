//! The proof that a member holds the room key.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::signing::{SignedBytes, verify_ed25519};
use crate::{Hello, hex};

/// A signature by the room's admission key, which every holder of the room
/// key can derive. It names the room and binds this connection and this
/// Hello; the room key itself never travels.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Ed25519.
    #[serde(with = "hex")]
    pub public_key: [u8; 32],
    #[serde(with = "hex")]
    pub signature: [u8; 64],
}

impl Admission {
    /// What the signature covers: the TLS exporter of this connection
    /// ([`crate::version::EXPORTER_LABEL`]), SHA-256 of the member's SPKI,
    /// which the exporter leaves out, and every field of Hello except the
    /// signature itself.
    #[must_use]
    pub fn signed_bytes(
        exporter: &[u8; 32],
        spki_hash: &[u8; 32],
        public_key: &[u8; 32],
        hello: &Hello,
    ) -> Vec<u8> {
        let mut bytes = SignedBytes::new("lanparty/1 admission")
            .fixed(exporter)
            .fixed(spki_hash)
            .fixed(public_key)
            .u16(hello.version)
            .u16(u16::try_from(hello.features.len()).unwrap_or(u16::MAX));
        for feature in &hello.features {
            bytes = bytes.sized(feature.as_str().as_bytes());
        }
        bytes = bytes
            .role(hello.role)
            .u8(hello.create.into())
            .sized(hello.room.as_str().as_bytes())
            .mac(hello.mac)
            .sized(hello.name.as_str().as_bytes())
            .u16(hello.datagram_budget)
            .sized(hello.agent.as_str().as_bytes())
            .fixed(&hello.key_card.identity)
            .fixed(&hello.key_card.public_key)
            .fixed(&hello.key_card.x25519)
            .fixed(&hello.key_card.session)
            .fixed(&hello.key_card.signature);
        // Tokens are never empty, so length 0 can say that there is none.
        let create_token = hello.create_token.as_ref();
        bytes
            .sized(hello.resume.as_ref().map_or(&[], |token| token.as_bytes()))
            .sized(create_token.map_or(&[], |token| token.as_str().as_bytes()))
            .finish()
    }

    /// Whether the proof holds for this connection and this Hello.
    #[must_use]
    pub fn verify(&self, exporter: &[u8; 32], spki_hash: &[u8; 32], hello: &Hello) -> bool {
        let message = Self::signed_bytes(exporter, spki_hash, &self.public_key, hello);
        verify_ed25519(&self.public_key, &message, &self.signature)
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Admission({})", hex::encode(&self.public_key))
    }
}
