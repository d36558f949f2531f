//! Primitives of aws-lc-rs with their sizes fixed by types.

use aws_lc_rs::hkdf;

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
