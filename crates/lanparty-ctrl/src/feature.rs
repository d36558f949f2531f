//! Names of optional protocol features.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::BoundedVec;

/// The longest feature name in bytes.
pub const MAX_FEATURE_LEN: usize = 32;

/// What a member offers in Hello and what the relay agreed to in Welcome.
pub type Features = BoundedVec<Feature, 16>;

/// A feature: 1 to 32 of `a-z 0-9 -`. Unknown ones are never agreed to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Feature(Box<str>);

/// Why a text is not a feature name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a feature name is 1 to {MAX_FEATURE_LEN} of a-z, 0-9 and '-'")]
pub struct FeatureError;

/// Sealed frames and messages as version 1 of the protocol describes them.
/// Part of every keyed room and of no other.
pub const SEAL: &str = "seal-1";

impl Feature {
    /// [`SEAL`].
    #[must_use]
    pub fn seal() -> Self {
        Self(SEAL.into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether these features promise sealing.
#[must_use]
pub fn has_seal(features: &Features) -> bool {
    features.iter().any(|feature| feature.as_str() == SEAL)
}

impl FromStr for Feature {
    type Err = FeatureError;

    fn from_str(text: &str) -> Result<Self, FeatureError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > MAX_FEATURE_LEN || !text.bytes().all(allowed) {
            return Err(FeatureError);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Feature({self})")
    }
}

impl Serialize for Feature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Feature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
