//! What the flags and an invite come to.

use clap::Parser;
use lanparty_obs::ExitCode;

use super::*;

const KEY: [u8; 32] = [0xC3; 32];

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    member: MemberArgs,
}

fn parse(arguments: &[&str]) -> Result<MemberArgs, clap::Error> {
    Line::try_parse_from([&["program"], arguments].concat()).map(|line| line.member)
}

fn spelt_out(extra: &[&str]) -> Result<MemberArgs, clap::Error> {
    parse(&[&["--relay", "relay.example", "--room", "ROOM1"], extra].concat())
}

fn link(pins: &[[u8; 32]], key: Option<[u8; 32]>) -> String {
    let relay = "relay.example:4433".parse().unwrap();
    let invite = Invite::new(relay, "ROOM1", pins.to_vec(), key).unwrap();
    invite.link().to_string()
}

fn in_file(content: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[test]
fn the_command_line_is_well_formed() {
    <Line as clap::CommandFactory>::command().debug_assert();
}

#[test]
fn trust_comes_from_the_file_the_pins_or_the_system() {
    let (_directory, file) = in_file("DER");
    let trust = |extra: &[&str]| spelt_out(extra).unwrap().entry().map(|entry| entry.trust);
    assert!(matches!(trust(&[]), Ok(ServerTrust::SystemRoots)));
    let (one, two) = ("ab".repeat(32), "cd".repeat(32));
    let pins = trust(&["--relay-pin", &one, "--relay-pin", &two]).unwrap();
    assert!(
        matches!(&pins, ServerTrust::Pin(pins) if pins[..] == [Identity([0xAB; 32]), Identity([0xCD; 32])]),
        "{pins:?}"
    );
    assert!(matches!(
        trust(&["--relay-ca-cert", &file]),
        Ok(ServerTrust::Certificates(_))
    ));
    let error = trust(&["--relay-ca-cert", "/nosuch.der"]).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Certificate);
    assert!(error.to_string().contains("/nosuch.der"), "{error}");
}

#[test]
fn a_wrong_pin_and_two_kinds_of_trust_are_refused_at_once() {
    assert!(spelt_out(&["--relay-pin", "00"]).is_err());
    let pin = "ab".repeat(32);
    assert!(spelt_out(&["--relay-pin", &pin, "--relay-ca-cert", "a.der"]).is_err());
}

#[test]
fn a_chosen_name_is_checked_and_the_default_always_works() {
    let plain = spelt_out(&[]).unwrap();
    assert_eq!(plain.entry().unwrap().server_name, "relay.example");
    assert!(plain.name(Role::Client).is_ok());
    let error = spelt_out(&["--name", "a\nb"]).unwrap().name(Role::Client);
    assert_eq!(error.unwrap_err().exit_code(), ExitCode::Configuration);
}

#[test]
fn an_invite_alone_says_everything() {
    let text = link(&[[0xAB; 32]], Some(KEY));
    let (_directory, file) = in_file(&format!("  {text}\r\n"));
    for arguments in [
        &[&*text][..],
        &["--invite", &text],
        &["--invite-file", &file],
    ] {
        let entry = parse(arguments).unwrap().entry().unwrap();
        assert_eq!(entry.relay, "relay.example:4433".parse().unwrap());
        assert_eq!(entry.server_name, "relay.example");
        assert_eq!(entry.room.as_str(), "ROOM1");
        assert_eq!(entry.key.unwrap().as_bytes(), &KEY);
        assert!(
            matches!(&entry.trust, ServerTrust::Pin(pins) if pins[..] == [Identity([0xAB; 32])])
        );
    }
    let open = parse(&[&link(&[], None)]).unwrap().entry().unwrap();
    assert!(open.key.is_none());
    assert!(matches!(open.trust, ServerTrust::SystemRoots));
}

#[test]
fn what_an_invite_says_is_not_said_twice() {
    let text = link(&[], Some(KEY));
    for extra in [
        ["--relay", "relay.example"],
        ["--room", "ROOM1"],
        ["--server-name", "relay.example"],
        ["--relay-ca-cert", "relay.der"],
        ["--relay-pin", &"ab".repeat(32)],
        ["--room-key-file", "key"],
    ] {
        let error = parse(&[&[&*text], &extra[..]].concat()).unwrap_err();
        assert!(error.to_string().contains(extra[0]), "{error}");
        assert!(!error.to_string().contains(&text), "{error}");
    }
    for twice in [
        &[&*text, "--invite", &text][..],
        &[&text, "--ask-invite"],
        &["--invite-file", "a", "--invite", &text],
    ] {
        assert!(parse(twice).unwrap_err().to_string().contains("more than"));
    }
    assert!(parse(&[&text, "--name", "alice"]).is_ok());
}

#[test]
fn an_invite_that_was_damaged_is_explained_and_not_repeated() {
    let text = link(&[], Some(KEY)).replace("ROOM1", "ROOM2");
    let error = parse(&[&text]).unwrap().entry().unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Configuration);
    let said = error.to_string();
    assert!(
        said.contains("was changed") && !said.contains("ROOM"),
        "{said}"
    );
    let error = parse(&["--invite-file", "/nosuch"]).unwrap().entry();
    assert!(error.unwrap_err().to_string().contains("/nosuch"));
}

#[test]
fn a_mistyped_command_is_not_taken_for_an_invite() {
    let error = parse(&["statu"]).unwrap_err().to_string();
    assert!(error.contains("no such command"), "{error}");
}

#[test]
fn a_key_file_makes_the_long_form_a_keyed_one() {
    let (_directory, file) = in_file(&format!("{}\n", "c3".repeat(32)));
    let entry = spelt_out(&["--room-key-file", &file]).unwrap().entry();
    assert_eq!(entry.unwrap().key.unwrap().as_bytes(), &KEY);
    assert!(spelt_out(&[]).unwrap().entry().unwrap().key.is_none());
    for content in ["", "c3", &"c3".repeat(33), &"x".repeat(64)] {
        let (_directory, file) = in_file(content);
        let entry = spelt_out(&["--room-key-file", &file]).unwrap().entry();
        assert_eq!(entry.unwrap_err().exit_code(), ExitCode::Configuration);
    }
}

#[test]
fn a_relay_or_an_invite_is_required_and_for_joining_a_room() {
    assert!(parse(&[]).is_err());
    assert!(parse(&["--room", "ROOM1"]).is_err());
    let relay = parse(&["--relay", "relay.example"]).unwrap();
    assert!(relay.place().unwrap().room.is_none());
    assert_eq!(relay.entry().unwrap_err().exit_code(), ExitCode::Usage);
    let error = parse(&["--relay", "r", "--room", "a b"]).unwrap().entry();
    assert_eq!(error.unwrap_err().exit_code(), ExitCode::Configuration);
}

#[test]
fn a_key_in_everybodys_sight_is_warned_of_and_never_printed() {
    let text = link(&[], Some(KEY));
    for arguments in [&[&*text][..], &["--invite", &text]] {
        let member = parse(arguments).unwrap();
        assert!(member.warning().unwrap().contains("--ask-invite"));
        assert!(!format!("{member:?}").contains(&text));
    }
    let (_directory, file) = in_file(&text);
    assert_eq!(parse(&["--invite-file", &file]).unwrap().warning(), None);
    assert_eq!(parse(&[&link(&[], None)]).unwrap().warning(), None);
}
