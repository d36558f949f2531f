//! What the programs say about themselves: drop reasons, counters, frame
//! records, diagnostics and the sentences that users read.
//!
//! Data only. A core returns these values; a driver prints, logs or exports
//! them.

#![forbid(unsafe_code)]

pub mod drop_reason;

pub use drop_reason::DropReason;
