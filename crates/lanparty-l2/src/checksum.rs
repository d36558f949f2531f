//! The internet checksum (RFC 1071) and its incremental update (RFC 1624).

use std::net::{Ipv4Addr, Ipv6Addr};

/// A running one's complement sum. Frames are at most 64 KiB, so 32 bits
/// cannot overflow before folding.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u32);

impl Sum {
    /// Adds bytes that begin at an even offset; an odd tail is padded with zero.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        let (words, tail) = bytes.as_chunks::<2>();
        for word in words {
            self = self.word(u16::from_be_bytes(*word));
        }
        match tail {
            [last] => self.word(u16::from_be_bytes([*last, 0])),
            _ => self,
        }
    }

    pub(crate) fn word(self, word: u16) -> Self {
        Self(self.0.wrapping_add(u32::from(word)))
    }

    /// The pseudo-header of RFC 768 and RFC 9293.
    pub(crate) fn pseudo_v4(self, source: Ipv4Addr, to: Ipv4Addr, protocol: u8, len: u16) -> Self {
        self.bytes(&source.octets())
            .bytes(&to.octets())
            .word(u16::from(protocol))
            .word(len)
    }

    /// The pseudo-header of RFC 8200, section 8.1.
    pub(crate) fn pseudo_v6(self, source: Ipv6Addr, to: Ipv6Addr, next: u8, len: u16) -> Self {
        self.bytes(&source.octets())
            .bytes(&to.octets())
            .word(len)
            .word(u16::from(next))
    }

    /// The checksum field's value; also 0 where a sum that includes a correct
    /// checksum is checked.
    pub(crate) fn finish(self) -> u16 {
        !fold(self.0)
    }
}

fn fold(sum: u32) -> u16 {
    let once = (sum & 0xFFFF).wrapping_add(sum >> 16);
    let twice = (once & 0xFFFF).wrapping_add(once >> 16);
    let [_, _, high, low] = twice.to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// RFC 1624, equation 3: the checksum after one 16-bit word changed.
///
/// `odd` says that the word begins at an odd offset of the checksummed data,
/// where its bytes fall into two neighbouring words.
pub(crate) fn adjust(checksum: u16, old: u16, new: u16, odd: bool) -> u16 {
    let (old, new) = if odd {
        (old.swap_bytes(), new.swap_bytes())
    } else {
        (old, new)
    };
    !fold(
        u32::from(!checksum)
            .wrapping_add(u32::from(!old))
            .wrapping_add(u32::from(new)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sums_the_example_of_rfc_1071_section_3() {
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().bytes(&data).finish(), !0xddf2);
    }

    proptest! {
        #[test]
        fn an_incremental_update_equals_a_full_recomputation(
            mut data in proptest::collection::vec(any::<u8>(), 8..64),
            at in 0_usize..6,
            new in any::<u16>(),
        ) {
            // RFC 1624, section 3: the two zeros of one's complement may
            // differ only where all data is zero.
            data[7] |= 1;
            let before = Sum::default().bytes(&data).finish();
            let old = u16::from_be_bytes([data[at], data[at + 1]]);
            let adjusted = adjust(before, old, new, at % 2 == 1);
            data[at..at + 2].copy_from_slice(&new.to_be_bytes());
            prop_assert_eq!(adjusted, Sum::default().bytes(&data).finish());
        }
    }
}
