//! Many cores, one virtual clock, a faulty network and a reference model.
//!
//! A [`run`] takes a seed and plays an evening: members join three rooms,
//! send good and hostile frames, lose their lines, leave and return; the relay
//! restarts. Every datagram that the relay lets out and every frame that a
//! member receives is held against the [`model`], which knows only who is in
//! which room under which number. At the end the faults stop, and everybody
//! must hear everybody again.
//!
//! The same seed plays the same evening. A [`Sabotage`] breaks the relay on
//! purpose, to show that the invariants would notice.

#![forbid(unsafe_code)]

pub mod frames;
pub mod member;
pub mod model;
pub mod network;
pub mod relay;
pub mod world;

pub use relay::Sabotage;
pub use world::{Outcome, Plan, run};
