//! The public key in a certificate, by which both sides are known.

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;

use crate::event::Identity;

/// SHA-256 of a certificate's SubjectPublicKeyInfo.
pub(crate) fn identity_of(certificate: &CertificateDer<'_>) -> Result<Identity, rustls::Error> {
    let spki = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    let hash = digest::digest(&digest::SHA256, &spki);
    let mut identity = [0; 32];
    identity.copy_from_slice(hash.as_ref());
    Ok(Identity(identity))
}
