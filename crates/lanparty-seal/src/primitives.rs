//! Primitives of aws-lc-rs with their sizes fixed by types.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use aws_lc_rs::{digest, hkdf, hmac};

/// HKDF-SHA-256 without a salt, at most one block of output.
#[expect(
    clippy::expect_used,
    reason = "one block is within what HKDF can give, whatever the input"
)]
pub(crate) fn derive<const N: usize>(secret: &[u8], info: &[&[u8]]) -> [u8; N] {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    const { assert!(N <= 32) };
    let mut out = [0; N];
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
        .extract(secret)
        .expand(info, Length(N))
        .and_then(|okm| okm.fill(&mut out))
        .expect("the output is at most one hash long");
    out
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    fixed(digest::digest(&digest::SHA256, bytes).as_ref())
}

pub(crate) fn mac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    fixed(hmac::sign(&key, message).as_ref())
}

/// In constant time.
pub(crate) fn mac_holds(key: &[u8; 32], message: &[u8], mac: &[u8; 32]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::verify(&key, message, mac).is_ok()
}

pub(crate) fn signature_holds(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key)
        .verify(message, signature)
        .is_ok()
}

/// A byte string that no other label's can equal: the label, a zero byte, and
/// fields of fixed width.
pub(crate) fn labelled(label: &str, fields: &[&[u8]]) -> Vec<u8> {
    let mut bytes = label.as_bytes().to_vec();
    bytes.push(0);
    for field in fields {
        bytes.extend_from_slice(field);
    }
    bytes
}

/// The bytes of a value whose length its algorithm fixes.
pub(crate) fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    out
}
