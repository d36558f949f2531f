//! Messages between members that the relay passes on and cannot read.

use std::fmt;

use lanparty_proto::PeerId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hex;

/// The longest sealed body in bytes: room for a signed list of everybody in
/// a room, and small enough that a message to a full room stays small change.
pub const MAX_SEALED_BODY_LEN: usize = 4_096;

/// Something for other members of a keyed room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// From a member: who shall get it; everybody else where absent. From the
    /// relay: who sent it, always present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerId>,
    pub body: SealedBody,
}

/// 1 to 4,096 bytes that mean something to members only; hexadecimal in JSON.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SealedBody(Box<[u8]>);

/// A body is empty or longer than 4,096 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed body is 1 to {MAX_SEALED_BODY_LEN} bytes in hexadecimal")]
pub struct SealedBodyError;

impl SealedBody {
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for SealedBody {
    type Error = SealedBodyError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, SealedBodyError> {
        if bytes.is_empty() || bytes.len() > MAX_SEALED_BODY_LEN {
            return Err(SealedBodyError);
        }
        Ok(Self(bytes.into()))
    }
}

impl fmt::Debug for SealedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedBody({} bytes)", self.0.len())
    }
}

impl Serialize for SealedBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for SealedBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text)
            .ok_or(SealedBodyError)
            .and_then(Self::try_from)
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_bounded_and_never_printed() {
        let body = SealedBody::try_from(vec![0xAB; 4_096]).unwrap();
        assert_eq!(format!("{body:?}"), "SealedBody(4096 bytes)");
        let json = serde_json::to_string(&body).unwrap();
        assert_eq!(serde_json::from_str::<SealedBody>(&json).unwrap(), body);
        assert_eq!(SealedBody::try_from(vec![]), Err(SealedBodyError));
        assert_eq!(SealedBody::try_from(vec![0; 4_097]), Err(SealedBodyError));
        for json in ["\"\"".to_owned(), format!("\"{}\"", "00".repeat(4_097))] {
            assert!(serde_json::from_str::<SealedBody>(&json).is_err());
        }
    }
}
