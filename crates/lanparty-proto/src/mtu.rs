//! How much of a path's MTU is left for the IP packets on the TAP.
//!
//! `path MTU - IP - UDP = UDP payload`, of which QUIC's short header, the
//! DATAGRAM frame header and the AEAD tag take [`QUIC_OVERHEAD`], the overlay
//! header 6 and the Ethernet header 14.

use crate::{ethernet, overlay};

/// Bytes that a QUIC packet with one DATAGRAM frame adds, as quinn-proto
/// 0.11.19 computes `max_size()` with 8-byte connection ids.
pub const QUIC_OVERHEAD: usize = 38;
/// The TAP MTU of a room unless the relay's operator chooses another.
///
/// Chosen because a full frame then fits one datagram on an IPv4 path of
/// 1,430 bytes, sealed or not, which covers PPPoE and DS-Lite.
pub const DEFAULT_TAP_MTU: u16 = 1_344;
/// Below this IPv6 vanishes from the adapter (RFC 8200 section 5).
pub const MIN_TAP_MTU: u16 = 1_280;
/// The MTU of a standard Ethernet LAN.
pub const MAX_TAP_MTU: u16 = 1_500;
/// The smallest datagram budget that a QUIC path can offer (1,200-byte packets).
pub const MIN_DATAGRAM_BUDGET: u16 = 1_162;
/// Above this a budget claims more than any UDP packet can carry.
pub const MAX_DATAGRAM_BUDGET: u16 = 65_489;

/// The largest datagram that fits a UDP payload.
#[must_use]
pub const fn datagram_budget(udp_payload: usize) -> usize {
    udp_payload.saturating_sub(QUIC_OVERHEAD)
}

/// The largest IP packet whose frame crosses in one datagram of this budget.
#[must_use]
pub const fn tap_mtu(datagram_budget: usize, sealed: bool) -> usize {
    let seal: usize = if sealed {
        overlay::SEALED_LEN.saturating_add(overlay::TAG_LEN)
    } else {
        0
    };
    datagram_budget
        .saturating_sub(overlay::HEADER_LEN)
        .saturating_sub(ethernet::HEADER_LEN)
        .saturating_sub(seal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_paths_holds() {
        // (UDP payload, TAP MTU in clear, TAP MTU sealed)
        for (payload, clear, sealed) in [
            (1472, 1414, 1392),
            (1452, 1394, 1372),
            (1464, 1406, 1384),
            (1444, 1386, 1364),
            (1432, 1374, 1352),
            (1424, 1366, 1344),
            (1252, 1194, 1172),
            (1200, 1142, 1120),
        ] {
            assert_eq!(tap_mtu(datagram_budget(payload), false), clear);
            assert_eq!(tap_mtu(datagram_budget(payload), true), sealed);
        }
    }
}
