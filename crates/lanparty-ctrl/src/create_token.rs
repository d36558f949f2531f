//! The word by which a relay's operator lets somebody open rooms.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::signing::sha256;

/// The shortest token in characters. Chosen because 22 random characters of
/// this alphabet are 128 bits, and operators should have a little freedom.
pub const MIN_CREATE_TOKEN_LEN: usize = 20;
/// The longest.
pub const MAX_CREATE_TOKEN_LEN: usize = 64;

/// 20 to 64 of `A-Z a-z 0-9 - _`, handed out by a relay's operator.
#[derive(Clone, PartialEq, Eq)]
pub struct CreateToken(Box<str>);

/// Why a text is not a token. Says nothing of the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token to open rooms is {MIN_CREATE_TOKEN_LEN} to {MAX_CREATE_TOKEN_LEN} of A-Z, a-z, 0-9, '-' and '_'"
)]
pub struct CreateTokenError;

impl CreateToken {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the token: what a relay compares, so that the time that
    /// takes says nothing about the tokens it knows.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        sha256(self.0.as_bytes())
    }
}

impl FromStr for CreateToken {
    type Err = CreateTokenError;

    fn from_str(text: &str) -> Result<Self, CreateTokenError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_long_enough = (MIN_CREATE_TOKEN_LEN..=MAX_CREATE_TOKEN_LEN).contains(&text.len());
        if !is_long_enough || !text.bytes().all(allowed) {
            return Err(CreateTokenError);
        }
        Ok(Self(text.into()))
    }
}

/// Never the token.
impl fmt::Debug for CreateToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CreateToken(..)")
    }
}

impl Serialize for CreateToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CreateToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_plain_and_never_printed() {
        let token: CreateToken = "abcdefghijklmnopqr-_".parse().unwrap();
        assert_eq!(format!("{token:?}"), "CreateToken(..)");
        assert_ne!(token.digest(), sha256(b""));
        for bad in ["", &"a".repeat(19), &"a".repeat(65), "abcdefghijklmnopqr t"] {
            assert_eq!(bad.parse::<CreateToken>(), Err(CreateTokenError), "{bad}");
        }
    }
}
