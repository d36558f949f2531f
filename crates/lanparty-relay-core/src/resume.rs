//! Resume tokens: the relay's memory, kept by its members.
//!
//! A token says which peer id and MAC address an identity had in a room. It is
//! sealed under a key that outlives the process, so that a restarted relay
//! gives everyone the same id back without having stored anything.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use lanparty_ctrl::{ResumeToken, RoomId};
use lanparty_proto::{MacAddr, PeerId};
use rand::CryptoRng;

use crate::connection::Identity;

/// Separates this use of the key from any other.
const LABEL: &[u8] = b"lanparty resume 1";
/// Peer id, MAC address, expiry.
const PLAIN_LEN: usize = 2 + 6 + 8;

/// The keys that the driver persists for the core.
#[derive(Clone)]
pub struct RelaySecrets {
    /// AES-256-GCM key of the resume tokens.
    pub resume_key: [u8; 32],
}

impl std::fmt::Debug for RelaySecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RelaySecrets(..)")
    }
}

/// What a token gives back to its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) peer: PeerId,
    /// [`MacAddr::ZERO`] for a gateway.
    pub(crate) mac: MacAddr,
}

impl RelaySecrets {
    fn key(&self) -> Option<LessSafeKey> {
        let key = UnboundKey::new(&AES_256_GCM, &self.resume_key).ok()?;
        Some(LessSafeKey::new(key))
    }

    /// A token under a random nonce, which is safe for the first 2^32 joins
    /// (NIST SP 800-38D section 8.3). `None` where the cryptographic library
    /// fails.
    pub(crate) fn seal(
        &self,
        room: RoomId,
        identity: &Identity,
        claim: Claim,
        expires_unix_s: u64,
        rng: &mut impl CryptoRng,
    ) -> Option<ResumeToken> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let mut sealed = Vec::with_capacity(PLAIN_LEN);
        sealed.extend_from_slice(&claim.peer.get().to_be_bytes());
        sealed.extend_from_slice(&claim.mac.octets());
        sealed.extend_from_slice(&expires_unix_s.to_be_bytes());
        self.key()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated_data(room, identity)),
                &mut sealed,
            )
            .ok()?;
        ResumeToken::try_from([&nonce, sealed.as_slice()].concat()).ok()
    }

    /// What the token claims, if it is ours, for this identity in this room,
    /// and not expired.
    pub(crate) fn open(
        &self,
        token: &ResumeToken,
        room: RoomId,
        identity: &Identity,
        now_unix_s: u64,
    ) -> Option<Claim> {
        let (nonce, sealed) = token.as_bytes().split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let key = self.key()?;
        let plain = key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(associated_data(room, identity)),
                &mut sealed,
            )
            .ok()?;
        let [p0, p1, m0, m1, m2, m3, m4, m5, expiry @ ..] =
            <[u8; PLAIN_LEN]>::try_from(&*plain).ok()?;
        if u64::from_be_bytes(expiry) <= now_unix_s {
            return None;
        }
        Some(Claim {
            peer: PeerId::try_from(u16::from_be_bytes([p0, p1])).ok()?,
            mac: MacAddr([m0, m1, m2, m3, m4, m5]),
        })
    }
}

fn associated_data(room: RoomId, identity: &Identity) -> Vec<u8> {
    [LABEL, &room.0, identity].concat()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const ROOM: RoomId = RoomId([1; 16]);
    const ALICE: Identity = [2; 32];

    fn key(byte: u8) -> RelaySecrets {
        RelaySecrets {
            resume_key: [byte; 32],
        }
    }

    fn claim() -> Claim {
        Claim {
            peer: PeerId::try_from(77).unwrap(),
            mac: MacAddr([2, 0, 0, 0, 0, 9]),
        }
    }

    fn token() -> ResumeToken {
        key(1)
            .seal(ROOM, &ALICE, claim(), 1_000, &mut StdRng::seed_from_u64(1))
            .unwrap()
    }

    #[test]
    fn a_token_gives_its_claim_back_under_the_same_key() {
        assert_eq!(key(1).open(&token(), ROOM, &ALICE, 999), Some(claim()));
    }

    #[test]
    fn a_token_is_worth_nothing_elsewhere_or_to_another_or_later() {
        assert_eq!(key(1).open(&token(), RoomId([9; 16]), &ALICE, 0), None);
        assert_eq!(key(1).open(&token(), ROOM, &[9; 32], 0), None);
        assert_eq!(key(2).open(&token(), ROOM, &ALICE, 0), None);
        assert_eq!(key(1).open(&token(), ROOM, &ALICE, 1_000), None);
    }

    #[test]
    fn no_changed_or_cut_token_opens() {
        let good = token().as_bytes().to_vec();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let bad = ResumeToken::try_from(bad).unwrap();
            assert_eq!(key(1).open(&bad, ROOM, &ALICE, 0), None, "byte {at}");
            if at > 0 {
                let cut = ResumeToken::try_from(good[..at].to_vec()).unwrap();
                assert_eq!(key(1).open(&cut, ROOM, &ALICE, 0), None, "cut at {at}");
            }
        }
    }
}
