//! The part of the command line that gateway and client share: how a member
//! finds its relay, what it trusts it by, its room and its name.
//!
//! Opens no connection and knows no flag that only one program has.

#![forbid(unsafe_code)]

mod member;
mod task;

pub use member::{MemberArgs, MemberArgsError};
pub use task::Task;
