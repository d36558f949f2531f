//! The threat register: every row has a test that is named after it, or, for
//! the few that may wait, a line in docs/known-issues.md.

#![expect(
    clippy::unwrap_used,
    reason = "a register that cannot be read has failed the test"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Threats at relay and transport, then those on the LAN.
const ROWS: [(char, u32); 2] = [('a', 23), ('b', 20)];
/// Rows that may be a known issue for now.
const MAY_WAIT: [&str; 4] = ["a2", "a16", "a22", "b12"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Names of functions that are marked as tests, also inside a proptest block.
fn tests_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("#[test]").skip(1).filter_map(|after| {
        let (_attributes, rest) = after.split_once("fn ")?;
        rest.split('(').next()
    })
}

#[test]
fn every_row_of_the_threat_register_is_tested() {
    let mut files = Vec::new();
    for directory in ["crates", "tests", "xtask", "fuzz"] {
        rust_files(&root().join(directory), &mut files);
    }
    let sources: Vec<String> = files
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let names: Vec<&str> = sources.iter().flat_map(|text| tests_in(text)).collect();
    let issues = fs::read_to_string(root().join("docs/known-issues.md")).unwrap();

    let mut missing = Vec::new();
    for (part, rows) in ROWS {
        for number in 1..=rows {
            let row = format!("{part}{number}");
            let prefix = format!("{row}_");
            let is_tested = names.iter().any(|name| name.starts_with(&prefix));
            let is_known = issues.contains(&format!("({})", row.to_uppercase()));
            if is_tested || (is_known && MAY_WAIT.contains(&&*row)) {
                continue;
            }
            missing.push(row.to_uppercase());
        }
    }
    assert!(
        missing.is_empty(),
        "no test is named after {}, and docs/known-issues.md does not excuse it",
        missing.join(", ")
    );
}
