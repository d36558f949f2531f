//! What a frame is: one strict reading that every decision builds on.
//!
//! A receiver that reads a frame more loosely than we do could be shown
//! something that we did not see (VU#855201), so whatever is odd is refused.

use lanparty_obs::DropReason;
use lanparty_proto::ethernet::EtherType;

use crate::arp::Arp;
use crate::ipv4::Ipv4;
use crate::ipv6::Ipv6;
use crate::link::{self, Link};
use crate::{ipx, marker, wake_on_lan};

/// A frame's link layer and protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    pub link: Link,
    pub protocol: Protocol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Arp(Arp),
    Ipv4(Ipv4),
    Ipv6(Ipv6),
    Ipx(ipx::Framing),
    WakeOnLan,
    /// Our own gateway's search for loops.
    LoopProbe,
    /// Nothing that we know; the host may list its EtherType.
    Other(EtherType),
}

impl Class {
    /// True where every member gets a copy.
    #[must_use]
    pub const fn is_flooded(&self) -> bool {
        self.link.header.destination.is_multicast()
    }
}

/// Reads a whole frame.
///
/// # Errors
/// The reasons of [`link::inspect`]; `MalformedArp`, `MalformedIpv4` and
/// `MalformedIpv6`; `EtherType` for an 802.3 frame that is not IPX and for a
/// known EtherType without its protocol's exact shape.
pub fn classify(frame: &[u8]) -> Result<Class, DropReason> {
    let link = link::inspect(frame)?;
    protocol(frame, link).map(|protocol| Class { link, protocol })
}

pub(crate) fn protocol(frame: &[u8], link: Link) -> Result<Protocol, DropReason> {
    let payload = frame.get(link.payload_at..).ok_or(DropReason::Runt)?;
    let ether_type = link.header.ether_type;
    match ether_type {
        EtherType::ARP => Arp::parse(payload)
            .map(Protocol::Arp)
            .ok_or(DropReason::MalformedArp),
        EtherType::IPV4 => Ipv4::parse(payload)
            .map(Protocol::Ipv4)
            .ok_or(DropReason::MalformedIpv4),
        EtherType::IPV6 => Ipv6::parse(payload)
            .map(Protocol::Ipv6)
            .ok_or(DropReason::MalformedIpv6),
        EtherType::WAKE_ON_LAN if wake_on_lan::is_magic(payload) => Ok(Protocol::WakeOnLan),
        EtherType::WAKE_ON_LAN => Err(DropReason::EtherType),
        marker::ETHER_TYPE if marker::nonce_of(payload).is_some() => Ok(Protocol::LoopProbe),
        EtherType::IPX => ipx::recognise(ether_type, payload)
            .map(Protocol::Ipx)
            .ok_or(DropReason::EtherType),
        length if length.is_length() => ipx::recognise(length, payload)
            .map(Protocol::Ipx)
            .ok_or(DropReason::EtherType),
        other => Ok(Protocol::Other(other)),
    }
}
