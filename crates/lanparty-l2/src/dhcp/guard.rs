//! Which addresses a player's machine may take from the party's LAN.

use std::net::{IpAddr, Ipv4Addr};

/// What must stay reachable outside the tunnel (invariant I6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressGuard {
    /// Addresses of the relay, and of anything else that the tunnel itself
    /// needs; no offered subnet may cover one.
    pub keep_outside: Vec<IpAddr>,
    /// The player's own router at home.
    pub home_router: Option<IpAddr>,
    /// The player insists on addresses that are not private: some LANs use
    /// public ones. Everything else is still checked.
    pub allow_public: bool,
}

/// Why an offered address would disturb the player's own network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsafeAddress {
    #[error(
        "the party's DHCP server offers {address}, which is not a private address; ask the host whether that is meant, then allow public addresses"
    )]
    NotPrivate { address: Ipv4Addr },
    #[error(
        "the party's DHCP server offers {address}/{prefix_len}, a network so large that it would swallow other networks; ask the host to use a mask of at least /16"
    )]
    MaskTooShort { address: Ipv4Addr, prefix_len: u8 },
    #[error(
        "the party's DHCP server offers {address} with a mask that is not a mask; tell the host that the DHCP server is misconfigured"
    )]
    BrokenMask { address: Ipv4Addr },
    #[error(
        "the party's network {address}/{prefix_len} contains {covered}, through which this computer reaches the relay; the host or you must use another subnet"
    )]
    CoversRelay {
        address: Ipv4Addr,
        prefix_len: u8,
        covered: Ipv4Addr,
    },
    #[error(
        "the party's network {address}/{prefix_len} is the same as your home network, whose router is {covered}; the host or you must use another subnet"
    )]
    CoversHomeRouter {
        address: Ipv4Addr,
        prefix_len: u8,
        covered: Ipv4Addr,
    },
}

impl AddressGuard {
    /// Checks an address and its on-link mask, and returns the prefix length.
    ///
    /// Without a mask option the client will assume the class's mask
    /// (RFC 950), so that is what is checked.
    ///
    /// # Errors
    /// The first rule that the offer breaks.
    pub fn check(&self, address: Ipv4Addr, mask: Option<Ipv4Addr>) -> Result<u8, UnsafeAddress> {
        let prefix_len = match mask {
            Some(mask) => prefix_len_of(mask).ok_or(UnsafeAddress::BrokenMask { address })?,
            None => class_prefix_len(address),
        };
        let usable = address.is_private() || address.is_link_local();
        let reserved = address.is_unspecified()
            || address.is_loopback()
            || address.is_multicast()
            || address.octets()[0] >= 240;
        if reserved || !(usable || self.allow_public) {
            return Err(UnsafeAddress::NotPrivate { address });
        }
        let [first, ..] = address.octets();
        let shortest = if first == 10 { 8 } else { 16 };
        if prefix_len < shortest {
            return Err(UnsafeAddress::MaskTooShort {
                address,
                prefix_len,
            });
        }
        for covered in self.keep_outside.iter().filter_map(v4) {
            if covers(address, prefix_len, covered) {
                return Err(UnsafeAddress::CoversRelay {
                    address,
                    prefix_len,
                    covered,
                });
            }
        }
        match self.home_router.as_ref().and_then(v4) {
            Some(covered) if covers(address, prefix_len, covered) => {
                Err(UnsafeAddress::CoversHomeRouter {
                    address,
                    prefix_len,
                    covered,
                })
            }
            _ => Ok(prefix_len),
        }
    }
}

/// Relay addresses may come as IPv4-mapped IPv6 from a dual-stack socket.
fn v4(address: &IpAddr) -> Option<Ipv4Addr> {
    match address.to_canonical() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// The length of a contiguous mask.
#[must_use]
pub fn prefix_len_of(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    let ones = bits.leading_ones();
    (bits.count_ones() == ones).then_some(u8::try_from(ones).ok()?)
}

fn class_prefix_len(address: Ipv4Addr) -> u8 {
    match address.octets() {
        [0..=127, ..] => 8,
        [128..=191, ..] => 16,
        _ => 24,
    }
}

/// True where both addresses share the prefix.
#[must_use]
pub fn covers(network: Ipv4Addr, prefix_len: u8, address: Ipv4Addr) -> bool {
    let differing = network.to_bits() ^ address.to_bits();
    differing.leading_zeros() >= u32::from(prefix_len)
}
