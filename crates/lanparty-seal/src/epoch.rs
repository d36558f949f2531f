//! Numbers of a sender's keys.

/// Keys of one generation: each is the hash of the one before.
pub(crate) const STEPS: u64 = 16;
/// Epochs that the byte on the wire tells apart.
const WIRE: u64 = 256;

/// The number of a sender's frame key: sixteen steps in each generation.
///
/// A generation begins with a fresh secret, which its sender has to hand out;
/// the steps within it everyone derives alone. Only rises, for the life of a
/// sender's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

impl Epoch {
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    #[must_use]
    pub const fn generation(self) -> u64 {
        self.0 / STEPS
    }

    #[must_use]
    pub const fn step(self) -> u64 {
        self.0 % STEPS
    }

    /// What a sealed frame says of its epoch.
    #[must_use]
    pub const fn wire(self) -> u8 {
        (self.0 % WIRE) as u8
    }

    /// The next key of the same generation, which the hash leads to.
    #[must_use]
    pub const fn next_step(self) -> Option<Self> {
        if self.step() + 1 < STEPS {
            Some(Self(self.0 + 1))
        } else {
            None
        }
    }

    /// The first key of a generation.
    #[must_use]
    pub const fn of_generation(generation: u64) -> Self {
        Self(generation.saturating_mul(STEPS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_has_sixteen_epochs_and_the_wire_shows_their_low_byte() {
        let first = Epoch::of_generation(17);
        assert_eq!((first.get(), first.wire()), (272, 16));
        let mut epoch = first;
        let mut steps = 0;
        while let Some(next) = epoch.next_step() {
            assert_eq!(next.generation(), 17);
            assert!(next > epoch);
            epoch = next;
            steps += 1;
        }
        assert_eq!((steps, epoch.step()), (15, 15));
        assert_eq!(Epoch::of_generation(18).get(), epoch.get() + 1);
    }
}
