//! The command line beside variables of the environment.

use std::process::Command;

/// A shell or unit that names the relay for joining says nothing against
/// asking or cleaning up.
#[test]
fn a_variable_for_the_main_work_is_no_matter_to_a_subcommand() {
    let directory = tempfile::tempdir().unwrap();
    for (subcommand, code) in [("status", 8), ("cleanup", 0)] {
        let output = Command::new(env!("CARGO_BIN_EXE_lanparty-client"))
            .args([subcommand, "--state-dir"])
            .arg(directory.path())
            .env("LANPARTY_RELAY", "relay.example")
            .env("LANPARTY_NAME", "host")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{subcommand}: {output:?}");
    }
}
