//! The first look at a frame: length, link-control traffic and VLAN tags.
//!
//! Nothing above the Ethernet header is read here, so the same view serves
//! whole frames, fragments and sealed frames.

use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{
    EtherType, EthernetHeader, HEADER_LEN, MAX_FRAME_LEN, MAX_TAGGED_FRAME_LEN,
};

use crate::read;

/// Bytes of one 802.1Q tag.
pub const TAG_LEN: usize = 4;

/// The tag between the source address and the EtherType.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    None,
    /// VID 0: a priority without a VLAN. Receivers treat the frame as
    /// untagged, so the policy does too, and the edges strip it.
    Priority,
    Vlan(u16),
}

/// A frame's link layer, after which the protocol begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The header with the EtherType (or 802.3 length) behind the tag.
    pub header: EthernetHeader,
    pub tag: Tag,
    /// Where the protocol's first byte is.
    pub payload_at: usize,
}

/// Reads the link layer of a whole frame.
///
/// # Errors
/// `Runt`, `Oversize`, `LinkControl`, or `VlanTagged` for tags that are
/// nested, reserved (VID 4095) or of a kind other than 802.1Q.
pub fn inspect(frame: &[u8]) -> Result<Link, DropReason> {
    let (header, payload) = EthernetHeader::parse(frame).map_err(|_| DropReason::Runt)?;
    let tagged = header.ether_type == EtherType::VLAN;
    if frame.len() > max_len(tagged) {
        return Err(DropReason::Oversize);
    }
    refuse_link_control(header.destination, header.ether_type)?;
    if !tagged {
        refuse_tag_type(header.ether_type)?;
        return Ok(Link {
            header,
            tag: Tag::None,
            payload_at: HEADER_LEN,
        });
    }
    let control = read::u16_at(payload, 0).ok_or(DropReason::Runt)?;
    let inner = EtherType(read::u16_at(payload, 2).ok_or(DropReason::Runt)?);
    if inner == EtherType::VLAN {
        return Err(DropReason::VlanTagged);
    }
    refuse_tag_type(inner)?;
    refuse_link_control(header.destination, inner)?;
    let tag = match control & 0x0FFF {
        0 => Tag::Priority,
        0x0FFF => return Err(DropReason::VlanTagged),
        vid => Tag::Vlan(vid),
    };
    Ok(Link {
        header: EthernetHeader {
            ether_type: inner,
            ..header
        },
        tag,
        payload_at: HEADER_LEN.saturating_add(TAG_LEN),
    })
}

/// The longest frame that a standard LAN carries.
#[must_use]
pub const fn max_len(tagged: bool) -> usize {
    if tagged {
        MAX_TAGGED_FRAME_LEN
    } else {
        MAX_FRAME_LEN
    }
}

/// Removes a priority tag (VID 0) in place; every other frame stays as it is.
///
/// The edges call this on frames that they send into the room and on frames
/// that they hand to the machine, so that no parser behind us sees the tag.
pub fn strip_priority_tag(frame: &mut Vec<u8>) -> bool {
    let stripped = inspect(frame).is_ok_and(|link| link.tag == Tag::Priority);
    if stripped {
        // The addresses stay, the four bytes behind them go.
        frame.drain(12..16);
    }
    stripped
}

/// Traffic between neighbouring bridges and ports that must end at the first
/// of them: IEEE 802.1D/802.1Q reserved groups (spanning tree, pause, LACP,
/// EAPOL, LLDP; 0x20 to 0x2F are GARP and MRP applications) and Cisco's
/// (CDP, VTP, PVST+, UDLD, inter-switch link).
pub(crate) fn refuse_link_control(to: MacAddr, ether_type: EtherType) -> Result<(), DropReason> {
    let reserved_group = matches!(
        to.octets(),
        [0x01, 0x80, 0xC2, 0x00, 0x00, 0x00..=0x2F]
            | [0x01, 0x00, 0x0C, 0xCC, 0xCC, _]
            | [0x01, 0x00, 0x0C, 0xCD, 0xCD, _]
            | [0x01, 0x00, 0x0C, 0x00, 0x00, _]
    );
    // Also where the destination is another address: a host must not be able
    // to list one of these as an extra EtherType.
    let control_type = matches!(
        ether_type,
        EtherType::MAC_CONTROL
            | EtherType::SLOW_PROTOCOLS
            | EtherType::EAPOL
            | EtherType::LLDP
            | MACSEC
            | MVRP
            | MMRP
            | CONNECTIVITY_FAULT
            | CONFIGURATION_TEST
    );
    if reserved_group || control_type {
        Err(DropReason::LinkControl)
    } else {
        Ok(())
    }
}

const MACSEC: EtherType = EtherType(0x88E5);
const MVRP: EtherType = EtherType(0x88F5);
const MMRP: EtherType = EtherType(0x88F6);
/// 802.1ag, also the vehicle of ring protection (ITU-T G.8032).
const CONNECTIVITY_FAULT: EtherType = EtherType(0x8902);
/// The loopback protocol by which Cisco switches test their ports.
const CONFIGURATION_TEST: EtherType = EtherType(0x9000);

/// Tags that only a provider's or a vendor's switch understands.
pub(crate) fn refuse_tag_type(ether_type: EtherType) -> Result<(), DropReason> {
    match ether_type {
        EtherType::QINQ | EtherType::QINQ_LEGACY | EtherType(0x9200 | 0x9300 | 0x88E7 | 0x893F) => {
            Err(DropReason::VlanTagged)
        }
        _ => Ok(()),
    }
}
