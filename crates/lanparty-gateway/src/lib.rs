//! The gateway: bridges a room onto a wired LAN.
//!
//! [`bridge`] decides about frames, `driver` moves them between the LAN
//! (lanparty-lan), the session (lanparty-client-core) and the relay
//! (lanparty-transport). The program is `main.rs`.

#![forbid(unsafe_code)]

pub mod bridge;
mod groups;
mod refresh;
