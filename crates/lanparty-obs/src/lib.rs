//! What the programs say about themselves: drop reasons, counters, frame
//! records, diagnostics and the sentences that users read.
//!
//! Data only. A core returns these values; a driver prints, logs or exports
//! them.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::panic,
        clippy::expect_used,
        clippy::arithmetic_side_effects
    )
)]

pub mod diagnostics;
pub mod drop_reason;
pub mod drops;
pub mod exit;
pub mod frame_log;
pub mod sentences;
pub mod stats;

pub use drop_reason::DropReason;
pub use drops::DropCounts;
pub use exit::ExitCode;
pub use sentences::Status;
