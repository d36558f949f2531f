//! Text that a peer supplies and a person reads.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name for people: of a member, or of its program.
pub type DisplayName = Text<64>;
/// A sentence for people.
pub type DisplayText = Text<256>;

/// 1 to `MAX` bytes of UTF-8 that cannot disturb a terminal, a log or the
/// reading direction of what surrounds it, and that does not look empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize>(Box<str>);

/// Why a text cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("the text is empty or begins or ends with a space")]
    Blank,
    #[error("the text is longer than {max} bytes")]
    TooLong { max: usize },
    #[error("the text contains a control, formatting or text-direction character")]
    Character,
}

impl<const MAX: usize> Text<MAX> {
    pub const MAX: usize = MAX;

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest text that can be shown: leaves out what is not allowed and
    /// cuts at the limit; `fallback` where nothing is left.
    ///
    /// For names and messages that come from the machine, such as a host name
    /// or an error of the operating system.
    #[must_use]
    pub fn lossy(text: &str, fallback: &Self) -> Self {
        let mut kept = String::new();
        for character in text.trim().chars().filter(|&c| is_displayable(c)) {
            if kept.len().saturating_add(character.len_utf8()) > MAX {
                break;
            }
            kept.push(character);
        }
        kept.trim().parse().unwrap_or_else(|_| fallback.clone())
    }

    fn check(text: &str) -> Result<(), TextError> {
        if text.len() > MAX {
            return Err(TextError::TooLong { max: MAX });
        }
        if !text.chars().all(is_displayable) {
            return Err(TextError::Character);
        }
        if text.is_empty() || text.trim() != text {
            return Err(TextError::Blank);
        }
        Ok(())
    }
}

/// Refuses what has no glyph of its own but changes how others are shown:
/// controls, line separators, bidirectional controls (Unicode TR 9 section 2),
/// invisible operators, interlinear annotation, byte-order mark and tags.
/// Joiners stay, because scripts and emoji need them.
fn is_displayable(character: char) -> bool {
    !(character.is_control()
        || matches!(
            character,
            '\u{00AD}'
                | '\u{061C}'
                | '\u{180E}'
                | '\u{200B}'
                | '\u{200E}'
                | '\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
                | '\u{E0000}'..='\u{E007F}'
        ))
}

impl<const MAX: usize> FromStr for Text<MAX> {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::check(text)?;
        Ok(Self(text.into()))
    }
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        Self::check(&text)?;
        Ok(Self(text.into()))
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .try_into()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_scripts_are_welcome() {
        for name in ["Ada", "Käthe's PC", "日本語", "סבא", "👩‍👩‍👧", "a b"] {
            assert_eq!(name.parse::<DisplayName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_that_would_disturb_a_log_are_refused() {
        for name in [
            "a\u{1b}[31m",
            "a\nb",
            "\u{202e}txt.exe",
            "a\u{2066}b",
            "a\u{200f}",
            "a\0",
            "\u{feff}a",
            "a\u{e0041}",
        ] {
            assert_eq!(
                name.parse::<DisplayName>(),
                Err(TextError::Character),
                "{name:?}"
            );
        }
        for name in ["", " ", " a", "a "] {
            assert_eq!(
                name.parse::<DisplayName>(),
                Err(TextError::Blank),
                "{name:?}"
            );
        }
        assert!("x".repeat(64).parse::<DisplayName>().is_ok());
        assert_eq!(
            "x".repeat(65).parse::<DisplayName>(),
            Err(TextError::TooLong { max: 64 })
        );
    }

    #[test]
    fn machine_text_is_cleaned_instead_of_refused() {
        let fallback: DisplayName = "player".parse().unwrap();
        let lossy = |text: &str| DisplayName::lossy(text, &fallback).to_string();
        assert_eq!(lossy(" a\u{1b}[0m\n"), "a[0m");
        assert_eq!(lossy("\u{202e}"), "player");
        assert_eq!(lossy(&"é".repeat(40)), "é".repeat(32));
        assert_eq!(lossy(&format!("{} b", "x".repeat(63))), "x".repeat(63));
    }
}
