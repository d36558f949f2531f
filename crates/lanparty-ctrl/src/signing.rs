//! Canonical byte strings for signatures and hashes.
//!
//! Each begins with a label of its own and a zero byte, and every field has
//! either a fixed width or a length before it, so no two different inputs
//! share an encoding.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use lanparty_proto::MacAddr;

use crate::Role;

pub(crate) struct SignedBytes(Vec<u8>);

impl SignedBytes {
    pub(crate) fn new(label: &str) -> Self {
        let mut bytes = label.as_bytes().to_vec();
        bytes.push(0);
        Self(bytes)
    }

    /// A field whose width the layout fixes.
    pub(crate) fn fixed<const N: usize>(mut self, field: &[u8; N]) -> Self {
        self.0.extend_from_slice(field);
        self
    }

    pub(crate) fn u8(self, field: u8) -> Self {
        self.fixed(&[field])
    }

    pub(crate) fn u16(self, field: u16) -> Self {
        self.fixed(&field.to_be_bytes())
    }

    /// A field of at most 256 bytes by its type, after its 16-bit length.
    pub(crate) fn sized(self, field: &[u8]) -> Self {
        let len = u16::try_from(field.len()).unwrap_or(u16::MAX);
        let mut next = self.u16(len);
        next.0.extend_from_slice(field);
        next
    }

    /// One byte that says whether six more bytes mean something.
    pub(crate) fn mac(self, mac: Option<MacAddr>) -> Self {
        self.u8(mac.is_some().into())
            .fixed(&mac.unwrap_or(MacAddr::ZERO).octets())
    }

    pub(crate) fn role(self, role: Role) -> Self {
        self.u8(match role {
            Role::Client => 1,
            Role::Gateway => 2,
        })
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

pub(crate) fn verify_ed25519(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key)
        .verify(message, signature)
        .is_ok()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    hash
}
