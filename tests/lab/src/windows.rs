//! Windows programs in the lab: Wine, with stand-ins for what it lacks.
//!
//! The [`Rig`] is built once (`cargo xtask windows`): a TAP driver, three system
//! libraries and a Wine prefix as a template. A story takes a [`Prefix`] of its
//! own from it, puts [`Adapter`]s in, and runs the Windows programs on a
//! [`crate::Node`]. The far end of an adapter's cable is a Linux TAP on the
//! same node, so Wine shows it as the adapter and Linux tools use it.
//!
//! The sources are in `tests/windows`; what this cannot show about real Windows
//! is in docs/known-issues.md.

mod adapter;
mod compile;
mod player;
mod prefix;
mod rig;

pub use adapter::Adapter;
pub use player::{Said, WindowsPlayer};
pub use prefix::Prefix;
pub use rig::{Rig, build, cross_cargo, programs, skipped, story};
