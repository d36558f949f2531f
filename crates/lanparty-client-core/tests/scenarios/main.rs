//! Sessions against a relay made of a script.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod allocations;
mod belonging;
mod bundles;
mod frames;
mod harness;
mod player;
mod sealed;
mod session;
