//! Scenarios: a relay core with honest and hostile members, ten lines each.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod allocations;
mod belonging;
mod bundles;
mod forwarding;
mod hosting;
mod joining;
mod lifecycle;
mod limits;
mod register;
mod resume;
mod sealed;
mod support;
