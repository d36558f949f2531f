//! Damage, mistakes and round trips.

use proptest::prelude::*;

use super::*;

const PIN_A: [u8; 32] = [0xA5; 32];
const PIN_B: [u8; 32] = [0x0B; 32];

fn invite(relay: &str, pins: &[[u8; 32]], key: Option<[u8; 32]>) -> Invite {
    Invite::new(relay.parse().unwrap(), "ROOM1", pins.to_vec(), key).unwrap()
}

fn samples() -> Vec<Invite> {
    vec![
        invite("relay.example.org", &[PIN_A], Some([7; 32])),
        invite("relay.example.org:4433", &[], Some([0; 32])),
        invite("192.0.2.1", &[PIN_A, PIN_B], Some([0xFF; 32])),
        invite("[2001:db8::1]:4433", &[PIN_B], None),
        invite("2001:db8::1", &[], None),
        invite("bücher.example", &[PIN_A], Some([9; 32])),
    ]
}

/// A link with a right checksum around parts that are wrong.
fn link(head: &str, key: &[u8]) -> String {
    let mut link = format!("{head}#");
    let check = checksum(head, key).to_be_bytes();
    base32::encode(&[key, &check].concat(), &mut link);
    link
}

#[test]
fn a_link_has_the_documented_form() {
    let link = invite("relay.example", &[PIN_A], Some([7; 32])).link();
    let (head, secret) = link.split_once('#').unwrap();
    let pin = "a5".repeat(32);
    assert_eq!(
        head,
        format!("lanparty://relay.example/ROOM1?pin=sha256:{pin}")
    );
    assert_eq!(secret.len(), 58);
    let keyless = invite("[2001:db8::1]:4433", &[], None).link();
    assert!(
        keyless.starts_with("lanparty://[2001:db8::1]:4433/ROOM1#"),
        "{}",
        *keyless
    );
}

#[test]
fn a_link_parses_back_to_the_same_invite() {
    for invite in samples() {
        let link = invite.link();
        assert_eq!(link.parse::<Invite>().as_ref(), Ok(&invite), "{}", *link);
    }
}

#[test]
fn any_one_wrong_character_is_noticed() {
    for invite in samples() {
        let link = invite.link();
        for at in 0..link.len() {
            for wrong in (0..=0x7F)
                .map(char::from)
                .chain("éｅ\u{200B}\u{AD}".chars())
            {
                let mut damaged = link.to_string();
                damaged.replace_range(at..=at, wrong.encode_utf8(&mut [0; 4]));
                if damaged != **link {
                    assert!(damaged.parse::<Invite>().is_err(), "{damaged}");
                }
            }
        }
    }
}

#[test]
fn a_missing_doubled_or_swapped_character_is_noticed() {
    for invite in samples() {
        let link = invite.link();
        for at in 0..link.len() {
            let mut missing = link.to_string();
            let removed = missing.remove(at);
            let mut doubled = link.to_string();
            doubled.insert(at, removed);
            let mut swapped = missing.clone();
            swapped.insert((at + 1).min(missing.len()), removed);
            for damaged in [missing, doubled, swapped] {
                if damaged != **link {
                    assert!(damaged.parse::<Invite>().is_err(), "{damaged}");
                }
            }
        }
    }
}

#[test]
fn a_link_that_was_cut_anywhere_is_refused() {
    for invite in samples() {
        let link = invite.link();
        for end in 0..link.len() {
            assert!(link[..end].parse::<Invite>().is_err(), "{}", &link[..end]);
            assert!(link[end + 1..].parse::<Invite>().is_err());
        }
    }
}

#[test]
fn each_mistake_has_its_own_sentence() {
    use InviteError as E;
    let pin = |byte: &str| format!("pin=sha256:{}", byte.repeat(32));
    let (a, b, c) = (pin("0a"), pin("0b"), pin("0c"));
    for (head, key, error) in [
        ("lanparty://relay".to_owned(), 32, E::Room),
        ("lanparty://relay/".to_owned(), 32, E::Room),
        ("lanparty://relay/a/b".to_owned(), 32, E::Room),
        ("lanparty://relay/a%20b".to_owned(), 32, E::Room),
        (
            "lanparty:///R".to_owned(),
            32,
            E::Relay(EndpointError::Name(crate::dns::DnsNameError::Empty)),
        ),
        (
            "lanparty://relay:0/R".to_owned(),
            32,
            E::Relay(EndpointError::Port),
        ),
        ("lanparty://relay/R?".to_owned(), 32, E::Unknown),
        ("lanparty://relay/R?x=1".to_owned(), 32, E::Unknown),
        (format!("lanparty://relay/R?{a}&x"), 32, E::Unknown),
        ("lanparty://relay/R?pin=md5:00".to_owned(), 32, E::Pins),
        (format!("lanparty://relay/R?{}", &a[..73]), 32, E::Pins),
        (format!("lanparty://relay/R?{a}0"), 32, E::Pins),
        (format!("lanparty://relay/R?{a}&{a}"), 32, E::Pins),
        (format!("lanparty://relay/R?{a}&{b}&{c}"), 32, E::Pins),
        ("lanparty://relay/R".to_owned(), 31, E::Unknown),
        ("lanparty://relay/R".to_owned(), 33, E::Unknown),
        ("lanparty://Relay/R".to_owned(), 32, E::Spelling),
        ("lanparty://relay./R".to_owned(), 32, E::Spelling),
        ("lanparty://relay:443/R".to_owned(), 32, E::Spelling),
        ("lanparty://2001:db8::1/R".to_owned(), 32, E::Spelling),
        ("lanparty://[2001:DB8::1]/R".to_owned(), 32, E::Spelling),
        (
            format!("lanparty://relay/R?{}", a.replace("0a", "0A")),
            32,
            E::Spelling,
        ),
    ] {
        let text = link(&head, &vec![7; key]);
        assert_eq!(text.parse::<Invite>(), Err(error), "{text}");
    }
    for (text, error) in [
        ("", E::Scheme),
        ("https://relay/R#aaaaaaa", E::Scheme),
        ("LANPARTY://relay/R#aaaaaaa", E::Scheme),
        ("lanparty://relay/R", E::Cut),
        ("lanparty://relay/R#", E::Cut),
        ("lanparty://relay/R#aaaaaaa", E::Damaged),
        ("lanparty://relay/R#!", E::Damaged),
    ] {
        assert_eq!(text.parse::<Invite>(), Err(error), "{text}");
    }
    let long = format!("{SCHEME}{}", "a".repeat(MAX_INVITE_LEN));
    assert_eq!(long.parse::<Invite>(), Err(E::TooLong));
}

