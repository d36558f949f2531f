//! Secrets for one member: HPKE (RFC 9180) in mode PSK, signed by the sender.
//!
//! HPKE binds to the receiver's X25519 key, which dies with its session or
//! hour; the PSK to the room key, so that nobody outside the room can write
//! one; the signature to the sender's identity, so that no other member can.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable};
use rand::CryptoRng;

use crate::body::Sealed;
use crate::primitives::{fixed, labelled, signature_holds};
use crate::secret::Secret;
use crate::signer::Signer;

const PSK_ID: &[u8] = b"lanparty/1 room key";
const SIGNED: &str = "lanparty/1 signed letter";

/// The private half of a card's X25519 key; lives in memory only.
pub(crate) struct PrivateKey(<X25519HkdfSha256 as Kem>::PrivateKey);

impl PrivateKey {
    /// A fresh key and its public half.
    pub(crate) fn generate(rng: &mut impl CryptoRng) -> (Self, [u8; 32]) {
        let (private, public) = X25519HkdfSha256::gen_keypair_with_rng(&mut Random(rng));
        (Self(private), fixed(&public.to_bytes()))
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// What a letter says openly and its proofs cover: purpose, room, sender,
/// receiver. See [`labelled`].
pub(crate) type Info = Vec<u8>;

/// Writes `secret` to the holder of `to`, where that is an X25519 key at all.
pub(crate) fn write(
    secret: &[u8; 32],
    info: &Info,
    (to, number): (&[u8; 32], u32),
    psk: &Secret,
    signer: &Signer,
    rng: &mut impl CryptoRng,
) -> Option<Sealed> {
    let to = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(to).ok()?;
    let psk = PskBundle::new(psk.as_bytes(), PSK_ID).ok()?;
    let (enc, mut context) = hpke::setup_sender_with_rng::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(&OpModeS::Psk(psk), &to, info, &mut Random(rng))
    .ok()?;
    let ciphertext = context.seal(secret, &[]).ok()?;
    let mut sealed = Sealed {
        number,
        enc: fixed(&enc.to_bytes()),
        ciphertext: ciphertext.try_into().ok()?,
        signature: [0; 64],
    };
    sealed.signature = signer.sign(&signed_bytes(info, &sealed));
    Some(sealed)
}

/// Reads a letter of the holder of `from`, an Ed25519 key.
pub(crate) fn read(
    sealed: &Sealed,
    info: &Info,
    from: &[u8; 32],
    psk: &Secret,
    private: &PrivateKey,
) -> Option<[u8; 32]> {
    if !signature_holds(from, &signed_bytes(info, sealed), &sealed.signature) {
        return None;
    }
    let enc = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&sealed.enc).ok()?;
    let psk = PskBundle::new(psk.as_bytes(), PSK_ID).ok()?;
    let mut context = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Psk(psk),
        &private.0,
        &enc,
        info,
    )
    .ok()?;
    context.open(&sealed.ciphertext, &[]).ok()?.try_into().ok()
}

fn signed_bytes(info: &Info, sealed: &Sealed) -> Vec<u8> {
    let number = sealed.number.to_be_bytes();
    labelled(SIGNED, &[info, &number, &sealed.enc, &sealed.ciphertext])
}

/// Randomness as this version of hpke takes it.
struct Random<'a, R>(&'a mut R);

impl<R: CryptoRng> TryRng for Random<'_, R> {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl<R: CryptoRng> TryCryptoRng for Random<'_, R> {}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn signer(seed: u8) -> Signer {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let public = fixed(pair.public_key().as_ref());
        Signer::new(public, move |message| fixed(pair.sign(message).as_ref()))
    }

    #[test]
    fn a_letter_opens_for_its_reader_with_every_proof_and_not_without_one() {
        let mut rng = StdRng::seed_from_u64(1);
        let (private, public) = PrivateKey::generate(&mut rng);
        let (other, _) = PrivateKey::generate(&mut rng);
        let (ann, bob) = (signer(1), signer(2));
        let psk = Secret::new([3; 32]);
        let info = b"from Ann to Bob".to_vec();
        let letter = write(&[7; 32], &info, (&public, 5), &psk, &ann, &mut rng).unwrap();
        let from = ann.public_key();
        assert_eq!(read(&letter, &info, from, &psk, &private), Some([7; 32]));

        assert_eq!(read(&letter, &info, from, &psk, &other), None);
        let guess = Secret::new([4; 32]);
        assert_eq!(read(&letter, &info, from, &guess, &private), None);
        assert_eq!(read(&letter, &info, bob.public_key(), &psk, &private), None);
        let elsewhere = b"from Ann to Eve".to_vec();
        assert_eq!(read(&letter, &elsewhere, from, &psk, &private), None);
        let mut renumbered = letter;
        renumbered.number = 6;
        assert_eq!(read(&renumbered, &info, from, &psk, &private), None);
    }

    #[test]
    fn the_room_key_alone_does_not_make_a_letter_of_another_member() {
        let mut rng = StdRng::seed_from_u64(1);
        let (private, public) = PrivateKey::generate(&mut rng);
        let (ann, eve) = (signer(1), signer(2));
        let psk = Secret::new([3; 32]);
        let info = b"from Ann to Bob".to_vec();
        let forged = write(&[7; 32], &info, (&public, 5), &psk, &eve, &mut rng).unwrap();
        assert_eq!(read(&forged, &info, ann.public_key(), &psk, &private), None);
    }
}
