//! The documents for users say what the programs do.

#![expect(
    clippy::unwrap_used,
    reason = "a document that cannot be read has failed the test"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use lanparty_lab::programs;
use lanparty_obs::{DropReason, ExitCode};

fn document(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join("docs").join(name)).unwrap()
}

#[test]
fn every_drop_reason_is_explained() {
    let troubleshooting = document("troubleshooting.md");
    for reason in DropReason::ALL {
        let row = format!("| `{}` | {} |", reason.label(), reason.explanation());
        assert!(
            troubleshooting.contains(&row),
            "docs/troubleshooting.md lacks the row: {row}"
        );
    }
    let rows = troubleshooting
        .lines()
        .filter(|line| line.starts_with("| `"))
        .count();
    assert_eq!(
        rows,
        DropReason::ALL.len(),
        "docs/troubleshooting.md explains a reason that is none"
    );
}

#[test]
fn every_exit_code_is_listed() {
    let operating = document("operating.md");
    for code in ExitCode::ALL {
        let row = format!("| {} | ", code.number());
        assert!(
            operating.contains(&row),
            "docs/operating.md lacks exit code {}",
            code.number()
        );
    }
}

#[test]
fn every_flag_is_described() {
    let operating = document("operating.md");
    for program in programs::ALL {
        let path = programs::find(program).unwrap();
        let output = Command::new(path).arg("--help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let flags = help
            .split_whitespace()
            .map(|word| {
                word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-')
            })
            .filter(|word| word.starts_with("--") && word.len() > 2);
        let mut seen = 0;
        for flag in flags.filter(|flag| !["--help", "--version"].contains(flag)) {
            seen += 1;
            assert!(
                operating.contains(&format!("`{flag}")),
                "docs/operating.md does not describe {program} {flag}"
            );
        }
        assert!(
            seen > 5,
            "{program} --help lists {seen} flags only:\n{help}"
        );
    }
}
