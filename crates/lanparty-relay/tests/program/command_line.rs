//! Bad input: one sentence with a remedy and the documented status.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;

use crate::relay::{Home, Relay, output};

fn fails(arguments: &[&str], status: i32, says: &str) {
    let output = output(arguments);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{told}");
    assert!(told.contains(says), "{told}");
    assert!(!told.contains("panicked"), "{told}");
}

#[test]
fn an_occupied_port_is_named() {
    let home = Home::new();
    let occupied = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap().to_string();
    let state = home.state();
    let arguments = ["--listen", &address, "--state-dir", state.to_str().unwrap()];
    fails(&arguments, 6, "choose another port with --listen");
}

#[test]
fn an_address_of_another_machine_cannot_be_listened_on() {
    let home = Home::new();
    let state = home.state();
    let state = state.to_str().unwrap();
    let arguments = ["--listen", "192.0.2.77:4433", "--state-dir", state];
    fails(&arguments, 6, "choose an address of this machine");
    fails(&["--listen", "relay.example:443"], 2, "443/udp");
}

#[test]
fn a_bad_certificate_is_refused() {
    let home = Home::new();
    let state = home.state();
    let state = state.to_str().unwrap();
    let bad = home.path().join("bad.pem");
    fs::write(&bad, "not a certificate").unwrap();
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o600)).unwrap();
    let bad = bad.to_str().unwrap();
    let listen = "127.0.0.1:0";
    let arguments = [
        "--listen",
        listen,
        "--state-dir",
        state,
        "--tls-cert",
        bad,
        "--tls-key",
        bad,
    ];
    fails(&arguments, 4, "check --tls-cert and --tls-key");
    let none = "/nonexistent.pem";
    let arguments = [
        "--listen",
        listen,
        "--state-dir",
        state,
        "--tls-cert",
        none,
        "--tls-key",
        bad,
    ];
    fails(&arguments, 4, "/nonexistent.pem");
}

#[test]
fn one_state_directory_serves_one_relay_and_keeps_its_secrets() {
    let home = Home::new();
    let relay = Relay::start(&home);
    let state = home.state();
    let state_text = state.to_str().unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--state-dir", state_text];
    fails(&arguments, 11, "--state-dir");
    relay.kill();
    let key = state.join("resume.key");
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    fails(&arguments, 11, "resume.key");
}

#[test]
fn asking_for_rooms_where_no_relay_runs_says_so() {
    let home = Home::new();
    let state = home.state();
    fails(
        &["rooms", "--state-dir", state.to_str().unwrap()],
        8,
        "no relay answers",
    );
}

#[test]
fn the_version_is_told() {
    let output = output(&["--version"]);
    assert!(output.status.success());
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .starts_with("lanparty-relay 0.")
    );
}
