//! Who this program is: a member's key for one room, or a relay's certificate.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use rcgen::{CertificateParams, DistinguishedName, DnType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};

use crate::error::TlsSetupError;
use crate::event::Identity;
use crate::keys::derive;
use crate::provider::provider;
use crate::spki::identity_of;
use crate::verify;

/// The secret that stays on one device and from which its room identities
/// derive.
#[derive(Clone)]
pub struct DeviceSeed(pub [u8; 32]);

impl fmt::Debug for DeviceSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceSeed(..)")
    }
}

/// The key and self-signed certificate of a member in one room.
///
/// Another room gives another key, so a relay cannot follow a player across
/// rooms.
pub struct MemberIdentity {
    key: Arc<Ed25519KeyPair>,
    certificate: CertificateDer<'static>,
    private_key: PrivatePkcs8KeyDer<'static>,
    identity: Identity,
}

impl fmt::Debug for MemberIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemberIdentity")
            .field(&self.identity)
            .finish()
    }
}

impl MemberIdentity {
    /// The identity of this device in the room with this id.
    ///
    /// # Errors
    /// Only where the crypto library refuses the key, which it has no reason to.
    pub fn derive(seed: &DeviceSeed, room: &[u8; 16]) -> Result<Self, TlsSetupError> {
        let secret: [u8; 32] = derive(&seed.0, b"lanparty member identity", &[room]);
        let key = Ed25519KeyPair::from_seed_unchecked(&secret).map_err(|_| TlsSetupError::Key)?;
        let pkcs8 = key.to_pkcs8v1().map_err(|_| TlsSetupError::Key)?;
        let private_key = PrivatePkcs8KeyDer::from(pkcs8.as_ref().to_vec());
        let certificate = self_signed(&private_key, "lanparty member", &[])?;
        let identity = identity_of(&certificate)?;
        Ok(Self {
            key: Arc::new(key),
            certificate,
            private_key,
            identity,
        })
    }

    /// What the other side of a connection sees.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        self.identity
    }

    /// The Ed25519 public key.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.key.public_key().as_ref());
        out
    }

    /// Signs with the Ed25519 key. The caller separates domains by a label.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing()(message)
    }

    /// [`Self::sign`] for whoever outlives this value.
    pub fn signing(&self) -> impl Fn(&[u8]) -> [u8; 64] + Send + Sync + use<> {
        let key = Arc::clone(&self.key);
        move |message| {
            let mut out = [0; 64];
            out.copy_from_slice(key.sign(message).as_ref());
            out
        }
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone()]
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        self.private_key.clone_key().into()
    }
}

/// A relay's certificate chain and key.
pub struct ServerIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    identity: Identity,
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerIdentity")
            .field(&self.identity)
            .finish()
    }
}

/// The names of a certificate that no authority signed.
pub const DEVELOPMENT_NAMES: [&str; 2] = ["lanparty-relay.local", "localhost"];

impl ServerIdentity {
    /// A fresh self-signed certificate for [`DEVELOPMENT_NAMES`].
    ///
    /// # Errors
    /// Where the crypto library cannot make a key.
    pub fn development() -> Result<Self, TlsSetupError> {
        let mut seed = [0; 32];
        aws_lc_rs::rand::fill(&mut seed).map_err(|_| TlsSetupError::Key)?;
        Self::self_signed(&seed, &DEVELOPMENT_NAMES)
    }

    /// The self-signed certificate of a key that the caller keeps. The same
    /// seed gives the same identity, so a pin on it outlives the certificate.
    ///
    /// # Errors
    /// Where a name is not a DNS name or IP address.
    pub fn self_signed(seed: &[u8; 32], names: &[&str]) -> Result<Self, TlsSetupError> {
        let secret: [u8; 32] = derive(seed, b"lanparty relay identity", &[]);
        let key = Ed25519KeyPair::from_seed_unchecked(&secret).map_err(|_| TlsSetupError::Key)?;
        let pkcs8 = key.to_pkcs8v1().map_err(|_| TlsSetupError::Key)?;
        let key = PrivatePkcs8KeyDer::from(pkcs8.as_ref().to_vec());
        let certificate = self_signed(&key, "lanparty relay", names)?;
        Self::new(vec![certificate], key.into())
    }

    /// A chain and key as an authority or ACME client left them.
    ///
    /// # Errors
    /// Where either file does not hold what it should.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsSetupError> {
        let chain = chain_of_pem(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| TlsSetupError::KeyPem(error.to_string()))?;
        Self::new(chain, key)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsSetupError> {
        let identity = identity_of(leaf_of(&chain)?)?;
        Ok(Self {
            chain,
            key,
            identity,
        })
    }

    /// The SPKI hash of a chain whose key is not at hand.
    ///
    /// # Errors
    /// Where this is no PEM file with a certificate in it.
    pub fn pin_of_pem(chain: &[u8]) -> Result<Identity, TlsSetupError> {
        Ok(identity_of(leaf_of(&chain_of_pem(chain)?)?)?)
    }

