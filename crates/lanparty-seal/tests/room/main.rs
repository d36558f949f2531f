//! Whole rooms of keyrings around a relay that is the adversary.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod party;

mod allocations;
mod attacks;
mod changes;
mod secrecy;
