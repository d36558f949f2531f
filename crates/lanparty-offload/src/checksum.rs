//! The Internet checksum (RFC 1071).

/// A one's complement sum over 16-bit words in the machine's byte order, which
/// RFC 1071 section 2 (B) shows to be as good as network order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Adds bytes. Only the last piece of a sum may have an odd length.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        // Four sums at once, because each addition waits for the carry of the last.
        let (blocks, rest) = bytes.as_chunks::<32>();
        let mut lanes = [self, Self::default(), Self::default(), Self::default()];
        for block in blocks {
            let (words, _) = block.as_chunks::<8>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane = lane.word(u64::from_ne_bytes(*word));
            }
        }
        let mut sum = lanes
            .into_iter()
            .fold(Self::default(), |sum, lane| sum.word(lane.0));
        let (words, tail) = rest.as_chunks::<8>();
        for word in words {
            sum = sum.word(u64::from_ne_bytes(*word));
        }
        if !tail.is_empty() {
            let mut last = [0; 8];
            for (to, from) in last.iter_mut().zip(tail) {
                *to = *from;
            }
            sum = sum.word(u64::from_ne_bytes(last));
        }
        sum
    }

    /// Adds a 16-bit number as it stands on the wire.
    pub(crate) fn number(self, value: u16) -> Self {
        self.word(u64::from(u16::from_ne_bytes(value.to_be_bytes())))
    }

    /// The sum as a field to be finished later: not complemented.
    pub(crate) fn partial(self) -> [u8; 2] {
        self.fold().to_ne_bytes()
    }

    /// The finished checksum field.
    pub(crate) fn finish(self) -> [u8; 2] {
        (!self.fold()).to_ne_bytes()
    }

    /// The finished checksum field of UDP, where 0 would mean "no checksum"
    /// (RFC 768).
    pub(crate) fn finish_udp(self) -> [u8; 2] {
        match self.finish() {
            [0, 0] => [0xFF, 0xFF],
            field => field,
        }
    }

    /// True where the bytes summed up include their right checksum.
    pub(crate) fn is_valid(self) -> bool {
        self.fold() == u16::MAX
    }

    #[inline]
    fn word(self, word: u64) -> Self {
        let (sum, carry) = self.0.overflowing_add(word);
        Self(sum.wrapping_add(u64::from(carry)))
    }

    fn fold(self) -> u16 {
        let [a, b, c, d, e, f, g, h] = self.0.to_ne_bytes();
        let mut sum = [[a, b], [c, d], [e, f], [g, h]]
            .into_iter()
            .map(|word| u32::from(u16::from_ne_bytes(word)))
            .fold(0, u32::wrapping_add);
        // Four words make at most 18 bits, so two rounds leave 16.
        sum = (sum & 0xFFFF).wrapping_add(sum >> 16);
        sum = (sum & 0xFFFF).wrapping_add(sum >> 16);
        u16::try_from(sum).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 section 4.1, word by word.
    fn reference(bytes: &[u8]) -> u16 {
        let mut sum = 0_u64;
        for pair in bytes.chunks(2) {
            sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
        }
        while sum >> 16 != 0 {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn the_example_of_rfc_1071_section_3_holds() {
        let sum = Sum::default().bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.partial(), [0xdd, 0xf2]);
        assert_eq!(sum.finish(), [0x22, 0x0d]);
    }

    #[test]
    fn carries_are_not_lost() {
        assert_eq!(Sum::default().bytes(&[0xFF; 4_096]).partial(), [0xFF, 0xFF]);
        assert!(Sum::default().bytes(&[0xFF; 4_096]).is_valid());
    }

    proptest! {
        #[test]
        fn wide_words_sum_like_single_ones(
            even in prop::collection::vec(any::<u16>(), 0..60),
            last in prop::collection::vec(any::<u8>(), 0..200),
            number: u16,
        ) {
            let even: Vec<u8> = even.into_iter().flat_map(u16::to_be_bytes).collect();
            let all = [&even[..], &number.to_be_bytes(), &last].concat();
            let sum = Sum::default().bytes(&even).number(number).bytes(&last);
            prop_assert_eq!(sum.partial(), reference(&all).to_be_bytes());
        }
    }
}
