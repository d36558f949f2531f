//! The command line beside variables of the environment.

use std::process::Command;

/// A shell or unit that names the relay for joining says nothing against
/// asking or cleaning up.
#[test]
fn a_variable_for_the_main_work_is_no_matter_to_a_subcommand() {
    let directory = tempfile::tempdir().unwrap();
    for (subcommand, code) in [("status", 8), ("cleanup", 0)] {
        let output = Command::new(env!("CARGO_BIN_EXE_lanparty-gateway"))
            .args([subcommand, "--state-dir"])
            .arg(directory.path())
            .env("LANPARTY_RELAY", "relay.example")
            .env("LANPARTY_NAME", "host")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{subcommand}: {output:?}");
    }
}

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let output = Command::new(env!("CARGO_BIN_EXE_lanparty-gateway"))
        .args(arguments)
        .args(["--iface", "nosuch0", "--state-dir"])
        .arg(directory.path())
        .envs(variables.iter().copied())
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn what_is_typed_wins_over_the_environment_and_an_invite_over_what_it_says() {
    let damaged = "lanparty://relay.example/ROOM1#aaaaaaa";
    let relay = ("LANPARTY_RELAY", "192.0.2.1");
    let room = ("LANPARTY_ROOM", "ROOM1");
    let invite = ("LANPARTY_INVITE", damaged);
    let spelt_out = ["--relay", "192.0.2.1", "--room", "ROOM1"];

    let (code, said) = run(&[damaged], &[relay, room]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("was changed on its way"), "{said}");
    let (code, said) = run(&spelt_out, &[invite]);
    assert!(matches!(code, Some(5 | 7)), "{code:?} {said}");
    let (code, said) = run(&[], &[invite]);
    assert_eq!(code, Some(3), "{said}");
    let (code, said) = run(&[], &[relay, room, invite]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--relay"), "{said}");
    for (arguments, variables) in [
        (&[damaged, "--room", "R"][..], &[][..]),
        (&[damaged, "--invite", damaged], &[]),
        (&[], &[room]),
    ] {
        let (code, said) = run(arguments, variables);
        assert_eq!(code, Some(2), "{arguments:?} {said}");
        assert!(!said.contains("#aaaaaaa"), "{said}");
    }
}

#[test]
fn the_invite_is_printed_only_where_there_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let print_with = |extra: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_lanparty-gateway"))
            .args(["invite", "--state-dir"])
            .arg(directory.path())
            .args(extra)
            .output()
            .unwrap()
    };
    let print = || print_with(&[]);
    assert_eq!(print().status.code(), Some(11));
    let invite = "lanparty://relay.example/ROOM1";
    let relay = "relay.example".parse().unwrap();
    let link = lanparty_net::Invite::new(relay, "ROOM1", Vec::new(), Some([7; 32]));
    let link = link.unwrap().link();
    assert!(link.starts_with(invite));
    let file = directory.path().join("invite");
    std::fs::write(&file, format!("{}\n", *link)).unwrap();
    // Somebody else could have read it.
    assert_eq!(print().status.code(), Some(11));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).unwrap();
    let printed = print();
    assert_eq!(String::from_utf8(printed.stdout).unwrap().trim(), &**link);
    let picture = String::from_utf8(print_with(&["--qr"]).stdout).unwrap();
    assert_eq!(picture.lines().next(), Some(&**link));
    assert!(picture.lines().count() > 20, "{picture}");
}
