//! Sessions against a relay made of a script.

mod frames;
mod harness;
mod player;
mod session;
