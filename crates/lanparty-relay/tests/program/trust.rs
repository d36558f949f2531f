//! By what members know the relay, and how that is replaced under them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use lanparty_transport::{CloseReason, Identity, ServerTrust, TrustFailure};
use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;

use crate::member::{Member, mac, magic_packet, until};
use crate::relay::{Home, Relay, output};

/// Certificate files as an operator has them.
struct Files {
    chain: String,
    key: String,
}

impl Files {
    fn new(home: &Home) -> Self {
        let path = |name| home.path().join(name).to_str().unwrap().to_owned();
        let files = Self {
            chain: path("chain.pem"),
            key: path("key.pem"),
        };
        fs::write(&files.key, "").unwrap();
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
        files
    }

    fn arguments(&self) -> [&str; 4] {
        ["--tls-cert", &self.chain, "--tls-key", &self.key]
    }

    /// Writes a new pair that is valid in these years; members trust the
    /// certificate in the home's file.
    fn renew(&self, home: &Home, years: [i32; 2]) {
        let pair = KeyPair::generate().unwrap();
        let mut parameters =
            CertificateParams::new(vec!["lanparty-relay.local".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(years[0], 1, 1);
        parameters.not_after = rcgen::date_time_ymd(years[1], 1, 1);
        let certificate = parameters.self_signed(&pair).unwrap();
        fs::write(&self.chain, certificate.pem()).unwrap();
        fs::write(&self.key, pair.serialize_pem()).unwrap();
        fs::write(home.certificate(), certificate.der()).unwrap();
    }
}

const VALID: [i32; 2] = [2020, 2999];
const EXPIRED: [i32; 2] = [2001, 2002];

fn pins(home: &Home) -> Vec<Identity> {
    let state = home.state();
    let output = output(&["pin", "--state-dir", state.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(identity).collect()
}

fn identity(hex: &str) -> Identity {
    assert_eq!(hex.len(), 64, "{hex}");
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    }
    Identity(bytes)
}

fn rotate(home: &Home, extra: &[&str]) -> String {
    let state = home.state();
    let arguments = [
        &["rotate-identity", "--state-dir", state.to_str().unwrap()],
        extra,
    ]
    .concat();
    let output = output(&arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a19_a_renewed_certificate_is_shown_without_a_word_and_drops_nobody() {
    let home = Home::new();
    let files = Files::new(&home);
    files.renew(&home, VALID);
    let relay = Relay::spawn(&home, "127.0.0.1:0", &files.arguments(), "");
    let mut first = Member::join(&home, relay.address, 1, None);
    let first_id = first.welcome().peer_id;

    files.renew(&home, VALID);
    relay.logged("reloaded the certificate");
    let mut second = Member::join(&home, relay.address, 2, None);
    second.welcome();
    first.send(magic_packet(first_id, mac(1), mac(2)));
    until("a frame", &mut [&mut first, &mut second], |members| {
        members[1].datagrams.pop_front()
    });
    assert_eq!(first.closed, None);
}

#[test]
fn a19_a_pair_that_cannot_be_used_is_refused_in_words_and_the_old_one_stays() {
    let home = Home::new();
    let files = Files::new(&home);
    files.renew(&home, VALID);
    let good = [fs::read(&files.chain), fs::read(&files.key)].map(Result::unwrap);
    let certificate = fs::read(home.certificate()).unwrap();
    let relay = Relay::spawn(&home, "127.0.0.1:0", &files.arguments(), "");
    let mut first = Member::join(&home, relay.address, 1, None);
    first.welcome();

    let breaks: [(&str, &dyn Fn()); 5] = [
        ("not a PEM file with a certificate chain", &|| {
            fs::write(&files.chain, "broken").unwrap();
        }),
        ("not a PEM file with a private key", &|| {
            fs::write(&files.key, "broken").unwrap();
        }),
        ("can be read by other users", &|| {
            fs::set_permissions(&files.key, fs::Permissions::from_mode(0o640)).unwrap();
        }),
        ("has expired", &|| files.renew(&home, EXPIRED)),
        // The chain of one pair and the key of another.
        ("keys may not be consistent", &|| {
            files.renew(&home, VALID);
            fs::write(&files.key, &good[1]).unwrap();
        }),
    ];
    for (n, (sentence, break_it)) in (2..).zip(breaks) {
        break_it();
        relay.signal(Signal::HUP);
        let told = relay.logged("kept the old certificate");
        assert!(told.contains(sentence), "{told}");
        fs::write(home.certificate(), &certificate).unwrap();
        Member::join(&home, relay.address, n, None).welcome();
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&files.chain, &good[0]).unwrap();
        fs::write(&files.key, &good[1]).unwrap();
    }
    first.turn();
    assert_eq!(first.closed, None);
}

#[test]
fn a19_the_relays_key_is_replaced_under_load_and_who_knows_both_pins_does_not_notice() {
    let home = Home::new();
    let relay = Relay::start(&home);
    let [present] = pins(&home)[..] else {
        panic!("one pin before a rotation");
    };
    assert!(
        relay
            .logged("certificate pin")
            .contains(&present.to_string())
    );

    let told = rotate(&home, &[]);
    let [still, next] = pins(&home)[..] else {
        panic!("two pins once the next key is prepared");
    };
    assert_eq!(still, present);
    assert_ne!(next, present);
    assert!(told.contains(&present.to_string()) && told.contains(&next.to_string()));
    assert_eq!(rotate(&home, &[]), told, "preparing twice changes nothing");
    for seed in ["identity.seed", "identity.next.seed"] {
        assert_eq!(mode(&home.state().join(seed)), 0o600);
    }

    let both = || ServerTrust::Pin(vec![present, next]);
    let join = |trust, n| Member::join_trusting(trust, relay.address, n, None);
    let mut alice = join(both(), 1);
    let mut bob = join(ServerTrust::Pin(vec![present]), 2);
    let alice_id = alice.welcome().peer_id;
    bob.welcome();

    let old_certificate = fs::read(home.certificate()).unwrap();
    rotate(&home, &["--switch"]);
    // Frames flow all the while.
    let (mut sent, mut got) = (0, 0);
    let begin = Instant::now();
    let mut newcomers = 3..;
    let replaced = loop {
        sent += 1;
        alice.send(magic_packet(alice_id, mac(1), mac(2)));
        alice.turn();
        bob.turn();
        got += std::mem::take(&mut bob.datagrams).len();
        if sent % 500 == 0 {
            let mut newcomer = join(ServerTrust::Pin(vec![next]), newcomers.next().unwrap());
            let outcome = until("an answer", &mut [&mut newcomer], |members| {
                let welcomed = !members[0].said.is_empty();
                let refused = members[0].closed.clone();
                (welcomed || refused.is_some()).then_some(refused)
            });
            match outcome {
                None => break true,
                Some(reason) => {
                    assert_eq!(reason, CloseReason::Untrusted(TrustFailure::Pin));
                }
            }
        }
        if begin.elapsed() > Duration::from_secs(10) {
            break false;
        }
        std::thread::sleep(Duration::from_micros(500));
    };
    assert!(replaced, "the new key was never shown");
    let last = until("the last frames", &mut [&mut alice, &mut bob], |members| {
        got += std::mem::take(&mut members[1].datagrams).len();
        (got == sent).then_some(got)
    });
    assert_eq!(last, sent);
    assert_eq!((alice.closed, bob.closed), (None, None));

    join(both(), 101).welcome();
    let mut late = join(ServerTrust::Pin(vec![present]), 102);
    let reason = until("a refusal", &mut [&mut late], |members| {
        members[0].closed.clone()
    });
    assert_eq!(reason, CloseReason::Untrusted(TrustFailure::Pin));
    assert_eq!(pins(&home), [next]);
    assert_ne!(fs::read(home.certificate()).unwrap(), old_certificate);
}

#[test]
fn a19_a_key_is_switched_only_to_one_that_was_prepared() {
    let home = Home::new();
    let state = home.state();
    let arguments = [
        "rotate-identity",
        "--switch",
        "--state-dir",
        state.to_str().unwrap(),
    ];
    let refused = output(&arguments);
    assert_eq!(refused.status.code(), Some(11));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("no next key is prepared"), "{told}");
    assert_eq!(pins(&home).len(), 1);
}

#[test]
fn a19_a_key_that_others_can_read_is_refused_at_the_start_too() {
    let home = Home::new();
    let files = Files::new(&home);
    files.renew(&home, VALID);
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    let state = home.state();
    let start = [
        "--listen",
        "127.0.0.1:0",
        "--state-dir",
        state.to_str().unwrap(),
    ];
    let refused = output(&[&start[..], &files.arguments()].concat());
    assert_eq!(refused.status.code(), Some(4));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(
        told.contains("key.pem can be read by other users"),
        "{told}"
    );
    let shown = output(&["pin", "--tls-cert", &files.chain]);
    assert_eq!(shown.stdout.len(), 65);
}
