//! The secret of a room, and the proof of having it.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroize;

use crate::primitives::{derive, fixed};
use crate::secret::Secret;

/// The 32 bytes that make somebody a member of a keyed room. They travel in
/// invites only, never to the relay; what the room needs derives from them.
#[derive(Clone, PartialEq, Eq)]
pub struct RoomKey([u8; 32]);

impl RoomKey {
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For invites and the host's private file, and nowhere else.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key pair by which the relay knows the room: its public half is part
    /// of the room id, and whoever signs with it holds the room key.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "every 32 bytes are a seed (RFC 8032 section 5.1.5)"
    )]
    pub fn admission(&self) -> AdmissionKey {
        let mut seed: [u8; 32] = derive(&self.0, &[b"admission"]);
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("a seed of 32 bytes");
        seed.zeroize();
        AdmissionKey(pair)
    }

    /// Makes the codes by which members show each other that they hold the
    /// room key.
    pub(crate) fn card_key(&self) -> Secret {
        Secret::new(derive(&self.0, &[b"key card"]))
    }

    /// The pre-shared key of letters.
    pub(crate) fn letter_key(&self) -> Secret {
        Secret::new(derive(&self.0, &[b"letter"]))
    }
}

impl Drop for RoomKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Never the key.
impl fmt::Debug for RoomKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomKey(..)")
    }
}

/// The room's Ed25519 key pair.
pub struct AdmissionKey(Ed25519KeyPair);

impl AdmissionKey {
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        fixed(self.0.public_key().as_ref())
    }

    /// Signs `message`, which begins with a label of its own.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        fixed(self.0.sign(message).as_ref())
    }
}

impl fmt::Debug for AdmissionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdmissionKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    #[test]
    fn every_holder_of_the_room_key_has_the_same_admission_key() {
        let one = RoomKey::from_bytes([1; 32]).admission();
        let again = RoomKey::from_bytes([1; 32]).admission();
        let other = RoomKey::from_bytes([2; 32]).admission();
        assert_eq!(one.public_key(), again.public_key());
        assert_ne!(one.public_key(), other.public_key());
        let key = UnparsedPublicKey::new(&ED25519, one.public_key());
        key.verify(b"hello", &again.sign(b"hello")).unwrap();
        key.verify(b"hello", &other.sign(b"hello")).unwrap_err();
    }

    #[test]
    fn nothing_that_prints_itself_prints_a_key() {
        let key = RoomKey::from_bytes([0xA7; 32]);
        assert_eq!(format!("{key:?}"), "RoomKey(..)");
        assert_eq!(format!("{:?}", key.admission()), "AdmissionKey(..)");
    }
}
