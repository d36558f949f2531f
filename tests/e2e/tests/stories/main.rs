//! The real programs on a real LAN, one story a test.
//!
//! Every test builds a party of its own in a sandbox, so tests share nothing
//! and run in any order. Without root they are skipped and say so.

#![expect(
    clippy::print_stderr,
    reason = "a failing story is read with its measurements"
)]

mod abuse;
mod attackers;
mod belonging;
mod bridge_port;
mod bulk;
mod cleanup;
mod dhcp;
mod ethertypes;
mod filters;
mod host_commands;
mod hostile;
mod invites;
mod limits;
mod mallory;
mod mdns;
mod moving;
mod multicast;
mod offloads;
mod party;
mod path_mtu;
mod reconnect;
mod records;
mod refusals;
mod rooms;
mod sealed;
mod strangers;
mod switch;
mod udp;
