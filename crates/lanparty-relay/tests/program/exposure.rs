//! What strangers can make the relay show, and where it can be reached.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::member::{Member, greeting, until};
use crate::relay::{Home, PROGRAM, Relay};

/// Colours, new lines, a line of a log, a change of reading direction.
const NASTY: &str =
    "\u{1b}[31mred\r\n2026-01-01T00:00:00Z ERROR forged: pwned\u{202e}\u{7f}\u{9b}\0";

fn nasty_visit(home: &Home, relay: &Relay) {
    let mut rude = Member::join(home, relay.address, 1, None);
    rude.welcome();
    rude.say(&serde_json::to_vec(&serde_json::json!({ "type": NASTY })).unwrap());
    until("a close", &mut [&mut rude], |members| {
        members[0].closed.clone()
    });
    let mut leaver = Member::join(home, relay.address, 2, None);
    leaver.welcome();
    leaver.leave(NASTY);
    let mut hello = serde_json::to_value(greeting(9, None).1).unwrap();
    hello["type"] = "hello".into();
    for field in ["name", "agent", "room"] {
        let mut hello = hello.clone();
        hello[field] = NASTY.into();
        let mut stranger = Member::connect(home, relay.address);
        stranger.say(&serde_json::to_vec(&hello).unwrap());
        until("a refusal", &mut [&mut stranger], |members| {
            members[0].closed.clone()
        });
        assert!(!stranger.said.is_empty(), "{field}: no word of the refusal");
    }
}

fn is_harmless(line: &str) -> bool {
    let harmful = |letter: char| {
        letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    !line.contains(harmful) && !line.starts_with("2026-01-01T00:00:00Z")
}

#[test]
fn a21_what_a_stranger_says_cannot_write_into_the_log() {
    for format in ["text", "json"] {
        for filter in ["debug", ""] {
            let home = Home::new();
            let certificate = home.certificate();
            let arguments = [
                "--dev-cert-der-out",
                certificate.to_str().unwrap(),
                "--log-format",
                format,
            ];
            let relay = Relay::spawn(&home, "127.0.0.1:0", &arguments, filter);
            nasty_visit(&home, &relay);
            relay.signal(rustix::process::Signal::TERM);
            let lines = relay.logged_until("stopped");
            for line in &lines {
                assert!(is_harmless(line), "{format}: {line:?}");
                if format == "json" {
                    let _one_object: serde_json::Value = serde_json::from_str(line).unwrap();
                }
            }
            let told = lines.iter().any(|line| line.contains("pwned"));
            assert_eq!(told, filter == "debug", "{format}: {lines:#?}");
        }
    }
}

/// Inodes of the sockets that a process has open.
fn sockets(process: u32) -> Vec<String> {
    fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter_map(|target| {
            let target = target.to_str()?;
            let inode = target.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect()
}

#[test]
fn a22_the_relay_can_be_asked_over_one_local_socket_only_and_by_its_own_user() {
    let home = Home::new();
    let relay = Relay::start(&home);
    Member::join(&home, relay.address, 1, None).welcome();
    let open = sockets(relay.id());
    assert!(open.len() >= 2, "{open:?}");
    for table in ["tcp", "tcp6", "raw", "raw6"] {
        let table = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        let listed = |inode: &String| {
            table
                .lines()
                .any(|line| line.split_whitespace().nth(9) == Some(inode))
        };
        assert!(!open.iter().any(listed), "{open:?} in {table}");
    }

    let mode = |name: &str| {
        let metadata = fs::metadata(home.state().join(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o700);
    assert_eq!(mode("relay.sock") & 0o077, 0);

    // Another user who gets at the socket all the same is told nothing.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let open_up = |path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open_up(home.path().to_owned(), 0o755);
    open_up(home.state(), 0o755);
    open_up(home.state().join("relay.sock"), 0o777);
    let ask = |user: &str| {
        let output = Command::new("setpriv")
            .args(["--reuid", user, "--clear-groups", "--", PROGRAM])
            .args(["rooms", "--state-dir"])
            .arg(home.state())
            .output()
            .unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert!(ask("0").contains("ROOM1"));
    let refused = ask("65534");
    assert!(!refused.contains("ROOM1"), "{refused}");
    assert!(refused.starts_with("lanparty-relay: "), "{refused}");
}
