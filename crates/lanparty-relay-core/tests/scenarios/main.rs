//! Scenarios: a relay core with honest and hostile members, ten lines each.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod forwarding;
mod joining;
mod lifecycle;
mod limits;
mod resume;
mod support;
