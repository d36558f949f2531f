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

/// The chapter about one program, which its heading names.
fn chapter<'a>(operating: &'a str, program: &str) -> &'a str {
    let mut chapters = operating.split("\n## ");
    let named = format!("`{program}`");
    chapters
        .find(|chapter| chapter.lines().next().unwrap().contains(&named))
        .unwrap_or_else(|| panic!("docs/operating.md has no chapter on {program}"))
}

fn help(program: &str, subcommand: Option<&str>) -> String {
    let path = programs::find(program).unwrap();
    let output = Command::new(path)
        .args(subcommand)
        .arg("--help")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_flag_is_described() {
    let operating = document("operating.md");
    for (program, subcommands) in [
        ("lanparty-relay", &["rooms", "pin", "rotate-identity"][..]),
        (
            "lanparty-gateway",
            &[
                "invite",
                "rotate-key",
                "peers",
                "kick",
                "ban",
                "unban",
                "approve",
                "deny",
                "approval",
                "status",
                "cleanup",
            ],
        ),
        ("lanparty-client", &["status", "cleanup"]),
    ] {
        let chapter = chapter(&operating, program);
        let mut text = help(program, None);
        for subcommand in subcommands {
            assert!(
                chapter.contains(&format!("{program} {subcommand}")),
                "docs/operating.md does not describe {program} {subcommand}"
            );
            text += &help(program, Some(subcommand));
        }
        // A description may name another program's flag, an entry begins with its own.
        let flags = text.lines().filter_map(|line| {
            let entry = line.trim_start();
            let flag = entry.split_whitespace().next()?;
            flag.starts_with("--").then_some(flag)
        });
        let mut seen = 0;
        for flag in flags {
            seen += 1;
            let described = chapter
                .match_indices(flag)
                .any(|(at, _)| !continues(&chapter[at + flag.len()..]));
            assert!(
                described,
                "docs/operating.md does not describe {program} {flag}"
            );
        }
        assert!(
            seen > 5,
            "{program} --help lists {seen} flags only:\n{text}"
        );
    }
}

/// Whether a longer flag stands there, as `--status-json` does for `--status`.
fn continues(rest: &str) -> bool {
    rest.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '-')
}
