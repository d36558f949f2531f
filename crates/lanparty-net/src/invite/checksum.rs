//! CRC-32C (RFC 3720 section 12.1, appendix B.4).
//!
//! A cyclic code and not the front of a hash, because a hash only makes it
//! unlikely that damage is overlooked. This one finds for certain every change
//! within 32 neighbouring bits, hence every exchanged character, every swap of
//! two neighbours, and any five wrong bits of a text as long as an invite
//! (Koopman, "32-Bit Cyclic Redundancy Codes for Internet Applications",
//! 2002). It is no protection against a forger, who can make an invite of
//! their own anyway.

/// The polynomial with its bits in reverse order.
const POLYNOMIAL: u32 = 0x82F6_3B78;

pub(super) fn crc32c(bytes: impl IntoIterator<Item = u8>) -> u32 {
    let sum = bytes.into_iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            let shifted = sum >> 1;
            if sum & 1 == 1 {
                shifted ^ POLYNOMIAL
            } else {
                shifted
            }
        })
    });
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_3720_come_out() {
        assert_eq!(crc32c(*b"123456789"), 0xE306_9283);
        assert_eq!(crc32c([0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c([0xFF; 32]), 0x62A8_AB43);
        assert_eq!(crc32c(0..32), 0x46DD_794E);
    }
}
