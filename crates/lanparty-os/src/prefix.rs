//! An address with its prefix length.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    V4,
    V6,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// `192.168.7.3/24`: an interface address or, with the host bits cleared, a
/// destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Prefix {
    pub address: IpAddr,
    pub length: u8,
}

/// Why a text is not an address with a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address and a prefix length such as 192.168.7.3/24")]
pub struct ParsePrefixError;

impl Prefix {
    pub const DEFAULT_V4: Self = Self {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        length: 0,
    };
    pub const DEFAULT_V6: Self = Self {
        address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        length: 0,
    };

    /// The prefix that holds nothing but `address`.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        let length = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        Self { address, length }
    }

    #[must_use]
    pub const fn family(&self) -> Family {
        match self.address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    #[must_use]
    pub const fn is_default(&self) -> bool {
        self.length == 0
    }

    /// The same prefix with its host bits cleared.
    #[must_use]
    pub fn network(&self) -> Self {
        let address = match self.address {
            IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(
                address.to_bits() & mask_v4(self.length),
            )),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
                address.to_bits() & mask_v6(self.length),
            )),
        };
        Self { address, ..*self }
    }

    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()) & mask_v4(self.length) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()) & mask_v6(self.length) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// The subnet's broadcast address, where IPv4 has one (not for /31 and /32).
    #[must_use]
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        match self.address {
            IpAddr::V4(address) if self.length <= 30 => Some(Ipv4Addr::from_bits(
                address.to_bits() | !mask_v4(self.length),
            )),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }
}

fn mask_v4(length: u8) -> u32 {
    u32::MAX
        .checked_shl(32_u32.saturating_sub(length.into()))
        .unwrap_or(0)
}

fn mask_v6(length: u8) -> u128 {
    u128::MAX
        .checked_shl(128_u32.saturating_sub(length.into()))
        .unwrap_or(0)
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Prefix {
    type Err = ParsePrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, length) = text.split_once('/').ok_or(ParsePrefixError)?;
        let address: IpAddr = address.parse().map_err(|_| ParsePrefixError)?;
        let length: u8 = length.parse().map_err(|_| ParsePrefixError)?;
        if length > Self::host(address).length {
            return Err(ParsePrefixError);
        }
        Ok(Self { address, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn the_longest_and_the_shortest_prefix_have_their_masks() {
        assert_eq!(prefix("10.1.2.3/32").network(), prefix("10.1.2.3/32"));
        assert_eq!(prefix("10.1.2.3/0").network(), Prefix::DEFAULT_V4);
        assert_eq!(prefix("fd00::1/128").network(), prefix("fd00::1/128"));
        assert_eq!(prefix("fd00::1/0").network(), Prefix::DEFAULT_V6);
    }

    #[test]
    fn a_subnet_contains_its_own_addresses_only() {
        let subnet = prefix("192.168.7.3/24");
        assert!(subnet.contains("192.168.7.255".parse().unwrap()));
        assert!(!subnet.contains("192.168.8.3".parse().unwrap()));
        assert!(!subnet.contains("::ffff:192.168.7.3".parse().unwrap()));
        assert_eq!(subnet.broadcast(), Some(Ipv4Addr::new(192, 168, 7, 255)));
        assert_eq!(prefix("192.168.7.3/31").broadcast(), None);
    }

    #[test]
    fn a_prefix_longer_than_its_address_is_refused() {
        for text in ["10.0.0.1/33", "fd00::/129", "10.0.0.1", "10.0.0.1/", "/8"] {
            assert_eq!(text.parse::<Prefix>(), Err(ParsePrefixError), "{text}");
        }
    }
}
