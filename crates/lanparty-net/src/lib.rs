//! Where a relay is: the endpoint that a member dials, the address that a
//! relay listens on, name resolution, and the invite that names relay and room
//! in one link.
//!
//! Parsing is strict, because a typing error should give a sentence at start
//! and not a timeout later. Whether an address is good to dial is not decided
//! here.

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

pub mod dns;
pub mod endpoint;
pub mod invite;
pub mod listen;
pub mod resolve;

pub use dns::DnsName;
pub use endpoint::{Host, RelayEndpoint};
pub use invite::{Invite, InviteError};
pub use listen::ListenAddress;
pub use resolve::ResolveError;

/// UDP port of a relay where none is given: that of HTTP/3, because networks
/// that let any QUIC through let this one through.
pub const DEFAULT_PORT: u16 = 443;
