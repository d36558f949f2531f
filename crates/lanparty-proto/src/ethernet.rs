//! Views of Ethernet frames as they cross the overlay: without preamble, FCS
//! or NIC padding rules, starting at the destination address.
//!
//! ```text
//!  +--------------+--------------+-------------------------+-----------+---------+
//!  | destination 6|   source 6   | [ 0x8100 | tag control ] | EtherType | payload |
//!  +--------------+--------------+-------------------------+-----------+---------+
//! ```

use crate::mac::MacAddr;

/// Bytes of destination, source and EtherType.
pub const HEADER_LEN: usize = 14;
/// The longest untagged frame of a standard LAN (IEEE 802.3, without FCS).
pub const MAX_FRAME_LEN: usize = 1_514;
/// What a shorter frame is padded to on a LAN (IEEE 802.3 clause 4.4.2, minFrameSize
/// of 64 with the checksum).
pub const MIN_FRAME_LEN: usize = 60;
/// The longest frame with one 802.1Q tag.
pub const MAX_TAGGED_FRAME_LEN: usize = 1_518;
/// Bytes of an 802.1Q tag: the EtherType 0x8100 and the tag control field.
pub const VLAN_TAG_LEN: usize = 4;
/// Bytes of destination and source, before a tag or the EtherType.
pub const ADDRESSES_LEN: usize = 12;

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

/// The tag control field of IEEE 802.1Q.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag {
    /// 0 to 7.
    pub priority: u8,
    pub drop_eligible: bool,
    /// 12 bits; 0 means that the tag carries only a priority.
    pub id: u16,
}

/// A frame with one 802.1Q tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tagged<'a> {
    pub tag: VlanTag,
    /// What follows the tag: an EtherType again, perhaps of another tag.
    pub ether_type: EtherType,
    pub payload: &'a [u8],
}

impl VlanTag {
    const ID_MASK: u16 = 0x0FFF;
    const DROP_ELIGIBLE: u16 = 0x1000;
    const PRIORITY_SHIFT: u32 = 13;

    /// Reads the 16-bit field; every value is valid.
    #[must_use]
    pub fn from_bits(bits: u16) -> Self {
        let [high, _] = bits.to_be_bytes();
        Self {
            priority: high >> 5,
            drop_eligible: bits & Self::DROP_ELIGIBLE != 0,
            id: bits & Self::ID_MASK,
        }
    }

    /// The 16-bit field. Bits beyond the width of a part are not sent.
    #[must_use]
    pub fn bits(self) -> u16 {
        let priority = u16::from(self.priority & 0b111) << Self::PRIORITY_SHIFT;
        let drop_eligible = if self.drop_eligible {
            Self::DROP_ELIGIBLE
        } else {
            0
        };
        priority | drop_eligible | (self.id & Self::ID_MASK)
    }

    /// True where the frame belongs to no VLAN, so that the tag can go.
    #[must_use]
    pub const fn is_priority_only(self) -> bool {
        self.id == 0
    }
}

impl<'a> Tagged<'a> {
    /// Looks through the outermost tag of a frame. `None` where the frame is
    /// untagged, or ends inside the tag.
    #[must_use]
    pub fn parse(frame: &'a [u8]) -> Option<Self> {
        let (header, rest) = EthernetHeader::parse(frame).ok()?;
        if header.ether_type != EtherType::VLAN {
            return None;
        }
        let ([c0, c1, t0, t1], payload) = rest.split_first_chunk()?;
        Some(Self {
            tag: VlanTag::from_bits(u16::from_be_bytes([*c0, *c1])),
            ether_type: EtherType(u16::from_be_bytes([*t0, *t1])),
            payload,
        })
    }
}

