//! Secrets that lead forward only.

use crate::epoch::Epoch;
use crate::frame::FrameKey;
use crate::primitives::derive;
use crate::secret::Secret;

/// The secret of an epoch: its frame key and the secrets of all later epochs
/// of its generation follow from it, those of earlier ones do not.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) epoch: Epoch,
    pub(crate) secret: Secret,
}

impl Chain {
    pub(crate) const fn new(epoch: Epoch, secret: [u8; 32]) -> Self {
        Self {
            epoch,
            secret: Secret::new(secret),
        }
    }

    pub(crate) fn frame_key(&self) -> FrameKey {
        FrameKey::derive(&self.secret)
    }

    /// The next epoch of this generation, where it has one.
    pub(crate) fn next(&self) -> Option<Self> {
        let epoch = self.epoch.next_step()?;
        let secret = derive(self.secret.as_bytes(), &[b"lanparty/1 next epoch"]);
        Some(Self::new(epoch, secret))
    }
}
