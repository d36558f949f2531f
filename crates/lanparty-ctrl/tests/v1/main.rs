//! What version 1 of the control protocol promises.

#![expect(clippy::unwrap_used, reason = "every function here serves tests")]

mod golden;
mod limits;
mod properties;
mod samples;
mod signatures;
