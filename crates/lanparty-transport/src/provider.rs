//! The cryptography that TLS runs on, with its order of ciphers.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite};

/// AES-128 is twice as fast as ChaCha20 where the processor has AES, and the
/// reverse where it has not. The server follows the client's order.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let aes = cipher_suite::TLS13_AES_128_GCM_SHA256;
    let chacha = cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = if has_aes() {
        vec![aes, chacha]
    } else {
        vec![chacha, aes]
    };
    Arc::new(provider)
}

fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("aes")
            && std::arch::is_x86_feature_detected!("pclmulqdq")
    }
    #[cfg(target_arch = "aarch64")]
    {
        std::arch::is_aarch64_feature_detected!("aes")
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
}
