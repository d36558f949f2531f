//! UTF-16 as Windows has it: maybe terminated, maybe not, maybe no UTF-16.

use std::io;

/// For a call that wants a terminated string.
///
/// # Errors
/// When the text holds a NUL, behind which the call would not look.
pub fn terminated(text: &str) -> io::Result<Vec<u16>> {
    if text.contains('\0') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(text.encode_utf16().chain([0]).collect())
}

/// Up to the first NUL or the end. What is no UTF-16 becomes U+FFFD.
#[must_use]
pub fn text(wide: &[u16]) -> String {
    let end = wide.iter().position(|unit| *unit == 0);
    String::from_utf16_lossy(wide.get(..end.unwrap_or(wide.len())).unwrap_or_default())
}

/// The same for a registry value, whose bytes can end in the middle of a unit.
#[must_use]
pub fn text_of_bytes(bytes: &[u8]) -> String {
    let (units, _) = bytes.as_chunks();
    let wide: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    text(&wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_ends_at_its_first_nul_or_with_its_bytes() {
        let wide =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        assert_eq!(text_of_bytes(&wide("tap0901\0junk")), "tap0901");
        assert_eq!(text_of_bytes(&wide("tap0901")), "tap0901");
        assert_eq!(text_of_bytes(&wide("ab")[..3]), "a");
        assert_eq!(text(&[0xD800, 65]), "\u{FFFD}A");
        assert_eq!(text(&[]), "");
    }

    #[test]
    fn a_text_with_a_nul_is_not_cut_short_but_refused() {
        assert_eq!(terminated("ab").unwrap(), [97, 98, 0]);
        terminated("a\0b").unwrap_err();
    }
}
