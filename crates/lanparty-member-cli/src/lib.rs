//! The part of the command line that gateway and client share: how a member
//! finds its relay, what it trusts it by, its room, the room's key and its
//! name; all but the name also in one invite.
//!
//! Opens no connection and knows no flag that only one program has.

#![forbid(unsafe_code)]

mod entry;
mod error;
mod member;
mod secret;
mod task;

pub use entry::{Entry, Place};
pub use error::MemberArgsError;
pub use member::MemberArgs;
pub use task::Task;
