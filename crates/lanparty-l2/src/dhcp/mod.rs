//! DHCPv4: reading messages safely, and rewriting what the party's server
//! sends into something that cannot disturb a player's machine.

pub mod guard;
pub mod message;
pub mod rewrite;

pub use guard::{AddressGuard, UnsafeAddress};
pub use message::{Message, MessageType, Role};
pub use rewrite::{DhcpRefusal, DhcpRewrite, Lease, rewrite_for_player};
