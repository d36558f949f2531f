//! Every certificate verifier of the project.
//!
//! A relay asks each client for a certificate, does not care who signed it and
//! lets rustls check the handshake signature, which proves possession of its
//! key. A client trusts authorities or pinned keys.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved,
    RootCertStore, SignatureScheme,
};

use crate::error::TlsSetupError;
use crate::event::{Identity, TrustFailure};
use crate::spki::identity_of;

/// Whom a client takes for its relay.
#[derive(Clone, Debug)]
pub enum ServerTrust {
    /// These certificates or what they signed, for the name that was dialled.
    Certificates(Vec<CertificateDer<'static>>),
    /// Keys with these SPKI hashes, whatever else the certificate says: name
    /// and dates are bypassed because the hash came with the invite.
    Pin(Vec<Identity>),
    /// The authorities that this machine trusts, for the name that was dialled.
    SystemRoots,
}

/// How a relay came to be trusted, for whoever passes the trust on: a pin on a
/// certificate that an authority renews would soon be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustBasis {
    SystemRoots,
    /// A certificate file that was named.
    Certificate,
    Pin,
}

impl ServerTrust {
    #[must_use]
    pub const fn basis(&self) -> TrustBasis {
        match self {
            Self::Certificates(_) => TrustBasis::Certificate,
            Self::Pin(_) => TrustBasis::Pin,
            Self::SystemRoots => TrustBasis::SystemRoots,
        }
    }

    /// Trust in one certificate file, as `--relay-ca-cert` names it.
    #[must_use]
    pub fn certificate(der: Vec<u8>) -> Self {
        Self::Certificates(vec![CertificateDer::from(der)])
    }
}

/// Accepts any client that proves possession of the key it shows.
#[derive(Debug)]
pub(crate) struct MemberVerifier {
    provider: Arc<CryptoProvider>,
}

impl MemberVerifier {
    pub(crate) const fn new(provider: Arc<CryptoProvider>) -> Self {
        Self { provider }
    }
}

impl ClientCertVerifier for MemberVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        identity_of(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(not_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Checks a relay and remembers why the last one failed, since the QUIC layer
/// passes on a TLS alert number only.
#[derive(Debug)]
pub(crate) struct RelayVerifier {
    provider: Arc<CryptoProvider>,
    trust: Trust,
    failure: Mutex<Option<TrustFailure>>,
}

#[derive(Debug)]
enum Trust {
    Authorities(Arc<WebPkiServerVerifier>),
    Pins(Vec<Identity>),
}

impl RelayVerifier {
    pub(crate) fn new(
        provider: Arc<CryptoProvider>,
        trust: ServerTrust,
    ) -> Result<Self, TlsSetupError> {
        let trust = match trust {
            ServerTrust::Pin(pins) => Trust::Pins(pins),
            ServerTrust::Certificates(certificates) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates {
                    roots
                        .add(certificate)
                        .map_err(|_| TlsSetupError::CertificateDer)?;
                }
                Trust::Authorities(web_pki(provider.clone(), roots)?)
            }
            ServerTrust::SystemRoots => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err(TlsSetupError::NoSystemRoots);
                }
                Trust::Authorities(web_pki(provider.clone(), roots)?)
            }
        };
        Ok(Self {
            provider,
            trust,
            failure: Mutex::new(None),
        })
    }

    /// Why the last certificate was refused.
    pub(crate) fn take_failure(&self) -> Option<TrustFailure> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn refuse(&self, failure: TrustFailure) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }
}

fn web_pki(
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
) -> Result<Arc<WebPkiServerVerifier>, TlsSetupError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|_| TlsSetupError::CertificateDer)
}

/// Whether a relay's own chain is within its dates, as any member would see it.
pub(crate) fn within_dates(
    provider: Arc<CryptoProvider>,
    chain: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), TlsSetupError> {
    let (Some((leaf, intermediates)), Some(top)) = (chain.split_first(), chain.last()) else {
        return Ok(());
    };
    let mut roots = RootCertStore::empty();
    roots
        .add(top.clone().into_owned())
        .map_err(|_| TlsSetupError::CertificateDer)?;
    let anyone = ServerName::from(IpAddr::from([0, 0, 0, 0]));
    let outcome =
        web_pki(provider, roots)?.verify_server_cert(leaf, intermediates, &anyone, &[], now);
    // Dates are looked at first. What else is found, as the name, is for the
    // members to judge.
    match outcome.as_ref().map_err(trust_failure) {
        Err(TrustFailure::Validity) => Err(TlsSetupError::Dates),
        Ok(_) | Err(_) => Ok(()),
    }
}

impl ServerCertVerifier for RelayVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.trust {
            Trust::Authorities(verifier) => verifier
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .inspect_err(|error| self.refuse(trust_failure(error))),
            Trust::Pins(pins) => {
                if pins.contains(&identity_of(end_entity)?) {
                    return Ok(ServerCertVerified::assertion());
                }
                self.refuse(TrustFailure::Pin);
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(not_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
            .inspect_err(|error| self.refuse(TrustFailure::Other(error.to_string())))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn not_tls13() -> Error {
    PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into()
}

fn trust_failure(error: &Error) -> TrustFailure {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "both enums are open and most of their cases need no sentence of their own"
    )]
    match error {
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TrustFailure::Name
            }
            // Where one of several roots has the right name and another key,
            // the signature is what fails.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                TrustFailure::Issuer
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TrustFailure::Validity,
            other => TrustFailure::Other(other.to_string()),
        },
        other => TrustFailure::Other(other.to_string()),
    }
}
