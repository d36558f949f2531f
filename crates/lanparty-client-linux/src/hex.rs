//! 32-byte values as people and files carry them.

pub(crate) fn encode(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `None` where the text is not 64 hexadecimal digits.
pub(crate) fn decode(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let bytes: Vec<u8> = digits
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_digits_are_a_value() {
        let bytes = std::array::from_fn(|at| at as u8 * 8);
        assert_eq!(decode(&encode(&bytes)), Some(bytes));
        for text in ["", "00", &"0".repeat(63), &"g".repeat(64), &"+1".repeat(32)] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