    /// Whether members would find this certificate valid so long after the Unix
    /// epoch.
    ///
    /// # Errors
    /// Where it has expired, is not valid yet or cannot be read.
    pub fn check_dates(&self, since_epoch: Duration) -> Result<(), TlsSetupError> {
        let now = UnixTime::since_unix_epoch(since_epoch);
        verify::within_dates(provider(), &self.chain, now)
    }

    /// The SPKI hash by which clients may pin this relay.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        self.identity
    }

    /// The leaf certificate in DER, for clients' `--relay-ca-cert`.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        self.chain.first().map_or(&[], |leaf| leaf.as_ref())
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

fn chain_of_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsSetupError::CertificatePem(error.to_string()))
}

fn leaf_of<'a>(
    chain: &'a [CertificateDer<'static>],
) -> Result<&'a CertificateDer<'static>, TlsSetupError> {
    chain
        .first()
        .ok_or_else(|| TlsSetupError::CertificatePem("no certificate in it".to_owned()))
}

fn self_signed(
    key: &PrivatePkcs8KeyDer<'_>,
    common_name: &str,
    names: &[&str],
) -> Result<CertificateDer<'static>, TlsSetupError> {
    let key = rcgen::KeyPair::try_from(key)?;
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name = DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, common_name);
    Ok(parameters.self_signed(&key)?.der().clone())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest;
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    fn member(seed: u8, room: u8) -> MemberIdentity {
        MemberIdentity::derive(&DeviceSeed([seed; 32]), &[room; 16]).unwrap()
    }

    #[test]
    fn a_member_is_the_same_in_one_room_and_another_in_the_next() {
        assert_eq!(member(1, 1).identity(), member(1, 1).identity());
        assert_ne!(member(1, 1).identity(), member(1, 2).identity());
        assert_ne!(member(1, 1).identity(), member(2, 1).identity());
    }

    #[test]
    fn a_member_signs_with_the_key_it_shows() {
        let member = member(3, 3);
        let signature = member.sign(b"a key card");
        let key = UnparsedPublicKey::new(&ED25519, member.public_key());
        key.verify(b"a key card", &signature).unwrap();
        key.verify(b"another card", &signature).unwrap_err();
    }

    #[test]
    fn the_identity_is_the_hash_of_the_spki_of_rfc_8410() {
        let member = member(4, 4);
        // RFC 8410 section 4: SEQUENCE { SEQUENCE { OID 1.3.101.112 } BIT STRING }.
        let mut spki = vec![
            0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00,
        ];
        spki.extend(member.public_key());
        let hash = digest::digest(&digest::SHA256, &spki);
        assert_eq!(hash.as_ref(), member.identity().0);
    }

    #[test]
    fn a_relay_keeps_its_identity_with_its_seed() {
        let first = ServerIdentity::self_signed(&[9; 32], &["relay.example"]).unwrap();
        let again = ServerIdentity::self_signed(&[9; 32], &["other.example"]).unwrap();
        assert_eq!(first.identity(), again.identity());
        assert_ne!(
            first.identity(),
            ServerIdentity::development().unwrap().identity()
        );
    }

    #[test]
    fn a_certificate_out_of_its_dates_is_known_before_a_member_sees_it() {
        let day = Duration::from_secs(86_400);
        // The first day of 2030.
        let begin = 21_915 * day;
        let key = rcgen::KeyPair::generate().unwrap();
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec!["relay.example".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2030, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2030, 1, 11);
        let authority = CertificateParams::new(Vec::new()).unwrap();
        let authority = rcgen::Issuer::new(authority, authority_key);
        for certificate in [
            parameters.self_signed(&key).unwrap(),
            parameters.signed_by(&key, &authority).unwrap(),
        ] {
            let (chain, key) = (certificate.pem(), key.serialize_pem());
            let identity = ServerIdentity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
            identity.check_dates(begin + day).unwrap();
            for moment in [begin - day, begin + 11 * day] {
                assert!(matches!(
                    identity.check_dates(moment),
                    Err(TlsSetupError::Dates)
                ));
            }
        }
        let own = ServerIdentity::development().unwrap();
        own.check_dates(begin).unwrap();
    }

    #[test]
    fn pem_files_are_read_and_their_faults_named() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["relay.example".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let (chain, key) = (certificate.pem(), key.serialize_pem());
        let identity = ServerIdentity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(identity.certificate_der(), certificate.der().as_ref());
        let pin = ServerIdentity::pin_of_pem(chain.as_bytes()).unwrap();
        assert_eq!(pin, identity.identity());
        assert!(matches!(
            ServerIdentity::from_pem(b"", key.as_bytes()),
            Err(TlsSetupError::CertificatePem(_))
        ));
        assert!(matches!(
            ServerIdentity::from_pem(chain.as_bytes(), b"nothing"),
            Err(TlsSetupError::KeyPem(_))
        ));
    }
}
