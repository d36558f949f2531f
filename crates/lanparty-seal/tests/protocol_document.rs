//! The vectors of docs/protocol.md section 13 are what the code computes.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use lanparty_ctrl::{KeyCard, PeerInfo, Role, RoomId};
use lanparty_obs::drops::DropCounts;
use lanparty_proto::overlay::FrameCount;
use lanparty_proto::{MacAddr, PeerId};
use lanparty_seal::body::Body;
use lanparty_seal::frame::{Envelope, SealHeader};
use lanparty_seal::{Keyring, KeyringConfig, RoomKey, Signer};
use rand::SeedableRng;
use rand::rngs::StdRng;

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md");
    std::fs::read_to_string(path).unwrap()
}

/// The bytes of the fence with this name; comments begin with `#`.
fn bytes(name: &str) -> Vec<u8> {
    let document = document();
    let (_, fence) = document
        .split_once(&format!("```hex {name}\n"))
        .unwrap_or_else(|| panic!("no {name}"));
    let (body, _) = fence.split_once("```").unwrap();
    let code = body.lines().map(|line| line.split('#').next().unwrap());
    let digits: Vec<_> = code.flat_map(str::split_whitespace).collect();
    digits
        .iter()
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn array<const N: usize>(name: &str) -> [u8; N] {
    bytes(name).try_into().unwrap()
}

/// HKDF-SHA-256 without a salt, as the document says it.
fn hkdf(secret: &[u8], info: &str, length: usize) -> Vec<u8> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let prk = Salt::new(HKDF_SHA256, &[]).extract(secret);
    let mut out = vec![0; length];
    let info = [info.as_bytes()];
    let okm = prk.expand(&info, Length(length)).unwrap();
    okm.fill(&mut out).unwrap();
    out
}

#[test]
fn an_epochs_secret_gives_its_key_its_salt_and_the_next_secret() {
    let secret = [0x44; 32];
    assert_eq!(
        hkdf(&secret, "lanparty/1 frame key", 16),
        bytes("frame-key")
    );
    assert_eq!(
        hkdf(&secret, "lanparty/1 frame salt", 12),
        bytes("frame-salt")
    );
    assert_eq!(
        hkdf(&secret, "lanparty/1 next epoch", 32),
        bytes("next-epoch")
    );
}

#[test]
fn the_sealed_frame_of_the_document_opens() {
    let nonce: [u8; 12] = array("nonce");
    let salt = bytes("frame-salt");
    let header = bytes("sealed-header");
    let counted = header[6..12].to_vec();
    let xored: Vec<_> = [vec![0; 6], counted].concat();
    let expected: Vec<_> = salt.iter().zip(&xored).map(|(a, b)| a ^ b).collect();
    assert_eq!(nonce.to_vec(), expected);

    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &bytes("frame-key")).unwrap());
    let datagram = bytes("sealed-frame");
    assert_eq!(datagram[..26], header);
    let envelope = Envelope {
        room: RoomId(array("room-id")),
        source: PeerId::try_from(0x1234).unwrap(),
        header: SealHeader::decode(header[6..12].try_into().unwrap()),
        frames: FrameCount::ONE,
        ethernet: header[12..].try_into().unwrap(),
    };
    assert_eq!(envelope.associated_data()[..], bytes("associated-data"));
    let aad = Aad::from(envelope.associated_data());
    let mut sealed = datagram[26..].to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let clear = key.open_in_place(nonce, aad, &mut sealed).unwrap();
    assert_eq!(clear, b"hello, party");
}

fn config(room: [u8; 16]) -> KeyringConfig {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    let pair = Ed25519KeyPair::from_seed_unchecked(&[0x11; 32]).unwrap();
    let public = pair.public_key().as_ref().try_into().unwrap();
    KeyringConfig {
        room: RoomId(room),
        key: RoomKey::from_bytes([0x55; 32]),
        signer: Signer::new(public, move |message| {
            pair.sign(message).as_ref().try_into().unwrap()
        }),
        role: Role::Client,
        mac: Some(MacAddr([2, 0, 0x5e, 0x10, 0, 1])),
        name: "Käthe".parse().unwrap(),
    }
}

/// Käthe's announcement in the document is the one that a member believes.
#[test]
fn the_announcement_of_the_document_is_believed() {
    use aws_lc_rs::hmac;
    let input = bytes("announcement-input");
    let key = hkdf(&[0x55; 32], "key card", 32);
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &input);
    let body = bytes("announcement");
    assert_eq!(body[102..], *mac.as_ref());
    assert!(matches!(Body::decode(&body), Ok(Body::Announce(_))));

    #[expect(clippy::disallowed_methods, reason = "where the test's clock starts")]
    let now = std::time::Instant::now();
    let room = array("room-id");
    let mut rng = StdRng::seed_from_u64(1);
    let mut reader = Keyring::new(config(room), &mut rng, now);
    reader.joined(now);
    let peer = PeerId::try_from(4_660).unwrap();
    let public_key = *config(room).signer.public_key();
    let info = PeerInfo {
        peer,
        role: Role::Client,
        mac: config(room).mac,
        name: config(room).name,
        key_card: KeyCard {
            identity: KeyCard::identity_of(&public_key),
            public_key,
            x25519: [0x22; 32],
            session: [0x33; 16],
            signature: [0; 64],
        },
    };
    reader.member_joined(&info, now);
    assert_eq!(reader.receive(peer, &body, now), Ok(()));
    let mut drops = DropCounts::new();
    let answered = std::iter::from_fn(|| reader.poll(now, &mut rng, &mut drops));
    let kinds: Vec<_> = answered.map(|(to, body)| (to, body[0])).collect();
    // To all, to Käthe because she asks, and a key for her.
    assert_eq!(kinds, [(None, 1), (Some(peer), 1), (Some(peer), 2)]);
}

#[test]
fn the_document_names_every_body_with_its_length() {
    let document = document();
    for (kind, name, length) in [
        (1, "announcement", "134"),
        (2, "key", "157"),
        (3, "request", "9"),
        (4, "roster", "75 to 3915"),
        (5, "heartbeat", "153"),
        (6, "rotation", "149"),
    ] {
        let row = format!("| {kind} | {name} | {length} |");
        assert!(document.contains(&row), "no row {row}");
    }
}
