//! Views of Ethernet frames as they cross the overlay: without preamble, FCS
//! or NIC padding rules, starting at the destination address.

use crate::mac::MacAddr;

/// Bytes of destination, source and EtherType.
pub const HEADER_LEN: usize = 14;
/// The longest untagged frame of a standard LAN (IEEE 802.3, without FCS).
pub const MAX_FRAME_LEN: usize = 1_514;
/// The longest frame with one 802.1Q tag.
pub const MAX_TAGGED_FRAME_LEN: usize = 1_518;

/// The two bytes after the addresses: an EtherType, or a length below 0x0600.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    pub const IPV4: Self = Self(0x0800);
    pub const ARP: Self = Self(0x0806);
    pub const WAKE_ON_LAN: Self = Self(0x0842);
    pub const VLAN: Self = Self(0x8100);
    pub const IPX: Self = Self(0x8137);
    pub const IPV6: Self = Self(0x86DD);
    pub const MAC_CONTROL: Self = Self(0x8808);
    pub const SLOW_PROTOCOLS: Self = Self(0x8809);
    pub const EAPOL: Self = Self(0x888E);
    pub const QINQ: Self = Self(0x88A8);
    pub const LLDP: Self = Self(0x88CC);
    /// Local experimental EtherType 1 (IEEE 802).
    pub const LOCAL_EXPERIMENTAL: Self = Self(0x88B5);
    pub const QINQ_LEGACY: Self = Self(0x9100);

    /// True where the field is an IEEE 802.3 length and an LLC header follows.
    #[must_use]
    pub const fn is_length(self) -> bool {
        self.0 < 0x0600
    }
}

impl std::fmt::Debug for EtherType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{:04x}", self.0)
    }
}

impl std::fmt::Display for EtherType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{:04x}", self.0)
    }
}

/// The fixed part of an Ethernet frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthernetHeader {
    pub destination: MacAddr,
    pub source: MacAddr,
    pub ether_type: EtherType,
}

/// A frame shorter than an Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("frame is shorter than an Ethernet header")]
pub struct Runt;

impl EthernetHeader {
    /// Reads the header and returns it with the payload.
    ///
    /// # Errors
    /// [`Runt`] below 14 bytes.
    pub fn parse(frame: &[u8]) -> Result<(Self, &[u8]), Runt> {
        let (header, payload) = frame.split_first_chunk::<HEADER_LEN>().ok_or(Runt)?;
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *header;
        let header = Self {
            destination: MacAddr([d0, d1, d2, d3, d4, d5]),
            source: MacAddr([s0, s1, s2, s3, s4, s5]),
            ether_type: EtherType(u16::from_be_bytes([t0, t1])),
        };
        Ok((header, payload))
    }

    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let [d0, d1, d2, d3, d4, d5] = self.destination.0;
        let [s0, s1, s2, s3, s4, s5] = self.source.0;
        let [t0, t1] = self.ether_type.0.to_be_bytes();
        [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1]
    }
}
