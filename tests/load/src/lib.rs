//! What the bench's load generator and its bare forwarder share.
//!
//! `load` drives a relay, or another forwarder of QUIC datagrams, or the bare
//! forwarder, and tells how many frames came through for how much CPU time;
//! `forwarder` is the least that any relay with encryption on both sides has
//! to do.

#![forbid(unsafe_code)]

pub mod bare;
pub mod frame;
pub mod in_flight;
pub mod member;
pub mod outcome;
pub mod window;
