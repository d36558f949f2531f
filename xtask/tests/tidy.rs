//! Rules about the source tree that the compiler does not know.

#![expect(
    clippy::unwrap_used,
    reason = "a tidy test that cannot read the tree has failed"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Level of each crate; an edge between two of ours must point down, or stay
/// on its level where [`SIDEWAYS`] says so.
const LEVELS: &[(&str, u8)] = &[
    ("lanparty-proto", 0),
    ("lanparty-obs", 0),
    ("lanparty-net", 0),
    ("lanparty-offload", 0),
    ("lanparty-ctrl", 1),
    ("lanparty-l2", 1),
    ("lanparty-queue", 1),
    ("lanparty-congestion", 1),
    ("lanparty-seal", 1),
    ("lanparty-relay-core", 2),
    ("lanparty-client-core", 2),
    ("lanparty-transport", 3),
    ("lanparty-lan", 3),
    ("lanparty-os", 3),
    ("lanparty-client-tap", 3),
    ("lanparty-client-route", 3),
    ("lanparty-member-cli", 3),
    ("lanparty-player", 3),
    ("lanparty-relay", 4),
    ("lanparty-gateway", 4),
    ("lanparty-client-linux", 4),
    ("lanparty-client-win", 4),
];

/// Edges inside a level, each with its reason.
const SIDEWAYS: &[(&str, &str, &str)] = &[
    (
        "lanparty-seal",
        "lanparty-ctrl",
        "members seal to the key cards of control messages",
    ),
    (
        "lanparty-obs",
        "lanparty-proto",
        "records carry MAC addresses and peer ids",
    ),
    (
        "lanparty-offload",
        "lanparty-proto",
        "superframes are Ethernet frames",
    ),
    (
        "lanparty-member-cli",
        "lanparty-transport",
        "flags become what the transport trusts a relay by",
    ),
    (
        "lanparty-player",
        "lanparty-transport",
        "the player is an app on its loop",
    ),
    (
        "lanparty-player",
        "lanparty-member-cli",
        "a player's flags contain a member's",
    ),
    (
        "lanparty-player",
        "lanparty-client-tap",
        "the player moves frames through an adapter",
    ),
    (
        "lanparty-player",
        "lanparty-client-route",
        "the player holds the route guard",
    ),
    (
        "lanparty-player",
        "lanparty-os",
        "the crash journal, private files, the status socket",
    ),
    (
        "lanparty-transport",
        "lanparty-os",
        "the wait and its handles on Windows",
    ),
    ("lanparty-lan", "lanparty-os", "netlink and guards"),
    ("lanparty-client-tap", "lanparty-os", "netlink and guards"),
    (
        "lanparty-client-route",
        "lanparty-os",
        "netlink and the crash journal",
    ),
];

/// Crates below the edges must run anywhere, under any clock: they may not
/// reach an operating system.
const NO_IO: &[&str] = &[
    "tokio",
    "quinn-proto",
    "quinn-udp",
    "rustix",
    "libc",
    "socket2",
    "nix",
    "windows-sys",
];

/// The only places where `unsafe` may stand.
const UNSAFE_ALLOWED: &[&str] = &[
    "crates/lanparty-lan/",
    "crates/lanparty-os/",
    "tests/lab/src/namespace.rs",
    "tests/lab/src/superframes.rs",
    "tests/lab/src/packet.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Name of each workspace package and the names of its normal dependencies.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let names = package["dependencies"].as_array().unwrap().iter();
            let normal = names
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned());
            (
                package["name"].as_str().unwrap().to_owned(),
                normal.collect(),
            )
        })
        .collect()
}

fn level(name: &str) -> Option<u8> {
    LEVELS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, level)| *level)
}

#[test]
fn dependencies_point_down_only() {
    for (package, dependencies) in dependencies() {
        let Some(own) = level(&package) else { continue };
        for dependency in dependencies {
            let Some(other) = level(&dependency) else {
                continue;
            };
            let sideways = SIDEWAYS
                .iter()
                .any(|(from, to, _)| *from == package && *to == dependency);
            assert!(
                other < own || (other == own && sideways),
                "{package} (level {own}) depends on {dependency} (level {other})"
            );
        }
    }
}

#[test]
fn every_crate_has_a_level() {
    for package in dependencies().keys() {
        let product = root().join("crates").join(package).is_dir();
        assert_eq!(
            product,
            level(package).is_some(),
            "{package} is missing in LEVELS, or should not be there"
        );
    }
}

