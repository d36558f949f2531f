//! The QUIC data plane that relay, gateway and players share.
//!
//! Owns one UDP socket, quinn-proto's endpoint on it, a fair queue and a
//! control stream for each connection, certificates, and the loop that drives
//! all of it on one thread. Knows neither rooms nor Ethernet: a datagram is
//! bytes with a [`FlowKey`], control is bytes in order.
//!
//! Start at [`Transport`] for what a program calls, at [`run`](run::run) for
//! how it is driven, at [`TransportLimits`] for every tunable.

#![forbid(unsafe_code)]

mod admission;
mod chunks;
mod config;
pub mod congestion;
mod connection;
mod control;
mod control_turn;
mod datagrams;
mod endpoint;
mod error;
mod event;
pub mod identity;
mod keys;
mod limits;
mod pace;
mod path;
mod prefixes;
mod provider;
pub mod reactor;
pub mod run;
mod scattered;
#[cfg(unix)]
pub mod signals;
mod spki;
#[cfg(test)]
mod tests;
mod timers;
mod timing;
mod tls;
mod udp;
mod unrest;
mod verify;

pub use congestion::Congestion;
pub use datagrams::Splitter;
pub use endpoint::{ClientOptions, ListenOptions, Transport};
pub use error::{BindError, ConnectError, ControlOverflow, TlsSetupError};
pub use event::{CloseReason, ConnId, ConnStats, Event, Identity, TrustFailure};
pub use identity::{DeviceSeed, MemberIdentity, ServerIdentity};
pub use keys::EndpointKeys;
pub use lanparty_congestion::{Mode, Snapshot};
pub use lanparty_queue::{FlowKey, Hint, QueueLimits};
pub use limits::{PrefixLimits, TransportLimits};
pub use udp::source_address;
pub use verify::{ServerTrust, TrustBasis};
