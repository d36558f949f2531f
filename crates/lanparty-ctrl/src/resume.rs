//! The token that lets a member come back as itself.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hex;

/// The longest resume token in bytes.
pub const MAX_RESUME_TOKEN_LEN: usize = 256;

/// 1 to 256 bytes that only the relay can read; hexadecimal in JSON.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ResumeToken(Box<[u8]>);

/// A token is empty or longer than 256 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a resume token is 1 to {MAX_RESUME_TOKEN_LEN} bytes in hexadecimal")]
pub struct ResumeTokenError;

impl ResumeToken {
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for ResumeToken {
    type Error = ResumeTokenError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, ResumeTokenError> {
        if bytes.is_empty() || bytes.len() > MAX_RESUME_TOKEN_LEN {
            return Err(ResumeTokenError);
        }
        Ok(Self(bytes.into()))
    }
}

/// Never the bytes: whoever has a token and the identity key is that member.
impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResumeToken({} bytes)", self.0.len())
    }
}

impl Serialize for ResumeToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for ResumeToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text)
            .ok_or(ResumeTokenError)
            .and_then(Self::try_from)
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_bounded_and_never_printed() {
        let token = ResumeToken::try_from(vec![0xAB; 256]).unwrap();
        assert_eq!(format!("{token:?}"), "ResumeToken(256 bytes)");
        let json = serde_json::to_string(&token).unwrap();
        assert_eq!(serde_json::from_str::<ResumeToken>(&json).unwrap(), token);
        assert_eq!(ResumeToken::try_from(vec![]), Err(ResumeTokenError));
        assert_eq!(ResumeToken::try_from(vec![0; 257]), Err(ResumeTokenError));
        for json in ["\"\"".to_owned(), format!("\"{}\"", "00".repeat(257))] {
            assert!(serde_json::from_str::<ResumeToken>(&json).is_err());
        }
    }
}
