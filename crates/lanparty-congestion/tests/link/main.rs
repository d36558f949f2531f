//! The controller on simulated links.

#![forbid(unsafe_code)]

mod path;
mod report;
mod scenarios;
mod sender;
mod simulation;
mod sweep;
mod table;
