//! Key cards and admission proofs bind what they claim to bind.

use lanparty_ctrl::card::CardError;
use lanparty_ctrl::{DisplayName, Hello, ResumeToken, Role};
use lanparty_proto::MacAddr;

use crate::samples::{self, EXPORTER, MAC};

#[test]
fn a_card_holds_for_its_own_mac_and_role_only() {
    let card = samples::key_card(Some(MAC), Role::Client);
    assert_eq!(card.verify(Some(MAC), Role::Client), Ok(()));
    let other = MacAddr([0x02, 0, 0, 0, 0, 9]);
    for (mac, role) in [
        (Some(MAC), Role::Gateway),
        (Some(other), Role::Client),
        (None, Role::Client),
    ] {
        assert_eq!(card.verify(mac, role), Err(CardError::Signature));
    }
    let without_mac = samples::key_card(None, Role::Gateway);
    let zero = Some(MacAddr::ZERO);
    assert_eq!(without_mac.verify(None, Role::Gateway), Ok(()));
    assert_eq!(
        without_mac.verify(zero, Role::Gateway),
        Err(CardError::Signature)
    );
}

#[test]
fn a_card_with_a_changed_key_is_refused() {
    let card = samples::key_card(Some(MAC), Role::Client);
    let verify = |change: &dyn Fn(&mut lanparty_ctrl::KeyCard)| {
        let mut changed = card;
        change(&mut changed);
        changed.verify(Some(MAC), Role::Client)
    };
    assert_eq!(
        verify(&|card| card.x25519[0] ^= 1),
        Err(CardError::Signature)
    );
    assert_eq!(
        verify(&|card| card.session[0] ^= 1),
        Err(CardError::Signature)
    );
    assert_eq!(
        verify(&|card| card.signature[0] ^= 1),
        Err(CardError::Signature)
    );
    assert_eq!(
        verify(&|card| card.identity[0] ^= 1),
        Err(CardError::Identity)
    );
    assert_eq!(
        verify(&|card| card.public_key = samples::public_key(&[9; 32])),
        Err(CardError::Identity)
    );
}

type Change = fn(&mut Hello);

#[test]
fn an_admission_proof_holds_for_one_connection_one_member_and_one_hello() {
    let hello = samples::hello();
    let proof = hello.admission.unwrap();
    let spki = hello.key_card.identity;
    assert!(proof.verify(&EXPORTER, &spki, &hello));
    assert!(!proof.verify(&[0; 32], &spki, &hello));
    assert!(!proof.verify(&EXPORTER, &[0; 32], &hello));

    let name = |text: &str| text.parse::<DisplayName>().unwrap();
    let changes: Vec<(&str, Change)> = vec![
        ("version", |hello| hello.version = 2),
        ("features", |hello| hello.features = Default::default()),
        ("role", |hello| hello.role = Role::Gateway),
        ("room", |hello| hello.room = "PARTZ".parse().unwrap()),
        ("create", |hello| hello.create = true),
        ("create_token", |hello| hello.create_token = None),
        ("mac", |hello| hello.mac = None),
        ("datagram_budget", |hello| hello.datagram_budget = 1_435),
        ("key_card", |hello| hello.key_card.x25519[0] ^= 1),
        ("card signature", |hello| hello.key_card.signature[0] ^= 1),
        ("resume", |hello| hello.resume = None),
        ("resume", |hello| {
            hello.resume = Some(ResumeToken::try_from(vec![0xAB; 23]).unwrap());
        }),
    ];
    for (field, change) in changes {
        let mut changed = hello.clone();
        change(&mut changed);
        assert!(!proof.verify(&EXPORTER, &spki, &changed), "{field}");
    }
    // A byte that moves from one text to the next changes the proof too.
    let mut shifted = hello.clone();
    shifted.name = name("Käthel");
    shifted.agent = name("anparty-client 0.1.0");
    assert!(!proof.verify(&EXPORTER, &spki, &shifted));
}