#[test]
fn parts_that_make_no_link_are_refused() {
    let relay: RelayEndpoint = "relay.example".parse().unwrap();
    let new = |relay: &RelayEndpoint, room: &str, pins: &[[u8; 32]]| {
        Invite::new(relay.clone(), room, pins.to_vec(), Some([7; 32])).map(drop)
    };
    assert_eq!(new(&relay, "R", &[PIN_A, PIN_B]), Ok(()));
    assert_eq!(new(&relay, "", &[]), Err(InviteError::Room));
    assert_eq!(new(&relay, "a b", &[]), Err(InviteError::Room));
    assert_eq!(new(&relay, "R", &[PIN_A, PIN_A]), Err(InviteError::Pins));
    assert_eq!(
        new(&relay, "R", &[PIN_A, PIN_B, [3; 32]]),
        Err(InviteError::Pins)
    );
    let name = [&*"a".repeat(63); 4].join(".");
    let longest: RelayEndpoint = name[..253].parse().unwrap();
    assert_eq!(
        new(&longest, &"R".repeat(40), &[PIN_A, PIN_B]),
        Err(InviteError::TooLong)
    );
}

#[test]
fn a_host_name_in_its_own_script_is_the_same_invite() {
    let invite = invite("bücher.example:4433", &[PIN_A], Some([7; 32]));
    let link = invite.link();
    assert!(link.contains("//xn--bcher-kva.example:4433/"), "{}", *link);
    let shown = link.replace("xn--bcher-kva", "bücher");
    assert_eq!(shown.parse(), Ok(invite));
    for wrong in ["Bücher", "bûcher", "b\u{FF55}cher", "bu\u{308}cher"] {
        let wrong = link.replace("xn--bcher-kva", wrong);
        assert_eq!(
            wrong.parse::<Invite>(),
            Err(InviteError::Damaged),
            "{wrong}"
        );
    }
}

#[test]
fn a_key_is_never_shown_in_passing() {
    let invite = invite("relay.example", &[], Some([7; 32]));
    let shown = format!("{invite:?}");
    let link = invite.link();
    let (_, secret) = link.split_once('#').unwrap();
    assert!(
        !shown.contains("7, 7") && !shown.contains(secret),
        "{shown}"
    );
}

fn any_relay() -> impl Strategy<Value = RelayEndpoint> {
    let name = "[a-z]([a-z0-9-]{0,10}[a-z])?(\\.[a-z]{1,8}){0,2}";
    let host = prop_oneof![
        name.prop_map(|name| name),
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]")),
    ];
    (host, 1..=u16::MAX).prop_filter_map("no host", |(host, port)| {
        format!("{host}:{port}").parse().ok()
    })
}

prop_compose! {
    fn any_invite()(
        relay in any_relay(),
        room in "[A-Za-z0-9_-]{1,32}",
        pins in proptest::collection::btree_set(any::<[u8; 32]>(), 0..=MAX_PINS),
        key: Option<[u8; 32]>,
    ) -> Invite {
        Invite::new(relay, &room, pins.into_iter().collect(), key).unwrap()
    }
}

proptest! {
    #[test]
    fn printing_and_parsing_gives_the_same_invite(invite in any_invite()) {
        let link = invite.link();
        prop_assert!(link.len() <= MAX_INVITE_LEN);
        prop_assert_eq!(link.parse::<Invite>(), Ok(invite));
    }

    #[test]
    fn a_wrong_character_in_any_invite_is_noticed(
        invite in any_invite(),
        at: prop::sample::Index,
        wrong: char,
    ) {
        let mut damaged = invite.link().to_string();
        let at = at.index(damaged.len());
        damaged.replace_range(at..=at, wrong.encode_utf8(&mut [0; 4]));
        prop_assume!(damaged != **invite.link());
        prop_assert!(damaged.parse::<Invite>().is_err(), "{}", damaged);
    }

    #[test]
    fn any_text_is_parsed_or_refused(
        text in "\\PC{0,200}|lanparty://[a-zü0-9.:\\[\\]]{0,20}/[A-Z]{0,5}[?&=a-f0-9:]{0,20}#[a-z2-7]{0,60}",
    ) {
        if let Ok(invite) = text.parse::<Invite>() {
            prop_assert_eq!(invite.link().parse::<Invite>(), Ok(invite));
        }
    }
}
