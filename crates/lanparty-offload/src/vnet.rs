//! The virtio-net header (virtio 1.2, section 5.1.6) in front of each frame.
//!
//! ```text
//!  +-------+----------+---------+----------+------------+-------------+- - - - - - -+
//!  | flags | GSO type | hdr len | GSO size | csum start | csum offset | num buffers |
//!  |   1   |    1     |    2    |    2     |     2      |      2      |      2      |
//!  +-------+----------+---------+----------+------------+-------------+- - - - - - -+
//! ```
//!
//! Integers are in the machine's byte order, which is what Linux means by a
//! legacy header on TAP devices and packet sockets. `num buffers` exists only
//! in the 12-byte form and is always zero there.

/// Bytes of the form that packet sockets use.
pub const LEN: usize = 10;
/// Bytes of the form with a buffer count (`TUNSETVNETHDRSZ`).
pub const MERGEABLE_LEN: usize = 12;

/// What the kernel says about a frame, or we to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct VnetHdr {
    pub checksum: Checksum,
    /// `None` for an ordinary frame.
    pub gso: Option<Gso>,
    /// Bytes of all headers, a hint for the kernel's first buffer.
    pub hdr_len: u16,
}

/// How far the transport checksum of a frame can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Checksum {
    /// Complete, and to be verified by whoever receives the frame.
    #[default]
    Complete,
    /// Known to be right; its field is not to be looked at.
    Valid,
    /// The field at `start + offset` holds the sum of the pseudo-header only.
    Partial { start: u16, offset: u16 },
}

/// How a superframe falls into segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gso {
    pub kind: GsoKind,
    /// The first segment carries CWR (RFC 3168), the others must not.
    pub ecn: bool,
    /// Payload bytes of each segment but the last.
    pub size: u16,
}

/// What a superframe consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GsoKind {
    TcpV4,
    TcpV6,
    /// UDP datagrams of equal size over either IP version (USO).
    UdpL4,
}

/// Why a frame cannot be taken from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OffloadError {
    #[error("the kernel handed over less than a virtio-net header")]
    Truncated,
    #[error("unknown virtio-net flags {0:#04x}")]
    UnknownFlags(u8),
    #[error("unknown superframe type {0:#04x}")]
    UnknownGso(u8),
    #[error("a superframe with segments of no size")]
    ZeroGsoSize,
    #[error("the frame's headers are not those of its superframe type")]
    HeaderMismatch,
    #[error("the checksum field lies outside the frame")]
    ChecksumRange,
}

impl VnetHdr {
    /// Reads the first 10 bytes, which both forms share.
    ///
    /// # Errors
    /// An unknown flag or type is refused, because nobody can say what the
    /// kernel expects of us then.
    pub fn decode(bytes: &[u8]) -> Result<Self, OffloadError> {
        let ([flags, gso, h0, h1, g0, g1, s0, s1, o0, o1], _) = bytes
            .split_first_chunk::<LEN>()
            .ok_or(OffloadError::Truncated)?;
        let checksum = match *flags {
            flags if flags & !(NEEDS_CSUM | DATA_VALID) != 0 => {
                return Err(OffloadError::UnknownFlags(flags));
            }
            flags if flags & NEEDS_CSUM != 0 => Checksum::Partial {
                start: u16::from_ne_bytes([*s0, *s1]),
                offset: u16::from_ne_bytes([*o0, *o1]),
            },
            DATA_VALID => Checksum::Valid,
            _ => Checksum::Complete,
        };
        let kind = match *gso & !GSO_ECN {
            GSO_NONE => None,
            GSO_TCPV4 => Some(GsoKind::TcpV4),
            GSO_TCPV6 => Some(GsoKind::TcpV6),
            GSO_UDP_L4 => Some(GsoKind::UdpL4),
            _ => return Err(OffloadError::UnknownGso(*gso)),
        };
        let gso = kind.map(|kind| Gso {
            kind,
            ecn: gso & GSO_ECN != 0,
            size: u16::from_ne_bytes([*g0, *g1]),
        });
        Ok(Self {
            checksum,
            gso,
            hdr_len: u16::from_ne_bytes([*h0, *h1]),
        })
    }

