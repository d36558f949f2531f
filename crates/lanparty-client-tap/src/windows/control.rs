//! What the driver is asked, and its answers.

use std::fmt;

use lanparty_proto::MacAddr;

/// `CTL_CODE(FILE_DEVICE_UNKNOWN, n, METHOD_BUFFERED, FILE_ANY_ACCESS)`, as the
/// driver's public header has them.
const fn code(number: u32) -> u32 {
    (0x22 << 16) | (number << 2)
}

pub const GET_MAC: u32 = code(1);
pub const GET_VERSION: u32 = code(2);
pub const GET_MTU: u32 = code(3);
pub const SET_MEDIA_STATUS: u32 = code(6);

/// The oldest version that is safe to use: before it, any user could take the
/// machine over by the driver (CVE-2024-1305).
pub const OLDEST: Version = Version {
    major: 9,
    minor: 27,
};

/// Of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
}

impl Version {
    /// Of the first two numbers of `9.27.0.0`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().split('.').map(str::parse);
        Some(Self {
            major: numbers.next()?.ok()?,
            minor: numbers.next()?.ok()?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Three little-endian numbers; the third says whether it is a debug build.
#[must_use]
pub fn version(answer: &[u8]) -> Option<Version> {
    Some(Version {
        major: number(answer)?,
        minor: number(answer.get(4..)?)?,
    })
}

/// The driver's own idea of the longest IP packet.
#[must_use]
pub fn mtu(answer: &[u8]) -> Option<u32> {
    number(answer)
}

#[must_use]
pub fn mac(answer: &[u8]) -> Option<MacAddr> {
    answer.first_chunk().map(|bytes| MacAddr(*bytes))
}

/// As `NetworkAddress` wants it: twelve hexadecimal digits.
#[must_use]
pub fn network_address(mac: MacAddr) -> String {
    mac.0.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[must_use]
pub fn device_path(adapter: impl fmt::Display) -> String {
    format!(r"\\.\Global\{adapter}.tap")
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number_and_not_by_text() {
        for (text, is_safe) in [
            ("9.27.0.0", true),
            ("9.27", true),
            ("9.100.0", true),
            ("10.0", true),
            ("9.26.0.0", false),
            ("9.9.2.601", false),
        ] {
            assert_eq!(Version::parse(text).unwrap() >= OLDEST, is_safe, "{text}");
        }
        for text in ["", "9", "9.x", "-9.27", "9.99999999999"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn short_answers_are_no_answers() {
        let answer: Vec<u8> = [9_u32, 27, 0]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect();
        assert_eq!(version(&answer), Some(OLDEST));
        assert_eq!(version(&answer[..7]), None);
        assert_eq!(mac(&[2, 0, 0, 0, 0]), None);
        assert_eq!(mtu(&[0xDC, 5, 0, 0]), Some(1_500));
    }

    #[test]
    fn the_codes_are_the_drivers() {
        assert_eq!(GET_MAC, 0x0022_0004);
        assert_eq!(SET_MEDIA_STATUS, 0x0022_0018);
    }

    #[test]
    fn a_mac_is_written_without_separators() {
        let mac = MacAddr([0x02, 0x0A, 0xFF, 0, 1, 0x2C]);
        assert_eq!(network_address(mac), "020AFF00012C");
    }
}
