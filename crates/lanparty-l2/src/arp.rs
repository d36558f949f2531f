//! ARP for IPv4 over Ethernet (RFC 826): a strict reader and the conflict
//! probe of RFC 5227.

use std::net::Ipv4Addr;

use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::MIN_FRAME_LEN;
use lanparty_proto::ethernet::{EtherType, EthernetHeader};

use crate::read;

/// Hardware type Ethernet, protocol type IPv4, address lengths 6 and 4.
const FIXED: [u8; 6] = [0, 1, 8, 0, 6, 4];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Request,
    Reply,
}

/// One ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    pub operation: Operation,
    pub sender_mac: MacAddr,
    pub sender: Ipv4Addr,
    pub target_mac: MacAddr,
    pub target: Ipv4Addr,
}

impl Arp {
    /// Reads a packet; padding behind it is ignored.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        if read::array_at(payload, 0)? != FIXED {
            return None;
        }
        Some(Self {
            operation: match read::u16_at(payload, 6)? {
                1 => Operation::Request,
                2 => Operation::Reply,
                _ => return None,
            },
            sender_mac: read::mac_at(payload, 8)?,
            sender: read::ipv4_at(payload, 14)?,
            target_mac: read::mac_at(payload, 18)?,
            target: read::ipv4_at(payload, 24)?,
        })
    }

    /// Asks whether an address is free, without claiming it (RFC 5227,
    /// section 1.1).
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.operation == Operation::Request && self.sender.is_unspecified()
    }
}

/// The broadcast frame that asks who has `target` without claiming anything:
/// sent from the gateway's own address, answered by whoever owns the target.
#[must_use]
pub fn probe_frame(own_mac: MacAddr, target: Ipv4Addr) -> [u8; MIN_FRAME_LEN] {
    request_frame(MacAddr::BROADCAST, own_mac, Ipv4Addr::UNSPECIFIED, target)
}

/// The frame that tells one machine whose `address` is (RFC 5227, section 2.3,
/// but to one instead of all). It asks for nothing and changes no cache.
#[must_use]
pub fn announcement_frame(to: MacAddr, own_mac: MacAddr, address: Ipv4Addr) -> [u8; MIN_FRAME_LEN] {
    request_frame(to, own_mac, address, address)
}

fn request_frame(
    to: MacAddr,
    own_mac: MacAddr,
    sender: Ipv4Addr,
    target: Ipv4Addr,
) -> [u8; MIN_FRAME_LEN] {
    let mut frame = [0; MIN_FRAME_LEN];
    let header = EthernetHeader {
        destination: to,
        source: own_mac,
        ether_type: EtherType::ARP,
    };
    let bytes = header
        .encode()
        .into_iter()
        .chain([0, 1, 8, 0, 6, 4, 0, 1])
        .chain(own_mac.octets())
        .chain(sender.octets())
        .chain([0; 6])
        .chain(target.octets());
    for (byte, value) in frame.iter_mut().zip(bytes) {
        *byte = value;
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::{Protocol, classify};

    #[test]
    fn a_probe_claims_nothing_and_asks_for_its_target() {
        let own = MacAddr([2, 0, 0, 0, 0, 9]);
        let target = Ipv4Addr::new(10, 1, 2, 3);
        let frame = probe_frame(own, target);
        let class = classify(&frame).unwrap();
        assert_eq!(class.link.header.destination, MacAddr::BROADCAST);
        let Protocol::Arp(arp) = class.protocol else {
            panic!("{class:?}")
        };
        assert!(arp.is_probe());
        assert_eq!((arp.sender_mac, arp.target), (own, target));
    }

    #[test]
    fn an_announcement_claims_its_address_and_asks_for_no_other() {
        let (own, to) = (MacAddr([2, 0, 0, 0, 0, 9]), MacAddr([2, 0, 0, 0, 0, 7]));
        let address = Ipv4Addr::new(10, 1, 2, 3);
        let class = classify(&announcement_frame(to, own, address)).unwrap();
        assert_eq!(class.link.header.destination, to);
        let Protocol::Arp(arp) = class.protocol else {
            panic!("{class:?}")
        };
        assert_eq!((arp.sender_mac, arp.sender), (own, address));
        assert_eq!(arp.target, address);
    }

    #[test]
    fn arp_of_other_networks_and_operations_is_refused() {
        let frame = probe_frame(MacAddr([2; 6]), Ipv4Addr::LOCALHOST);
        for (at, value) in [(15, 6), (16, 0x86), (18, 8), (19, 16), (21, 3), (21, 0)] {
            let mut broken = frame;
            broken[at] = value;
            assert_eq!(Arp::parse(&broken[14..]), None, "byte {at}");
        }
        assert_eq!(Arp::parse(&frame[14..41]), None);
    }
}
