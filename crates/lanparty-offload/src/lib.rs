//! What a network card would do for its host, in software: cutting TCP and
//! UDP superframes into frames that fit the overlay, finishing checksums that
//! the kernel left unfinished, and gathering frames that come out of the
//! overlay into superframes for the kernel.
//!
//! The kernel describes its frames with a virtio-net header, both on a TAP
//! device (`IFF_VNET_HDR`) and on a packet socket (`PACKET_VNET_HDR`):
//!
//! - reading: [`VnetHdr::decode`], then [`segment`](segment::segment);
//! - writing: [`Coalescer::push`] for each frame of a batch, then one write
//!   of [`VnetHdr`] and frame for each of [`Coalescer::outputs`].
//!
//! This crate does no I/O and decides no policy: it never drops a frame that
//! it can pass on, and what the kernel claims but the frame does not bear out
//! is an [`OffloadError`], which the caller counts as a drop.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::panic,
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

pub mod coalesce;
pub mod segment;
pub mod vnet;

#[cfg(test)]
mod allocations;
mod bytes;
mod checksum;
mod layout;
#[cfg(test)]
mod samples;

pub use coalesce::{Coalescer, Join};
pub use segment::{Frames, segment};
pub use vnet::{Checksum, Gso, GsoKind, OffloadError, VnetHdr};
