//! Runs every target over its corpus, so that a crash once found stays found
//! without a fuzzer at hand.

#![expect(
    clippy::unwrap_used,
    reason = "a corpus that cannot be read is a failed test"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lanparty_fuzz_targets::TARGETS;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Mutations of each corpus file; all targets together take some seconds, most
/// of them for the journal, which waits for the disk.
const MUTATIONS: usize = 200;

fn fuzz_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).expect("the fuzz directory is complete");
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

/// The corpus of a target, in a fixed order.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = fuzz_directory().join("corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

fn mutate(input: &mut Vec<u8>, rng: &mut StdRng) {
    for _ in 0..rng.random_range(1..5) {
        let at = rng.random_range(0..=input.len());
        match rng.random_range(0..6) {
            0 => input.truncate(at),
            1 => input.insert(at, rng.random()),
            2 => {
                let end = rng.random_range(at..=input.len()).min(at + 32);
                let copy = input[at..end].to_vec();
                input.splice(at..at, copy);
            }
            3 => drop(input.drain(at..(at + 4).min(input.len()))),
            _ if at < input.len() => {
                input[at] = match rng.random_range(0..3) {
                    0 => input[at] ^ (1 << rng.random_range(0..8)),
                    1 => [0, 1, 0x7F, 0xFF][rng.random_range(0..4)],
                    _ => rng.random(),
                };
            }
            _ => {}
        }
    }
}

#[test]
fn every_target_has_a_corpus_and_a_wrapper() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|it| it.name.to_owned()).collect();
    assert_eq!(targets.len(), TARGETS.len());
    assert_eq!(names(&fuzz_directory().join("corpus")), targets);
    assert_eq!(names(&fuzz_directory().join("fuzz_targets")), targets);
}

#[test]
fn no_committed_input_breaks_a_promise() {
    for target in TARGETS {
        let corpus = corpus(target.name);
        assert!(!corpus.is_empty(), "{} has no corpus", target.name);
        for (path, input) in corpus {
            assert!(input.len() <= 4_096, "{path} is too large to commit");
            println!("{path}");
            (target.run)(&input);
        }
    }
}

#[test]
fn no_mutation_of_a_committed_input_breaks_a_promise() {
    for target in TARGETS {
        for (path, original) in corpus(target.name) {
            for seed in 0..MUTATIONS {
                let mut input = original.clone();
                mutate(&mut input, &mut StdRng::seed_from_u64(seed as u64));
                println!("{path}, seed {seed}");
                (target.run)(&input);
            }
        }
    }
}
