//! The control plane: messages, their limits, close codes and the
//! length-prefixed JSON codec that carries them on one QUIC stream.
//!
//! Values are validated by their types while they are decoded, so a decoded
//! message is a valid message: every string, number and list is inside its
//! limits, and fields agree with each other. Whether a message may come from
//! this sender at this moment is for the cores to decide. No sockets, no
//! clocks. `docs/protocol.md` describes the same for other implementations.

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

pub mod access;
pub mod admission;
pub mod bounded;
pub mod card;
pub mod close;
pub mod codec;
pub mod create_token;
pub mod error;
pub mod feature;
pub mod hello;
pub mod hex;
pub mod lifecycle;
pub mod message;
pub mod policy;
pub mod resume;
pub mod room;
pub mod sealed;
mod signing;
pub mod text;
pub mod timers;
pub mod version;
pub mod welcome;

pub use access::{Access, Asking, Identity, Remove};
pub use admission::Admission;
pub use bounded::BoundedVec;
pub use card::KeyCard;
pub use close::CloseCode;
pub use codec::{Decoder, Incoming, encode};
pub use create_token::CreateToken;
pub use error::{ControlError, InvalidField};
pub use feature::Feature;
pub use hello::{Hello, Role};
pub use lifecycle::{Disconnect, PeerInfo, PeerLeft, Ping, Reject, Restarting};
pub use message::Message;
pub use policy::{ExtraEtherType, Ipv6Policy, RoomPolicy, VlanId};
pub use resume::ResumeToken;
pub use room::{RoomCode, RoomId};
pub use sealed::{Sealed, SealedBody};
pub use text::{DisplayName, DisplayText};
pub use version::{ALPN, PROTOCOL_VERSION, VersionMismatch};
pub use welcome::{Mode, Welcome};
