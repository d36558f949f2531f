//! The two frames of our own that appear on the party's LAN: the CAM refresh
//! and the loop probe.
//!
//! Both use IEEE 802's Local Experimental EtherType 2, not 1: hosts are known
//! to let 0x88B5 cross for their own experiments, and these must not.

use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{EtherType, EthernetHeader};

use crate::read;
use lanparty_proto::ethernet::MIN_FRAME_LEN;

/// Local Experimental EtherType 2 (IEEE 802, RFC 9542 appendix B).
pub const ETHER_TYPE: EtherType = EtherType(0x88B6);

const MAGIC: [u8; 8] = *b"lanparty";
const KIND_REFRESH: u8 = 1;
const KIND_LOOP_PROBE: u8 = 2;

/// Tells the switch that `member_mac` lives behind the gateway's port.
///
/// Addressed to the gateway's own NIC, so that no other machine is bothered.
#[must_use]
pub fn refresh_frame(member_mac: MacAddr, own_mac: MacAddr) -> [u8; MIN_FRAME_LEN] {
    marker(own_mac, member_mac, KIND_REFRESH, [0; 16])
}

/// Asks the LAN whether somebody else bridges it: whoever hears a nonce of
/// its own has found a loop, whoever hears another's has found a second
/// gateway.
#[must_use]
pub fn loop_probe_frame(own_mac: MacAddr, nonce: [u8; 16]) -> [u8; MIN_FRAME_LEN] {
    marker(MacAddr::BROADCAST, own_mac, KIND_LOOP_PROBE, nonce)
}

/// The nonce of a loop probe; nothing for any other frame.
#[must_use]
pub fn loop_probe_nonce(frame: &[u8]) -> Option<[u8; 16]> {
    let (header, payload) = EthernetHeader::parse(frame).ok()?;
    (header.ether_type == ETHER_TYPE).then_some(())?;
    nonce_of(payload)
}

pub(crate) fn nonce_of(payload: &[u8]) -> Option<[u8; 16]> {
    let recognised = read::array_at(payload, 0)? == MAGIC
        && read::u8_at(payload, 8)? == KIND_LOOP_PROBE
        // All padding is ours and zero: the frame carries no hidden cargo.
        && payload.get(25..)?.iter().all(|byte| *byte == 0)
        && payload.len() == MIN_FRAME_LEN.saturating_sub(14);
    recognised.then_some(())?;
    read::array_at(payload, 9)
}

fn marker(to: MacAddr, from: MacAddr, kind: u8, nonce: [u8; 16]) -> [u8; MIN_FRAME_LEN] {
    let header = EthernetHeader {
        destination: to,
        source: from,
        ether_type: ETHER_TYPE,
    };
    let body = MAGIC.into_iter().chain([kind]).chain(nonce);
    let mut frame = [0; MIN_FRAME_LEN];
    for (byte, value) in frame
        .iter_mut()
        .zip(header.encode().into_iter().chain(body))
    {
        *byte = value;
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: MacAddr = MacAddr([0x3c, 0, 0, 0, 0, 1]);
    const MEMBER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 7]);

    #[test]
    fn a_refresh_teaches_the_switch_the_member_and_reaches_only_us() {
        let (header, _) = EthernetHeader::parse(&refresh_frame(MEMBER, OWN))
            .map(|(header, payload)| (header, payload.len()))
            .unwrap();
        assert_eq!((header.source, header.destination), (MEMBER, OWN));
        assert_eq!(loop_probe_nonce(&refresh_frame(MEMBER, OWN)), None);
    }

    #[test]
    fn a_loop_probe_is_known_by_its_nonce_and_carries_nothing_else() {
        let nonce = [7; 16];
        let frame = loop_probe_frame(OWN, nonce);
        assert_eq!(loop_probe_nonce(&frame), Some(nonce));
        let mut cargo = frame;
        cargo[50] = 1;
        assert_eq!(loop_probe_nonce(&cargo), None);
        assert_eq!(loop_probe_nonce(&frame[..59]), None);
        let mut longer = frame.to_vec();
        longer.push(0);
        assert_eq!(loop_probe_nonce(&longer), None);
    }
}
