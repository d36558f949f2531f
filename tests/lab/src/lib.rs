//! LAN parties on one machine: every host in its own network namespace, every
//! program the real one.
//!
//! A [`sandbox`] comes first: private PID, mount and network namespaces, so
//! that nothing outside is touched and everything vanishes with the process
//! that opened it, however that ends. Inside, a [`Node`] is one host, a
//! [`Network`] is an Ethernet switch, and a [`Party`] is the whole evening: an
//! internet, a relay, a gateway on the party's switch, LAN hosts and players.
//!
//! The lab measures and asserts nothing by itself except through [`checks`],
//! which `cargo xtask party --once` and the end-to-end tests share.

pub mod bottleneck;
pub mod checks;
pub mod flood;
pub mod flow;
pub mod forged;
mod hurry;
pub mod iperf;
pub mod line;
pub mod link;
pub mod namespace;
pub mod network;
pub mod node;
pub mod packages;
pub mod packet;
pub mod party;
pub mod pings;
pub mod process;
pub mod programs;
pub mod raw_member;
pub mod rivals;
pub mod sandbox;
pub mod stream;
pub mod superframes;
pub mod traffic;
pub mod tunnel;
pub mod udp_rate;
pub mod wait;
pub mod windows;
pub mod wireshark;

pub use network::Network;
pub use node::Node;
pub use party::{Party, PartyOptions};
pub use process::Process;
pub use raw_member::RawMember;
pub use tunnel::Tunnel;
