//! Which counters of an epoch have been seen (RFC 6479).

/// How far a frame may be behind the newest one and still be taken. At 100,000
/// frames a second this is a third of a second of reordering.
pub const WINDOW: u64 = 1 << 15;

const WORD_BITS: u64 = 64;
/// One word more than the window needs, so that a word is never shared by
/// its oldest and its newest counters.
const WORDS: u64 = WINDOW / WORD_BITS + 1;

/// The counters of one sender in one epoch. It is never reset: a new window
/// belongs to a new key.
#[derive(Clone, Debug)]
pub struct Window {
    /// One more than the greatest counter so far.
    end: u64,
    words: Box<[u64]>,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            end: 0,
            words: (0..WORDS).map(|_| 0).collect(),
        }
    }
}

impl Window {
    /// Whether a frame with this counter would be the first of its kind.
    /// Counters so old that nobody remembers are not.
    #[must_use]
    pub fn is_fresh(&self, counter: u64) -> bool {
        if counter >= self.end {
            return true;
        }
        if self.end - counter > WINDOW {
            return false;
        }
        self.words
            .get(index(counter))
            .is_some_and(|word| word & bit(counter) == 0)
    }

    /// Notes the counter of a frame that was opened.
    pub fn accept(&mut self, counter: u64) {
        if counter >= self.end {
            self.advance(counter);
        }
        if let Some(word) = self.words.get_mut(index(counter)) {
            *word |= bit(counter);
        }
    }

    /// Clears the words between the newest counter and this one.
    fn advance(&mut self, counter: u64) {
        let cleared_to = self.end.div_ceil(WORD_BITS);
        let last = counter / WORD_BITS;
        let first = cleared_to.max(last.saturating_sub(WORDS - 1));
        for word in first..=last {
            if let Some(word) = self.words.get_mut(index(word * WORD_BITS)) {
                *word = 0;
            }
        }
        self.end = counter + 1;
    }
}

const fn index(counter: u64) -> usize {
    (counter / WORD_BITS % WORDS) as usize
}

const fn bit(counter: u64) -> u64 {
    1 << (counter % WORD_BITS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// What the window has to do, without being clever.
    #[derive(Default)]
    struct Naive {
        seen: BTreeSet<u64>,
    }

    impl Naive {
        fn take(&mut self, counter: u64) -> bool {
            let newest = self.seen.last().copied();
            let too_old = newest.is_some_and(|newest| newest + 1 > counter + WINDOW);
            !too_old && self.seen.insert(counter)
        }
    }

    fn take(window: &mut Window, counter: u64) -> bool {
        let fresh = window.is_fresh(counter);
        if fresh {
            window.accept(counter);
        }
        fresh
    }

    /// Jumps of all sizes that matter, forwards and backwards.
    fn walk() -> impl Strategy<Value = Vec<u64>> {
        let step = prop_oneof![
            4 => -80..80_i64,
            2 => -33_000..33_000_i64,
            1 => -70_000..140_000_i64,
        ];
        prop::collection::vec(step, 1..400).prop_map(|steps| {
            let mut at = 0_i64;
            let walk = steps.iter().map(|step| {
                at = (at + step).max(0);
                at.unsigned_abs()
            });
            walk.collect()
        })
    }

    proptest! {
        #[test]
        fn a6_the_window_agrees_with_a_naive_set(counters in walk()) {
            let (mut window, mut naive) = (Window::default(), Naive::default());
            for counter in counters {
                prop_assert_eq!(take(&mut window, counter), naive.take(counter), "{}", counter);
            }
        }
    }

    #[test]
    fn a6_the_whole_window_and_not_one_counter_more_is_remembered() {
        let mut window = Window::default();
        let newest = 3 * WINDOW + 17;
        window.accept(newest);
        assert!(window.is_fresh(newest - WINDOW + 1));
        assert!(!window.is_fresh(newest - WINDOW));
        for counter in newest - WINDOW + 1..newest {
            assert!(take(&mut window, counter), "{counter}");
        }
        for counter in newest - WINDOW + 1..=newest {
            assert!(!take(&mut window, counter), "{counter}");
        }
    }
}
