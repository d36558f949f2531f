//! The control plane: messages, their limits, close codes and the
//! length-prefixed JSON codec that carries them on one QUIC stream.
//!
//! Values are validated by their types while they are decoded, so a decoded
//! message is a valid message. No sockets, no clocks.

#![forbid(unsafe_code)]

pub mod close;
pub mod codec;
mod hex;
pub mod message;
pub mod room;

pub use close::CloseCode;
pub use message::Message;
pub use room::{RoomCode, RoomId};
