//! Bounds-checked reads and writes at an offset; no byte sequence panics here.

use std::net::{Ipv4Addr, Ipv6Addr};

use lanparty_proto::MacAddr;

pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(crate) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_be_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_be_bytes)
}

pub(crate) fn mac_at(bytes: &[u8], at: usize) -> Option<MacAddr> {
    array_at(bytes, at).map(MacAddr)
}

pub(crate) fn ipv4_at(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    array_at::<4>(bytes, at).map(Ipv4Addr::from)
}

pub(crate) fn ipv6_at(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    array_at::<16>(bytes, at).map(Ipv6Addr::from)
}

/// The bytes from `at`, at most `len` of them.
pub(crate) fn slice_at(bytes: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(len)?)
}

/// Overwrites the bytes at `at`, all or none of them.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) -> Option<()> {
    bytes
        .get_mut(at..at.checked_add(value.len())?)?
        .copy_from_slice(value);
    Some(())
}
