//! What whoever has everything but the members' memory can read.

use std::time::Duration;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, PskBundle};
use lanparty_ctrl::Role;
use lanparty_proto::overlay::FrameCount;
use lanparty_seal::{Keyring, KeyringConfig, Opened, Standing};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::party::{KEY, Party, ROOM, Sealed, peer, signer};

const SECOND: Duration = Duration::from_secs(1);

/// An evening of three members, of which all letters and frames are kept.
fn evening() -> (Party, Vec<Sealed>) {
    let mut party = Party::new();
    for _ in 0..3 {
        party.join(Role::Client, KEY);
    }
    party.pass(3 * SECOND);
    let mut frames = Vec::new();
    for round in 0..50_u8 {
        for from in 1..=3 {
            let sealed = party.seal(peer(from), &[round, from as u8]);
            for at in (1..=3).filter(|at| *at != from) {
                assert_eq!(party.open(peer(at), &sealed), Ok(Opened::Frame));
            }
            frames.push(sealed);
        }
        party.pass(60 * SECOND);
    }
    (party, frames)
}

/// The room key, every identity key and the whole capture, after all have
/// left: sessions made from them, with any randomness but that of the members,
/// get every letter and every frame.
#[test]
fn a5_the_room_key_all_identities_and_the_capture_decrypt_nothing() {
    let (party, frames) = evening();
    let infos: Vec<_> = party.members.values().map(|m| m.info.clone()).collect();
    let (capture, now) = (party.capture.clone(), party.now);
    drop(party);
    let mut letters = 0;
    for victim in &infos {
        let seed = victim.mac.unwrap().octets()[5];
        let mut rng = StdRng::seed_from_u64(0xE51E);
        let config = KeyringConfig {
            room: ROOM,
            key: KEY,
            signer: signer(seed),
            role: victim.role,
            mac: victim.mac,
            name: victim.name.clone(),
        };
        let mut thief = Keyring::new(config, &mut rng, now);
        thief.joined(now);
        for info in &infos {
            thief.member_joined(info, now);
        }
        for letter in capture.iter().filter(|letter| letter.to == victim.peer) {
            let is_key = letter.body[0] == 2;
            let result = thief.receive(letter.from, &letter.body, now);
            assert!(!is_key || result.is_err(), "a letter with a key was read");
            letters += usize::from(is_key);
        }
        // Announcements are open: the thief believes them and reads nothing.
        for other in infos.iter().filter(|other| other.peer != victim.peer) {
            assert_eq!(thief.standing(other.peer), Some(Standing::Verified));
        }
        for sealed in &frames {
            let mut out = Vec::new();
            let opened = thief.open(
                sealed.source,
                FrameCount::ONE,
                sealed.header,
                &sealed.frame,
                &mut out,
                now,
            );
            assert_ne!(opened, Ok(Opened::Frame));
        }
    }
    assert!(letters >= 6, "{letters}");
    assert_eq!(frames.len(), 150);
}

/// The same by hand and without our code: HPKE with every secret that outlives
/// a session. That the attempt is a real one shows where it is given the one
/// thing that is missing.
#[test]
fn a5_letters_open_with_the_sessions_own_key_and_no_other_secret() {
    let psk = derive(KEY.as_bytes(), b"letter");
    let open = |private: &[u8; 32], letter: &[u8], info: &[u8], psk: &[u8; 32]| {
        let enc = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&letter[13..45]).unwrap();
        let private = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(private).unwrap();
        let psk = PskBundle::new(psk, b"lanparty/1 room key").unwrap();
        let mut context = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Psk(psk),
            &private,
            &enc,
            info,
        )
        .unwrap();
        context.open(&letter[45..93], &[]).ok()
    };
    let (party, _) = evening();
    let info_of = |id: u16| &party.members[&peer(id)].info.key_card;
    let letter = party
        .capture
        .iter()
        .find(|l| l.body[0] == 2 && l.from == peer(1) && l.to == peer(2))
        .unwrap();
    let (from, to) = (info_of(1), info_of(2));
    let epoch = &letter.body[1..9];
    let info = [
        b"lanparty/1 sender key\0",
        &ROOM.0[..],
        &from.identity,
        &from.session,
        &to.identity,
        &to.session,
        epoch,
    ]
    .concat();

    // The key that player 2 made from its randomness, made again.
    let mut rng = StdRng::seed_from_u64(2);
    let mut ikm = [0; 32];
    rand::RngCore::fill_bytes(&mut rng, &mut ikm);
    let (private, public) = X25519HkdfSha256::derive_keypair(&ikm);
    let private: [u8; 32] = hpke::Serializable::to_bytes(&private).into();
    let public: [u8; 32] = hpke::Serializable::to_bytes(&public).into();
    assert_eq!(public, to.x25519);
    assert!(open(&private, &letter.body, &info, &psk).is_some());
    // With it, and without the room key:
    assert!(open(&private, &letter.body, &info, &[0; 32]).is_none());
    // With all that outlives the session, and without it:
    for secret in [*KEY.as_bytes(), [1; 32], [2; 32], psk] {
        assert!(open(&secret, &letter.body, &info, &psk).is_none());
    }
}

fn derive(secret: &[u8], info: &[u8]) -> [u8; 32] {
    use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
    let prk = Salt::new(HKDF_SHA256, &[]).extract(secret);
    let mut out = [0; 32];
    prk.expand(&[info], HKDF_SHA256)
        .unwrap()
        .fill(&mut out)
        .unwrap();
    out
}
