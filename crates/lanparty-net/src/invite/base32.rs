//! Base 32 (RFC 4648 section 6) in lower case and without padding.
//!
//! Letters and digits only: chat programs read `_` and `*` as markup, and
//! some break a text after `-`.

use zeroize::Zeroizing;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const BITS: u32 = 5;

pub(super) fn encode(bytes: &[u8], text: &mut String) {
    let mut held: u32 = 0;
    let mut count: u32 = 0;
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        count = count.saturating_add(8);
        while let Some(rest) = count.checked_sub(BITS) {
            count = rest;
            push(held >> count, text);
        }
    }
    if count > 0 {
        push(held << BITS.saturating_sub(count), text);
    }
}

fn push(bits: u32, text: &mut String) {
    let digit = usize::try_from(bits & 0x1F).ok();
    let character = digit.and_then(|digit| ALPHABET.get(digit));
    text.extend(character.map(|character| char::from(*character)));
}

/// The bytes, where this is how [`encode`] writes them and no other way.
pub(super) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut held: u32 = 0;
    let mut count: u32 = 0;
    for character in text.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == character)?;
        held = held << BITS | u32::try_from(digit).ok()?;
        count = count.saturating_add(BITS);
        if let Some(rest) = count.checked_sub(8) {
            count = rest;
            bytes.push(u8::try_from(held >> count & 0xFF).ok()?);
        }
    }
    let spare = held & !(u32::MAX << count);
    (count < BITS && spare == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut text = String::new();
        encode(bytes, &mut text);
        text
    }

    #[test]
    fn the_examples_of_rfc_4648_section_10_come_out() {
        for (bytes, text) in [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foob", "mzxw6yq"),
            ("fooba", "mzxw6ytb"),
            ("foobar", "mzxw6ytboi"),
        ] {
            assert_eq!(encoded(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn no_bytes_have_two_texts() {
        for text in ["mz", "myy", "m", "MY", "my=", "0", "é"] {
            assert!(decode(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes: Vec<u8>) {
            prop_assert_eq!(&*decode(&encoded(&bytes)).unwrap(), &bytes);
        }

        #[test]
        fn what_is_decoded_is_encoded(text in "[a-z2-7]{0,70}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encoded(&bytes), text);
            }
        }
    }
}
