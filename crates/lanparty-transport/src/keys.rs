//! The keys by which an endpoint is recognised across restarts.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{hkdf, hmac, rand};
use quinn_proto::crypto::{HandshakeTokenKey, HmacKey};

/// The secret from which the connection-id key, the stateless-reset key and
/// the Retry token key derive.
///
/// A relay that keeps it across restarts answers packets of connections from
/// before with a stateless reset (RFC 9000 section 10.3), so their owners
/// redial at once and not after the idle timeout.
#[derive(Clone)]
pub struct EndpointKeys([u8; 32]);

impl fmt::Debug for EndpointKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointKeys(..)")
    }
}

impl EndpointKeys {
    #[must_use]
    pub const fn from_secret(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// Keys that die with the process.
    ///
    /// # Panics
    /// Where the operating system has no randomness left to give.
    #[must_use]
    pub fn random() -> Self {
        let mut secret = [0; 32];
        rand::fill(&mut secret).expect("the operating system provides randomness");
        Self(secret)
    }

    pub(crate) fn connection_id(&self) -> u64 {
        u64::from_be_bytes(self.derive(b"connection id"))
    }

    pub(crate) fn reset(&self) -> Arc<dyn HmacKey> {
        let key: [u8; 32] = self.derive(b"stateless reset");
        Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    pub(crate) fn token(&self) -> Arc<dyn HandshakeTokenKey> {
        let key: [u8; 32] = self.derive(b"retry token");
        Arc::new(hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &key))
    }

    fn derive<const N: usize>(&self, purpose: &[u8]) -> [u8; N] {
        derive(&self.0, b"lanparty endpoint keys", &[purpose])
    }
}

/// HKDF-SHA256 with at most one block of output.
pub(crate) fn derive<const N: usize>(secret: &[u8], salt: &[u8], info: &[&[u8]]) -> [u8; N] {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    const { assert!(N <= 32) };
    let mut out = [0; N];
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(secret)
        .expand(info, Length(N))
        .and_then(|okm| okm.fill(&mut out))
        .expect("the output is at most one hash long");
    out
}
