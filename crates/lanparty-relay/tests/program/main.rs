//! The program as its operator starts it, with members that speak to it over
//! loopback through the real transport.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and drives its own clock"
)]

mod command_line;
mod exposure;
mod member;
mod memory;
mod relay;
mod service;
mod trust;
