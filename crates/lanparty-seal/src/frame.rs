//! Sealing a frame, or a bundle of them: AES-128-GCM with everything around it as associated data.

use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use lanparty_ctrl::RoomId;
use lanparty_proto::overlay::{FrameCount, SEALED_LEN, TAG_LEN};
use lanparty_proto::{PeerId, ethernet};
use zeroize::Zeroize;

use crate::primitives::derive;
use crate::secret::Secret;

/// The greatest counter that fits its 40 bits.
pub const MAX_COUNTER: u64 = (1 << 40) - 1;

const AAD_LEN: usize = 3 + 16 + 2 + SEALED_LEN + 1 + ethernet::HEADER_LEN;

/// Key epoch and counter, as they stand before the Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealHeader {
    pub epoch: u8,
    /// At most [`MAX_COUNTER`].
    pub counter: u64,
}

impl SealHeader {
    #[must_use]
    pub const fn decode(bytes: [u8; SEALED_LEN]) -> Self {
        let [epoch, c0, c1, c2, c3, c4] = bytes;
        Self {
            epoch,
            counter: u64::from_be_bytes([0, 0, 0, c0, c1, c2, c3, c4]),
        }
    }

    #[must_use]
    pub const fn encode(self) -> [u8; SEALED_LEN] {
        let [_, _, _, c0, c1, c2, c3, c4] = self.counter.to_be_bytes();
        [self.epoch, c0, c1, c2, c3, c4]
    }
}

/// What a frame's seal vouches for beside its payload.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    pub room: RoomId,
    pub source: PeerId,
    pub header: SealHeader,
    pub frames: FrameCount,
    pub ethernet: &'a [u8; ethernet::HEADER_LEN],
}

impl Envelope<'_> {
    /// Canonical and not the wire bytes: fragments have other headers.
    #[must_use]
    pub fn associated_data(&self) -> [u8; AAD_LEN] {
        let source = self.source.get().to_be_bytes();
        let header = self.header.encode();
        let frames = [self.frames.get()];
        let fields: [&[u8]; 6] = [
            b"lp1",
            &self.room.0,
            &source,
            &header,
            &frames,
            self.ethernet,
        ];
        let mut out = [0; AAD_LEN];
        let mut rest = out.as_mut_slice();
        for field in fields {
            let (place, after) = rest.split_at_mut(field.len());
            place.copy_from_slice(field);
            rest = after;
        }
        out
    }
}

/// The key of one sender in one epoch.
pub struct FrameKey {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl FrameKey {
    /// What an epoch's secret gives.
    #[expect(clippy::expect_used, reason = "16 bytes are an AES-128 key")]
    pub(crate) fn derive(secret: &Secret) -> Self {
        let mut key: [u8; 16] = derive(secret.as_bytes(), &[b"lanparty/1 frame key"]);
        let unbound = UnboundKey::new(&AES_128_GCM, &key).expect("a key of 16 bytes");
        key.zeroize();
        Self {
            key: LessSafeKey::new(unbound),
            salt: derive(secret.as_bytes(), &[b"lanparty/1 frame salt"]),
        }
    }

    /// Encrypts the payload in place and returns its tag. The caller never
    /// uses a header twice.
    ///
    /// # Errors
    /// Nothing that a frame's length can cause.
    pub fn seal(
        &self,
        envelope: &Envelope<'_>,
        payload: &mut [u8],
    ) -> Result<[u8; TAG_LEN], SealError> {
        let aad = Aad::from(envelope.associated_data());
        let nonce = self.nonce(envelope.header);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, aad, payload)
            .map_err(|_| SealError)?;
        tag.as_ref().try_into().map_err(|_| SealError)
    }

    /// Decrypts into `out`, which is as long as the ciphertext.
    ///
    /// # Errors
    /// Where the frame is not what its sender sealed.
    pub fn open(
        &self,
        envelope: &Envelope<'_>,
        ciphertext: &[u8],
        tag: &[u8; TAG_LEN],
        out: &mut [u8],
    ) -> Result<(), SealError> {
        let aad = Aad::from(envelope.associated_data());
        let nonce = self.nonce(envelope.header);
        self.key
            .open_separate_gather(nonce, aad, ciphertext, tag, out)
            .map_err(|_| SealError)
    }

    /// Salt with epoch and counter over its end, as in TLS (RFC 8446 section 5.3).
    fn nonce(&self, header: SealHeader) -> Nonce {
        let mut nonce = self.salt;
        let end = nonce
            .iter_mut()
            .rev()
            .zip(header.encode().into_iter().rev());
        for (to, from) in end {
            *to ^= from;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

impl fmt::Debug for FrameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameKey(..)")
    }
}

/// A frame that cannot be sealed, or was not sealed with this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the seal does not hold")]
pub struct SealError;

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: SealHeader = SealHeader {
        epoch: 3,
        counter: 7,
    };
    const ETHERNET: [u8; 14] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];

    fn envelope(ethernet: &[u8; 14], header: SealHeader, source: u16, room: u8) -> Envelope<'_> {
        Envelope {
            room: RoomId([room; 16]),
            source: PeerId::try_from(source).unwrap(),
            header,
            frames: FrameCount::ONE,
            ethernet,
        }
    }

    fn key() -> FrameKey {
        FrameKey::derive(&Secret::new([9; 32]))
    }

    #[test]
    fn a5_a_flipped_bit_anywhere_breaks_the_seal() {
        let mut payload = *b"a payload that nobody else may read";
        let right = envelope(&ETHERNET, HEADER, 5, 1);
        let tag = key().seal(&right, &mut payload).unwrap();
        let mut out = [0; 35];
        key().open(&right, &payload, &tag, &mut out).unwrap();
        assert_eq!(&out, b"a payload that nobody else may read");

        let opens = |envelope: &Envelope<'_>, payload: &[u8], tag: &[u8; 16]| {
            key().open(envelope, payload, tag, &mut [0; 35]).is_ok()
        };
        for bit in 0..payload.len() * 8 {
            let mut forged = payload;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(&right, &forged, &tag), "payload bit {bit}");
        }
        for bit in 0..128 {
            let mut forged = tag;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(&right, &payload, &forged), "tag bit {bit}");
        }
        for bit in 0..ETHERNET.len() * 8 {
            let mut forged = ETHERNET;
            forged[bit / 8] ^= 1 << (bit % 8);
            let envelope = envelope(&forged, HEADER, 5, 1);
            assert!(!opens(&envelope, &payload, &tag), "Ethernet bit {bit}");
        }
        for bit in 0..48 {
            let mut bytes = HEADER.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let envelope = envelope(&ETHERNET, SealHeader::decode(bytes), 5, 1);
            assert!(!opens(&envelope, &payload, &tag), "header bit {bit}");
        }
        let frames = FrameCount::ONE.next().unwrap();
        assert!(!opens(&Envelope { frames, ..right }, &payload, &tag));
        assert!(!opens(&envelope(&ETHERNET, HEADER, 6, 1), &payload, &tag));
        assert!(!opens(&envelope(&ETHERNET, HEADER, 5, 2), &payload, &tag));
    }

    #[test]
    fn epoch_and_counter_fill_six_bytes() {
        let header = SealHeader {
            epoch: 0xAB,
            counter: MAX_COUNTER - 1,
        };
        assert_eq!(header.encode(), [0xAB, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE]);
        assert_eq!(SealHeader::decode(header.encode()), header);
    }
}
