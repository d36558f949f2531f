//! Router advertisements, stripped to what a LAN party needs of IPv6: an
//! address in the LAN's prefix. No default route, no name servers, no MTU.

use std::net::Ipv6Addr;

use lanparty_obs::DropReason;

use crate::checksum::Sum;
use crate::class::{Protocol, classify};
use crate::dhcp::AddressGuard;
use crate::ipv6::{ICMPV6, Transport};
use crate::nd::Icmpv6;
use crate::read;

const HEADER_LEN: usize = 16;
const PREFIX_INFORMATION: u8 = 3;
const SOURCE_LINK_LAYER: u8 = 1;
/// RFC 4727's experimental option type: receivers skip what they do not know
/// (RFC 4861, section 4.6), and Neighbour Discovery has no padding option.
const BLANK: u8 = 253;

/// What happened to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaOutcome {
    /// The frame is not a router advertisement and is unchanged.
    NotAdvertisement,
    /// This many prefixes stayed.
    Sanitised { prefixes: usize },
}

/// Rewrites a router advertisement in place; its length never changes.
///
/// The policy has passed the frame already ([`crate::policy::check`]).
///
/// # Errors
/// `RouterAdvertisement` for one that is malformed or that receivers would
/// have to ignore. The frame may be half rewritten.
pub fn sanitise(frame: &mut [u8], guard: &AddressGuard) -> Result<RaOutcome, DropReason> {
    let class = classify(frame)?;
    let Protocol::Ipv6(packet) = class.protocol else {
        return Ok(RaOutcome::NotAdvertisement);
    };
    if packet.transport != Transport::Icmpv6(Icmpv6::RouterAdvertisement) {
        return Ok(RaOutcome::NotAdvertisement);
    }
    let hop_limit = read::u8_at(frame, class.link.payload_at.saturating_add(7));
    // RFC 4861, section 6.1.2.
    if !packet.plain || hop_limit != Some(255) || !packet.source.is_unicast_link_local() {
        return Err(DropReason::RouterAdvertisement);
    }
    let at = class.link.payload_at.saturating_add(packet.body.at);
    let body = frame
        .get_mut(at..at.saturating_add(packet.body.len))
        .ok_or(DropReason::RouterAdvertisement)?;
    let len = u16::try_from(packet.body.len).map_err(|_| DropReason::RouterAdvertisement)?;
    let checksum = |body: &[u8]| {
        Sum::default()
            .pseudo_v6(packet.source, packet.destination, ICMPV6, len)
            .bytes(body)
            .finish()
    };
    if checksum(body) != 0 {
        return Err(DropReason::RouterAdvertisement);
    }
    let prefixes = rewrite(body, guard).ok_or(DropReason::RouterAdvertisement)?;
    let sum = checksum(body);
    read::put(body, 2, &sum.to_be_bytes()).ok_or(DropReason::RouterAdvertisement)?;
    Ok(RaOutcome::Sanitised { prefixes })
}

/// Leaves the checksum field zero.
fn rewrite(body: &mut [u8], guard: &AddressGuard) -> Option<usize> {
    read::put(body, 2, &[0, 0])?;
    // Hop limit unspecified; neither managed nor other configuration; router
    // lifetime zero: not a default router.
    read::put(body, 4, &[0, 0, 0, 0])?;
    let mut options = body.get_mut(HEADER_LEN..)?;
    let mut prefixes = 0_usize;
    while !options.is_empty() {
        let len = usize::from(read::u8_at(options, 1)?).saturating_mul(8);
        if len == 0 {
            return None;
        }
        let (option, rest) = options.split_at_mut_checked(len)?;
        match read::u8_at(option, 0)? {
            SOURCE_LINK_LAYER if len == 8 => {}
            PREFIX_INFORMATION if prefix_of(option).is_some_and(|it| is_wanted(it, guard)) => {
                // Only on-link and autonomous: no router address (RFC 6275).
                let flags = read::u8_at(option, 3)?;
                read::put(option, 3, &[flags & 0xC0])?;
                prefixes = prefixes.saturating_add(1);
            }
            _ => {
                option.get_mut(2..)?.fill(0);
                read::put(option, 0, &[BLANK])?;
            }
        }
        options = rest;
    }
    Some(prefixes)
}

/// The /64 prefixes of an advertisement's ICMPv6 body.
pub(crate) fn prefixes(body: &[u8]) -> impl Iterator<Item = Ipv6Addr> {
    let mut options = body.get(HEADER_LEN..).unwrap_or_default();
    std::iter::from_fn(move || {
        loop {
            let len = usize::from(read::u8_at(options, 1)?).saturating_mul(8);
            let option = options.get(..len).filter(|option| !option.is_empty())?;
            options = options.get(len..)?;
            if read::u8_at(option, 0)? == PREFIX_INFORMATION
                && let Some(prefix) = prefix_of(option)
            {
                return Some(prefix);
            }
        }
    })
}

fn prefix_of(option: &[u8]) -> Option<Ipv6Addr> {
    let is_64 = option.len() == 32 && read::u8_at(option, 2)? == 64;
    is_64.then_some(())?;
    let prefix = read::ipv6_at(option, 16)?;
    let [first, ..] = prefix.octets();
    // Global unicast or unique local.
    (first & 0xE0 == 0x20 || first & 0xFE == 0xFC).then_some(prefix)
}

fn is_wanted(prefix: Ipv6Addr, guard: &AddressGuard) -> bool {
    let outside = guard.keep_outside.iter().chain(&guard.home_router);
    !outside
        .filter_map(|address| match address {
            std::net::IpAddr::V6(address) => Some(address),
            std::net::IpAddr::V4(_) => None,
        })
        .any(|address| (address.to_bits() ^ prefix.to_bits()).leading_zeros() >= 64)
}
