//! The few ARP packets that address conflict detection needs (RFC 5227).

use std::net::Ipv4Addr;

use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{EtherType, EthernetHeader};

/// Ethernet header and ARP for IPv4 over Ethernet (RFC 826).
pub const FRAME_LEN: usize = 14 + 28;
/// Hardware type Ethernet, protocol IPv4, address lengths 6 and 4.
const PREFIX: [u8; 6] = [0, 1, 0x08, 0, 6, 4];
const REQUEST: u16 = 1;

/// What an ARP packet says about who has which address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    pub sender_mac: MacAddr,
    pub sender: Ipv4Addr,
    pub target: Ipv4Addr,
}

impl Arp {
    /// Asks who has `address` without claiming it (RFC 5227 section 2.1.1).
    pub const fn probe(mac: MacAddr, address: Ipv4Addr) -> Self {
        Self {
            sender_mac: mac,
            sender: Ipv4Addr::UNSPECIFIED,
            target: address,
        }
    }

    /// Tells everybody that `address` is at `mac` (RFC 5227 section 2.3).
    pub const fn announcement(mac: MacAddr, address: Ipv4Addr) -> Self {
        Self {
            sender_mac: mac,
            sender: address,
            target: address,
        }
    }

    pub const fn is_probe(&self) -> bool {
        self.sender.is_unspecified()
    }

    /// The request as a broadcast frame.
    pub fn encode(&self) -> [u8; FRAME_LEN] {
        let header = EthernetHeader {
            destination: MacAddr::BROADCAST,
            source: self.sender_mac,
            ether_type: EtherType::ARP,
        };
        let mut frame = [0; FRAME_LEN];
        let parts: [&[u8]; 7] = [
            &header.encode(),
            &PREFIX,
            &REQUEST.to_be_bytes(),
            &self.sender_mac.octets(),
            &self.sender.octets(),
            &MacAddr::ZERO.octets(),
            &self.target.octets(),
        ];
        for (to, from) in frame.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        frame
    }

    /// Reads requests and replies alike; `None` for anything else.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let (header, packet) = EthernetHeader::parse(frame).ok()?;
        let (prefix, rest) = packet.split_first_chunk::<6>()?;
        if header.ether_type != EtherType::ARP || *prefix != PREFIX {
            return None;
        }
        let (_operation, rest) = rest.split_first_chunk::<2>()?;
        let (sender_mac, rest) = rest.split_first_chunk::<6>()?;
        let (sender, rest) = rest.split_first_chunk::<4>()?;
        let (_target_mac, rest) = rest.split_first_chunk::<6>()?;
        let (target, _) = rest.split_first_chunk::<4>()?;
        Some(Self {
            sender_mac: MacAddr(*sender_mac),
            sender: Ipv4Addr::from(*sender),
            target: Ipv4Addr::from(*target),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_read_back_and_nothing_shorter_is() {
        let mac = MacAddr([2, 0, 0, 0, 0, 7]);
        let announcement = Arp::announcement(mac, Ipv4Addr::new(169, 254, 7, 8));
        let frame = announcement.encode();
        assert_eq!(Arp::parse(&frame), Some(announcement));
        for len in 0..FRAME_LEN {
            assert_eq!(Arp::parse(&frame[..len]), None, "{len}");
        }
        assert!(Arp::probe(mac, Ipv4Addr::new(169, 254, 7, 8)).is_probe());
    }
}