/// Removes the outermost 802.1Q tag without moving the payload.
///
/// Returns the tag and the untagged frame, which begins 4 bytes into the
/// buffer. `None`, with nothing changed, where [`Tagged::parse`] sees no tag.
pub fn strip_tag(frame: &mut [u8]) -> Option<(VlanTag, &mut [u8])> {
    let tag = Tagged::parse(frame)?.tag;
    frame.copy_within(..ADDRESSES_LEN, VLAN_TAG_LEN);
    Some((tag, frame.get_mut(VLAN_TAG_LEN..)?))
}

/// Puts an 802.1Q tag into a frame that begins 4 bytes into the buffer,
/// without moving the payload. The tagged frame fills the whole buffer.
///
/// # Errors
/// [`Runt`], with nothing changed, where there is no whole Ethernet header.
pub fn insert_tag(buffer: &mut [u8], tag: VlanTag) -> Result<(), Runt> {
    let (head, _) = buffer
        .split_first_chunk_mut::<{ VLAN_TAG_LEN + HEADER_LEN }>()
        .ok_or(Runt)?;
    head.copy_within(VLAN_TAG_LEN..VLAN_TAG_LEN + ADDRESSES_LEN, 0);
    let [.., p0, p1, c0, c1, _, _] = head;
    [*p0, *p1] = EtherType::VLAN.0.to_be_bytes();
    [*c0, *c1] = tag.bits().to_be_bytes();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAGGED: [u8; 20] = [
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x81, 0x00, 0xB0, 0x05, 0x08, 0x00, 0xAA, 0xBB,
    ];

    #[test]
    fn a_tag_is_read_with_what_it_hides() {
        let tagged = Tagged::parse(&TAGGED).unwrap();
        let tag = VlanTag {
            priority: 5,
            drop_eligible: true,
            id: 5,
        };
        assert_eq!(tagged.tag, tag);
        assert!(!tag.is_priority_only());
        assert_eq!(tagged.ether_type, EtherType::IPV4);
        assert_eq!(tagged.payload, [0xAA, 0xBB]);
    }

    #[test]
    fn a_frame_that_ends_inside_its_tag_shows_none() {
        assert_eq!(Tagged::parse(&TAGGED[..17]), None);
        assert!(Tagged::parse(&TAGGED[..18]).is_some());
    }

    #[test]
    fn a_stripped_frame_keeps_addresses_and_payload() {
        let mut buffer = TAGGED;
        let (tag, frame) = strip_tag(&mut buffer).unwrap();
        assert_eq!(tag.id, 5);
        assert_eq!(
            frame,
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 8, 0, 0xAA, 0xBB]
        );
        assert_eq!(strip_tag(frame), None);
    }

    proptest! {
        #[test]
        fn every_header_decodes_to_what_was_encoded(bytes: [u8; HEADER_LEN], payload: [u8; 3]) {
            let frame = [&bytes[..], &payload].concat();
            let (header, rest) = EthernetHeader::parse(&frame).unwrap();
            prop_assert_eq!(header.encode(), bytes);
            prop_assert_eq!(rest, payload);
        }

        #[test]
        fn every_tag_control_field_keeps_its_bits(bits: u16) {
            prop_assert_eq!(VlanTag::from_bits(bits).bits(), bits);
        }

        #[test]
        fn inserting_the_stripped_tag_restores_the_frame(
            mut frame in prop::collection::vec(any::<u8>(), 18..80),
        ) {
            frame[12..14].copy_from_slice(&[0x81, 0x00]);
            let mut buffer = frame.clone();
            let (tag, _) = strip_tag(&mut buffer).unwrap();
            insert_tag(&mut buffer, tag).unwrap();
            prop_assert_eq!(buffer, frame);
        }

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let tagged = Tagged::parse(&bytes).is_some();
            let before = bytes.clone();
            prop_assert_eq!(strip_tag(&mut bytes).is_some(), tagged);
            if !tagged {
                prop_assert_eq!(&bytes, &before);
            }
            let inserted = insert_tag(&mut bytes, VlanTag::from_bits(0)).is_ok();
            prop_assert_eq!(inserted, bytes.len() >= VLAN_TAG_LEN + HEADER_LEN);
        }
    }
}
