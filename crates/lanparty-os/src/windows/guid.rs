//! The names of adapters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A GUID in the order in which it is printed, `{4D36E972-E325-...}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Guid(pub u128);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a GUID such as {{4D36E972-E325-11CE-BFC1-08002BE10318}}")]
pub struct ParseGuidError;

/// Hexadecimal digits in each group.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

impl FromStr for Guid {
    type Err = ParseGuidError;

    /// With or without braces, in either case: people copy both.
    fn from_str(text: &str) -> Result<Self, ParseGuidError> {
        let inner = match text.strip_prefix('{') {
            Some(rest) => rest.strip_suffix('}').ok_or(ParseGuidError)?,
            None => text,
        };
        let mut value = 0_u128;
        let mut groups = inner.split('-');
        for len in GROUPS {
            let group = groups.next().filter(|group| group.len() == len);
            for digit in group.ok_or(ParseGuidError)?.chars() {
                let digit = digit.to_digit(16).ok_or(ParseGuidError)?;
                value = (value << 4) | u128::from(digit);
            }
        }
        match groups.next() {
            Some(_) => Err(ParseGuidError),
            None => Ok(Self(value)),
        }
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        write!(
            f,
            "{{{:08X}-{:04X}-{:04X}-{:04X}-{:012X}}}",
            value >> 96,
            (value >> 80) & 0xFFFF,
            (value >> 64) & 0xFFFF,
            (value >> 48) & 0xFFFF,
            value & 0xFFFF_FFFF_FFFF
        )
    }
}

impl From<Guid> for String {
    fn from(guid: Guid) -> Self {
        guid.to_string()
    }
}

impl TryFrom<String> for Guid {
    type Error = ParseGuidError;

    fn try_from(text: String) -> Result<Self, ParseGuidError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn people_may_leave_out_the_braces_and_shout_or_not() {
        let guid: Guid = "{4D36E972-E325-11CE-BFC1-08002BE10318}".parse().unwrap();
        assert_eq!("4d36e972-e325-11ce-bfc1-08002be10318".parse(), Ok(guid));
        for wrong in [
            "",
            "{}",
            "{4D36E972-E325-11CE-BFC1-08002BE10318",
            "4D36E972-E325-11CE-BFC1-08002BE1031",
            "4D36E972-E325-11CE-BFC1-08002BE10318-",
            "4D36E972E325-11CE-BFC1-08002BE10318",
            "+D36E972-E325-11CE-BFC1-08002BE10318",
            "4D36E972-E325-11CE-BFC1-08002BE1031\u{e9}",
        ] {
            assert_eq!(wrong.parse::<Guid>(), Err(ParseGuidError), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(value: u128) {
            let guid = Guid(value);
            prop_assert_eq!(guid.to_string().parse(), Ok(guid));
        }
    }
}
