//! MAC addresses and the rules for those that a member may own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A 48-bit MAC address in transmission order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MacAddr(pub [u8; 6]);

/// Why a MAC address cannot be a member's identity on the LAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MacIdentityError {
    #[error("the MAC address is all zero")]
    Zero,
    #[error("the MAC address is a group (multicast or broadcast) address")]
    Multicast,
    #[error(
        "the MAC address is not locally administered; set the second-lowest bit of the first byte, for example 02:..."
    )]
    NotLocallyAdministered,
}

/// Why a text is not a MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected six hexadecimal bytes such as 02:00:5e:10:00:01")]
pub struct ParseMacError;

impl MacAddr {
    pub const ZERO: Self = Self([0; 6]);
    pub const BROADCAST: Self = Self([0xFF; 6]);

    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Group bit: true for multicast and for broadcast.
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        let [first, ..] = self.0;
        first & 0x01 != 0
    }

    #[must_use]
    pub fn is_broadcast(self) -> bool {
        self == Self::BROADCAST
    }

    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    #[must_use]
    pub const fn is_locally_administered(self) -> bool {
        let [first, ..] = self.0;
        first & 0x02 != 0
    }

    /// Checks that a player may be known by this address on somebody's LAN.
    ///
    /// Only locally administered unicast addresses are allowed, so that a
    /// player can never wear the burnt-in address of a device on that LAN.
    ///
    /// # Errors
    /// The first rule that the address breaks.
    pub fn validate_identity(self) -> Result<Self, MacIdentityError> {
        if self.is_zero() {
            Err(MacIdentityError::Zero)
        } else if self.is_multicast() {
            Err(MacIdentityError::Multicast)
        } else if !self.is_locally_administered() {
            Err(MacIdentityError::NotLocallyAdministered)
        } else {
            Ok(self)
        }
    }

    /// Turns random bytes into an address that passes [`Self::validate_identity`].
    #[must_use]
    pub const fn from_random(bytes: [u8; 6]) -> Self {
        let [first, b, c, d, e, f] = bytes;
        Self([(first & 0xFC) | 0x02, b, c, d, e, f])
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for MacAddr {
    type Err = ParseMacError;

    /// Accepts `02:00:5e:10:00:01`, `02-00-5E-10-00-01` and `02005e100001`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: Vec<&str> = match text.len() {
            17 if text.contains(':') => text.split(':').collect(),
            17 => text.split('-').collect(),
            12 if text.is_ascii() => (0..12_usize)
                .step_by(2)
                .filter_map(|at| text.get(at..at.saturating_add(2)))
                .collect(),
            _ => return Err(ParseMacError),
        };
        let bytes: Vec<u8> = digits
            .into_iter()
            .map(|pair| match pair.as_bytes() {
                // `from_str_radix` alone would take a sign.
                [a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                    u8::from_str_radix(pair, 16).map_err(|_| ParseMacError)
                }
                _ => Err(ParseMacError),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self(bytes.try_into().map_err(|_| ParseMacError)?))
    }
}

/// The colon spelling, so that JSON stays readable.
impl Serialize for MacAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Spelling)
    }
}

struct Spelling;

impl serde::de::Visitor<'_> for Spelling {
    type Value = MacAddr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a MAC address such as 02:00:5e:10:00:01")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MacAddr, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_carries_the_colon_spelling_and_refuses_anything_else() {
        let mac = MacAddr([0x02, 0, 0x5e, 0x10, 0, 1]);
        let json = serde_json::to_string(&mac).unwrap();
        assert_eq!(json, "\"02:00:5e:10:00:01\"");
        assert_eq!(serde_json::from_str::<MacAddr>(&json).unwrap(), mac);
        for json in ["[2,0,94,16,0,1]", "\"02:00:5e:10:00\"", "null"] {
            serde_json::from_str::<MacAddr>(json).unwrap_err();
        }
    }

    #[test]
    fn parses_the_three_usual_spellings() {
        let mac = MacAddr([0x02, 0, 0x5e, 0x10, 0, 1]);
        for text in ["02:00:5e:10:00:01", "02-00-5E-10-00-01", "02005e100001"] {
            assert_eq!(text.parse(), Ok(mac), "{text}");
        }
    }

    #[test]
    fn refuses_what_only_looks_like_a_mac() {
        for text in [
            "",
            "02:00:5e:10:00",
            "02:00:5e:10:00:+1",
            "02:00-5e:10:00:01",
            "é2005e10000",
        ] {
            assert_eq!(text.parse::<MacAddr>(), Err(ParseMacError), "{text}");
        }
    }

    #[test]
    fn random_bytes_always_make_a_valid_identity() {
        for first in 0..=u8::MAX {
            let mac = MacAddr::from_random([first, 1, 2, 3, 4, 5]);
            assert_eq!(mac.validate_identity(), Ok(mac));
        }
    }

    proptest::proptest! {
        #[test]
        fn the_printed_form_parses_back(bytes: [u8; 6]) {
            let mac = MacAddr(bytes);
            proptest::prop_assert_eq!(mac.to_string().parse(), Ok(mac));
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,20}") {
            if let Ok(mac) = text.parse::<MacAddr>() {
                let digits: String = mac.octets().iter().map(|byte| format!("{byte:02x}")).collect();
                let given = text.replace([':', '-'], "").to_lowercase();
                proptest::prop_assert_eq!(given, digits);
            }
        }
    }
}
