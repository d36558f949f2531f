//! Room codes and room ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hex;
use crate::signing::{SignedBytes, sha256};

/// The longest room code in characters.
pub const MAX_ROOM_CODE_LEN: usize = 32;

/// The name by which people join a room: 1 to 32 of `A-Z a-z 0-9 - _`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomCode(String);

/// Why a text is not a room code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomCodeError {
    #[error("a room code is 1 to {MAX_ROOM_CODE_LEN} characters long")]
    Length,
    #[error("a room code is made of A-Z, a-z, 0-9, '-' and '_'")]
    Character,
}

impl RoomCode {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoomCode {
    type Err = RoomCodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > MAX_ROOM_CODE_LEN {
            return Err(RoomCodeError::Length);
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !text.bytes().all(allowed) {
            return Err(RoomCodeError::Character);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RoomCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomCode({})", self.0)
    }
}

impl Serialize for RoomCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RoomCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a room is called on the wire: SHA-256 of the room code and, in keyed
/// rooms, the admission public key, cut to 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomId(#[serde(with = "hex")] pub [u8; 16]);

impl RoomId {
    /// The id of the room with this code, keyed where there is an admission
    /// public key.
    #[must_use]
    pub fn derive(code: &RoomCode, admission_key: Option<&[u8; 32]>) -> Self {
        let bytes = SignedBytes::new("lanparty/1 room").sized(code.as_str().as_bytes());
        let bytes = match admission_key {
            None => bytes.u8(0),
            Some(key) => bytes.u8(1).fixed(key),
        };
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(sha256(&bytes.finish())) {
            *to = from;
        }
        Self(id)
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_codes_are_short_and_plain() {
        for code in ["ROOM1", "a", "A-b_9", &"x".repeat(32)] {
            assert_eq!(code.parse::<RoomCode>().unwrap().as_str(), code);
        }
        for code in ["", &"x".repeat(33)] {
            assert_eq!(code.parse::<RoomCode>(), Err(RoomCodeError::Length));
        }
        for code in ["a b", "a/b", "ä", "a\n", "a\0", "a."] {
            assert_eq!(
                code.parse::<RoomCode>(),
                Err(RoomCodeError::Character),
                "{code}"
            );
        }
    }

    #[test]
    fn rooms_differ_by_code_case_and_key() {
        let code = |text: &str| text.parse::<RoomCode>().unwrap();
        let ids = [
            RoomId::derive(&code("ROOM1"), None),
            RoomId::derive(&code("room1"), None),
            RoomId::derive(&code("ROOM"), None),
            RoomId::derive(&code("ROOM1"), Some(&[0; 32])),
            RoomId::derive(&code("ROOM1"), Some(&[1; 32])),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id), "{at}");
        }
    }
}