    /// The 10-byte form.
    #[must_use]
    pub fn encode(&self) -> [u8; LEN] {
        let (flags, start, offset) = match self.checksum {
            Checksum::Complete => (0, 0, 0),
            Checksum::Valid => (DATA_VALID, 0, 0),
            Checksum::Partial { start, offset } => (NEEDS_CSUM, start, offset),
        };
        let (gso, size) = match self.gso {
            None => (GSO_NONE, 0),
            Some(Gso { kind, ecn, size }) => {
                let kind = match kind {
                    GsoKind::TcpV4 => GSO_TCPV4,
                    GsoKind::TcpV6 => GSO_TCPV6,
                    GsoKind::UdpL4 => GSO_UDP_L4,
                };
                (if ecn { kind | GSO_ECN } else { kind }, size)
            }
        };
        let [h0, h1] = self.hdr_len.to_ne_bytes();
        let [g0, g1] = size.to_ne_bytes();
        let [s0, s1] = start.to_ne_bytes();
        let [o0, o1] = offset.to_ne_bytes();
        [flags, gso, h0, h1, g0, g1, s0, s1, o0, o1]
    }

    /// The 12-byte form.
    #[must_use]
    pub fn encode_mergeable(&self) -> [u8; MERGEABLE_LEN] {
        let [flags, gso, h0, h1, g0, g1, s0, s1, o0, o1] = self.encode();
        [flags, gso, h0, h1, g0, g1, s0, s1, o0, o1, 0, 0]
    }

    /// The header of the same frame after a VLAN tag that the kernel had
    /// stripped was put back with [`lanparty_proto::ethernet::insert_tag`].
    #[must_use]
    pub fn with_vlan_tag(self) -> Self {
        let checksum = match self.checksum {
            Checksum::Partial { start, offset } => Checksum::Partial {
                start: start.saturating_add(VLAN_TAG_LEN),
                offset,
            },
            other @ (Checksum::Complete | Checksum::Valid) => other,
        };
        let hdr_len = match self.hdr_len {
            0 => 0,
            len => len.saturating_add(VLAN_TAG_LEN),
        };
        Self {
            checksum,
            hdr_len,
            ..self
        }
    }
}

/// The length of an 802.1Q tag as the header counts.
const VLAN_TAG_LEN: u16 = 4;

// From virtio 1.2 section 5.1.6, the same as in linux/virtio_net.h.
const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn u16s(bytes: &[u8]) -> Vec<u16> {
        bytes
            .chunks(2)
            .map(|pair| u16::from_ne_bytes([pair[0], pair[1]]))
            .collect()
    }

    #[test]
    fn the_layout_is_pinned() {
        let header = VnetHdr {
            checksum: Checksum::Partial {
                start: 34,
                offset: 16,
            },
            gso: Some(Gso {
                kind: GsoKind::TcpV6,
                ecn: true,
                size: 1_400,
            }),
            hdr_len: 66,
        };
        let bytes = header.encode_mergeable();
        assert_eq!(bytes[..2], [1, 0x84]);
        assert_eq!(u16s(&bytes[2..]), [66, 1_400, 34, 16, 0]);
    }

    #[test]
    fn what_the_kernel_may_invent_later_is_refused() {
        let decode = |flags, gso| VnetHdr::decode(&[flags, gso, 0, 0, 0, 0, 0, 0, 0, 0]);
        // UFO, withdrawn in Linux 4.14, and the UDP tunnel types of Linux 6.17.
        for gso in [3, 0x21, 0x41] {
            assert_eq!(decode(0, gso), Err(OffloadError::UnknownGso(gso)));
        }
        assert_eq!(decode(4, 0), Err(OffloadError::UnknownFlags(4)));
        assert_eq!(VnetHdr::decode(&[0; 9]), Err(OffloadError::Truncated));
        assert_eq!(decode(0, 0), Ok(VnetHdr::default()));
    }

    #[test]
    fn a_tag_put_back_moves_the_checksum_by_its_length() {
        let header = VnetHdr {
            checksum: Checksum::Partial {
                start: 34,
                offset: 16,
            },
            gso: None,
            hdr_len: 54,
        };
        let tagged = header.with_vlan_tag();
        assert_eq!(
            tagged.checksum,
            Checksum::Partial {
                start: 38,
                offset: 16
            }
        );
        assert_eq!(tagged.hdr_len, 58);
        assert_eq!(VnetHdr::default().with_vlan_tag(), VnetHdr::default());
    }

    proptest! {
        #[test]
        fn what_is_decoded_encodes_to_an_equal_header(
            flags in 0_u8..4, gso in prop::sample::select(vec![0_u8, 1, 4, 5, 0x81, 0x84]), rest: [u8; 8],
        ) {
            let bytes = [&[flags, gso][..], &rest].concat();
            let header = VnetHdr::decode(&bytes).unwrap();
            prop_assert_eq!(VnetHdr::decode(&header.encode()), Ok(header));
            prop_assert_eq!(VnetHdr::decode(&header.encode_mergeable()), Ok(header));
        }
    }
}
