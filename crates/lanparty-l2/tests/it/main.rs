//! The crate's rules from outside, one binary for all.

#![expect(
    clippy::unwrap_used,
    reason = "helpers outside #[test] functions are test code too"
)]

mod allocations;
mod bindings;
mod buckets;
mod dhcp;
mod frames;
mod policy;
mod properties;
mod rewriting;
