//! Rows of the threat register that need a relay, time and numbers: attackers
//! who follow no program, and what honest members notice of them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod guessing;
mod liars;
mod links;
mod party;