#[test]
fn what_lies_below_the_edges_reaches_no_operating_system() {
    for (package, dependencies) in dependencies() {
        if level(&package).is_none_or(|level| level > 2) {
            continue;
        }
        for dependency in dependencies {
            assert!(
                !NO_IO.contains(&dependency.as_str()),
                "{package} depends on {dependency}"
            );
        }
    }
}

#[test]
fn nothing_depends_on_a_program() {
    for (package, dependencies) in dependencies() {
        for dependency in dependencies {
            assert_ne!(
                level(&dependency),
                Some(4),
                "{package} depends on the program {dependency}"
            );
        }
    }
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

fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for directory in ["crates", "tests", "xtask/src"] {
        rust_files(&root().join(directory), &mut files);
    }
    files
        .into_iter()
        .map(|path| {
            let name = path
                .strip_prefix(root())
                .unwrap()
                .to_string_lossy()
                .into_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

#[test]
fn unsafe_stays_inside_its_fences() {
    for (name, text) in sources() {
        if UNSAFE_ALLOWED.iter().any(|fence| name.starts_with(fence)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            assert!(
                !["unsafe {", "unsafe fn", "unsafe impl"]
                    .iter()
                    .any(|word| code.contains(word)),
                "{name}:{} uses unsafe outside the edge crates",
                number + 1
            );
        }
    }
}

#[test]
fn crates_outside_the_fences_forbid_unsafe() {
    for (name, text) in sources() {
        let crate_root = name.ends_with("src/lib.rs") || name.ends_with("src/main.rs");
        let fenced = UNSAFE_ALLOWED
            .iter()
            .any(|fence| fence.starts_with(name.split("src/").next().unwrap()));
        if crate_root && !fenced {
            assert!(
                text.contains("#![forbid(unsafe_code)]"),
                "{name} does not forbid unsafe code"
            );
        }
    }
}

#[test]
fn every_source_file_says_what_it_is_for() {
    for (name, text) in sources() {
        assert!(
            text.starts_with("//!"),
            "{name} does not begin with a module comment"
        );
    }
}

/// Who is trusted is decided in one file, and nothing switches that off.
#[test]
fn a19_certificates_are_verified_in_one_place() {
    const VERIFIERS: &str = "crates/lanparty-transport/src/verify.rs";
    for (name, text) in sources() {
        let implements = ["impl ServerCertVerifier for", "impl ClientCertVerifier for"]
            .iter()
            .any(|words| text.contains(words));
        assert!(
            !implements || name == VERIFIERS,
            "{name} verifies certificates on its own; see {VERIFIERS}"
        );
        let replaces = text.contains("with_custom_certificate_verifier")
            || text.contains("set_certificate_verifier");
        assert!(
            !replaces || name == "crates/lanparty-transport/src/tls.rs",
            "{name} chooses a verifier on its own"
        );
    }
}

/// A relay answers; whoever could make it dial would have a proxy into its
/// network.
#[test]
fn a20_the_relay_never_dials() {
    const DIALS: [&str; 6] = [
        "TcpStream",
        "UdpSocket",
        "UnixStream",
        "Transport::client",
        ".connect(",
        "ToSocketAddrs",
    ];
    for (name, text) in sources() {
        let is_relay = name.starts_with("crates/lanparty-relay/src/")
            || name.starts_with("crates/lanparty-relay-core/src/");
        if !is_relay {
            continue;
        }
        for dial in DIALS {
            assert!(!text.contains(dial), "{name} uses {dial}");
        }
    }
}

/// Panics are contained by unwinding.
#[test]
fn a15_no_profile_aborts_on_a_panic() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let aborts = manifest
        .lines()
        .any(|line| line.trim_start().starts_with("panic") && line.contains("abort"));
    assert!(!aborts, "a profile in Cargo.toml aborts on a panic");
}

#[test]
fn the_documents_name_every_crate() {
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (name, _) in LEVELS {
        assert!(
            architecture.contains(name),
            "ARCHITECTURE.md does not mention {name}"
        );
    }
}

#[test]
fn relative_links_in_documents_lead_somewhere() {
    let mut documents = vec![];
    for directory in ["", "docs", "docs/adr"] {
        for entry in fs::read_dir(root().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                documents.push(path);
            }
        }
    }
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for piece in text.split("](").skip(1) {
            let link = piece.split(')').next().unwrap_or_default();
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let target = document.parent().unwrap().join(path);
            assert!(
                target.exists(),
                "{} links to {link}, which does not exist",
                document.display()
            );
        }
    }
}
