//! The Windows player on a real LAN: the program itself, under Wine, one story
//! a test. Where there is no rig (`cargo xtask windows`) they are skipped and
//! say so.

#![expect(
    clippy::print_stderr,
    reason = "a failing story is read with its measurements"
)]

mod adapters;
mod driver;
mod evening;
mod life;
mod moving;
mod play;
mod refusals;
mod service;
