//! The fuzz targets: one function for each place where bytes of a stranger
//! come in. Each takes any bytes and panics only where the code under test
//! breaks a promise.
//!
//! `tests/replay.rs` runs them over `fuzz/corpus` and over seeded mutations of
//! it in the ordinary test run; the wrappers in `fuzz/fuzz_targets` give them
//! to libFuzzer. A new target needs a line in [`TARGETS`], a corpus and a
//! wrapper, and the replay fails until it has all of them.

#![forbid(unsafe_code)]

pub mod client_core;
pub mod client_session;
pub mod ctrl;
pub mod l2;
pub mod net;
pub mod offload;
pub mod os;
pub mod proto;
pub mod relay_core;
pub mod seal;
pub mod windows;

/// A target by the name of its wrapper and of its corpus directory.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

pub const TARGETS: &[Target] = &[
    target("client_core_reassembly", client_core::reassembly),
    target("client_session", client_session::session),
    target("ctrl_decode", ctrl::decode_stream),
    target("l2_dhcp", l2::dhcp),
    target("l2_policy", l2::policy),
    target("net_endpoint", net::endpoint),
    target("net_invite", net::invite),
    target("offload_coalesce", offload::coalesce),
    target("offload_segment", offload::segment_superframe),
    target("os_journal", os::journal),
    target("proto_bundle", proto::bundle),
    target("proto_ethernet", proto::ethernet),
    target("proto_fragment", proto::fragment),
    target("proto_overlay", proto::overlay),
    target("proto_timing", proto::timing),
    target("relay_core_room", relay_core::room),
    target("seal_body", seal::body),
    target("seal_room", seal::room),
    target("windows_adapters", windows::adapters),
    target("windows_descriptor", windows::descriptor),
    target("windows_driver", windows::driver),
    target("windows_tables", windows::tables),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// Takes a big-endian number off the front of the input; zero at its end.
fn take_u16(data: &mut &[u8]) -> u16 {
    match data.split_first_chunk() {
        Some((number, rest)) => {
            *data = rest;
            u16::from_be_bytes(*number)
        }
        None => {
            *data = &[];
            0
        }
    }
}

/// Takes a length and as many bytes, or as many as there are.
fn take_bytes<'a>(data: &mut &'a [u8]) -> &'a [u8] {
    let len = usize::from(take_u16(data));
    let (bytes, rest) = data.split_at_checked(len).unwrap_or((data, &[]));
    *data = rest;
    bytes
}

/// Where the clock of every target begins.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be made in no other way; targets use only differences"
)]
fn epoch() -> std::time::Instant {
    std::time::Instant::now()
}
