//! What may cross between a party's LAN and its remote players.
//!
//! Everything here is a pure function of frame, direction, bindings and
//! `now`, or a small table whose size is bounded. This crate reads no clock
//! and no socket and keeps no counters: callers count the
//! [`DropReason`](lanparty_obs::DropReason) that they get.
//!
//! A frame's way through it:
//!
//! 1. [`class::classify`] reads the frame strictly, once.
//! 2. [`policy::check`] decides by direction; its module documents the order.
//!    [`policy::check_fragment_header`] decides on a header alone.
//!    The gateway and the player go through [`bindings::IpBindings::police`],
//!    which adds whose IP address is whose.
//! 3. [`buckets::PeerBuckets`] bounds how much of it a player may send.
//! 4. On the way into a player's machine, [`dhcp::rewrite_for_player`] and
//!    [`ra::sanitise`] take out what would reroute that machine.
//!
//! Beside it: [`mss`] keeps inner TCP within one datagram, [`flow`] makes the
//! overlay header's flow tag, [`mac_table`] knows the LAN's MAC addresses,
//! [`groups`] remembers players' multicast groups, [`arp`] and [`marker`]
//! build the few frames that the gateway sends by itself.
//!
//! What it does not see, and does not claim to stop: lies above the network
//! layer (mDNS, LLMNR and NetBIOS names, UPnP), IPX node addresses, tunnels
//! inside IPv4 (6in4, GRE, IPsec), and, on the relay, whatever is inside
//! fragments and sealed payloads, which the receiving members check.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::panic,
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

pub mod arp;
pub mod bindings;
pub mod buckets;
mod checksum;
pub mod class;
mod context;
pub mod dhcp;
pub mod flow;
pub mod groups;
pub mod host;
pub mod ipv4;
pub mod ipv6;
mod ipx;
pub mod link;
pub mod mac_table;
pub mod marker;
mod members;
pub mod mss;
pub mod nd;
pub mod policy;
pub mod ra;
mod read;
pub mod rules;
mod verdict;
mod wake_on_lan;

pub use class::{Class, Protocol, classify};
pub use host::{HostView, Subnet};
pub use ipx::Framing as IpxFraming;
pub use policy::{Context, Direction, Members, Passed, Place, Spread, check};
pub use rules::{Ipv6Mode, Rules};
