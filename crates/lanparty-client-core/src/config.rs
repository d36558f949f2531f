//! What a session needs to know before it starts.

use aws_lc_rs::agreement::{PrivateKey, X25519};
use lanparty_ctrl::{Access, CreateToken, DisplayName, KeyCard, Role, RoomCode, RoomPolicy};
use lanparty_proto::MacAddr;
use lanparty_seal::RoomKey;
use rand::{CryptoRng, Rng};

/// The settings of one member.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    pub role: Role,
    pub room: RoomCode,
    /// Makes the room a keyed one. Without it the room is open to whoever
    /// knows its name, and the relay reads along; a session with a key never
    /// falls back to that.
    pub key: Option<RoomKey>,
    /// Opens rooms on relays where only their operator's friends may.
    pub create_token: Option<CreateToken>,
    /// A player's registered address; a gateway's own network interface.
    pub mac: Option<MacAddr>,
    pub name: DisplayName,
    /// Program and version, for the relay's operator.
    pub agent: DisplayName,
    pub card: KeyCard,
    /// A gateway's choices for its room; ignored for a player.
    pub policy: RoomPolicy,
    /// A gateway's say over who may be in its room; ignored for a player.
    pub access: Access,
}

/// Makes the card of a new session and has it signed by the member's Ed25519
/// identity key, whose public half is `public_key`.
#[must_use]
pub fn sign_card(
    public_key: [u8; 32],
    role: Role,
    mac: Option<MacAddr>,
    rng: &mut impl CryptoRng,
    sign: impl FnOnce(&[u8]) -> [u8; 64],
) -> KeyCard {
    let mut card = KeyCard {
        identity: KeyCard::identity_of(&public_key),
        public_key,
        x25519: x25519_public(&rng.random()).unwrap_or_default(),
        session: rng.random(),
        signature: [0; 64],
    };
    card.signature = sign(&card.signed_bytes(mac, role));
    card
}

/// Nothing is sealed to this key in rooms without a room key, so its private
/// half is not kept.
fn x25519_public(private: &[u8; 32]) -> Option<[u8; 32]> {
    let key = PrivateKey::from_private_key(&X25519, private).ok()?;
    let public = key.compute_public_key().ok()?;
    public.as_ref().try_into().ok()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    fn card(role: Role, mac: Option<MacAddr>, rng: &mut StdRng) -> KeyCard {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let public_key = key.public_key().as_ref().try_into().unwrap();
        sign_card(public_key, role, mac, rng, |bytes| {
            key.sign(bytes).as_ref().try_into().unwrap()
        })
    }

    #[test]
    fn a_card_vouches_for_this_role_and_mac_only() {
        let mac = Some(MacAddr([2, 0, 0, 0, 0, 1]));
        let card = card(Role::Client, mac, &mut StdRng::seed_from_u64(1));
        assert_eq!(card.verify(mac, Role::Client), Ok(()));
        assert!(card.verify(mac, Role::Gateway).is_err());
        assert!(card.verify(None, Role::Client).is_err());
    }

    #[test]
    fn each_session_has_keys_of_its_own_under_one_identity() {
        let mut rng = StdRng::seed_from_u64(1);
        let one = card(Role::Gateway, None, &mut rng);
        let two = card(Role::Gateway, None, &mut rng);
        assert_eq!(one.identity, two.identity);
        assert_ne!((one.x25519, one.session), (two.x25519, two.session));
        assert_ne!(one.x25519, [0; 32]);
    }
}
