//! Host names.

use std::fmt;
use std::str::FromStr;

/// The longest name in characters (RFC 1035 section 2.3.4, without the root).
pub const MAX_NAME_LEN: usize = 253;
/// The longest label (RFC 1035 section 2.3.4).
const MAX_LABEL_LEN: usize = 63;

/// An absolute host name of letters, digits and hyphens (RFC 1123 section
/// 2.1), in lower case and without the final dot. A name in another script is
/// taken too, and kept in its ASCII form (`xn--`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(Box<str>);

/// Why a text is not a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsNameError {
    #[error("the host name is empty")]
    Empty,
    #[error("the host name is longer than {MAX_NAME_LEN} characters")]
    TooLong,
    #[error("a part of the host name between two dots is empty or longer than {MAX_LABEL_LEN}")]
    Label,
    #[error("a host name is made of letters, digits, '-' and '.'")]
    Character,
    #[error("a part of the host name begins or ends with '-'")]
    Hyphen,
    #[error("this is no host name in any script")]
    Script,
    #[error("this is neither a host name nor a complete IP address")]
    Number,
}

impl DnsName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as people write it where it stands for one in another script,
    /// else as it is.
    #[must_use]
    pub fn to_unicode(&self) -> String {
        match idna::domain_to_unicode(&self.0) {
            (name, Ok(())) => name,
            (_, Err(_)) => self.0.to_string(),
        }
    }
}

impl FromStr for DnsName {
    type Err = DnsNameError;

    fn from_str(text: &str) -> Result<Self, DnsNameError> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if !name.is_ascii() {
            return in_ascii(name)?.parse();
        }
        if name.is_empty() {
            return Err(DnsNameError::Empty);
        }
        if name.len() > MAX_NAME_LEN {
            return Err(DnsNameError::TooLong);
        }
        name.split('.').try_for_each(check_label)?;
        if name.rsplit('.').next().is_some_and(is_number) {
            return Err(DnsNameError::Number);
        }
        Ok(Self(name.to_ascii_lowercase().into()))
    }
}

/// A name in another script as the domain name system carries it (RFC 5891
/// section 4.4, with the mapping of Unicode Technical Standard 46).
fn in_ascii(text: &str) -> Result<String, DnsNameError> {
    // Much shorter than what any text of that length could be a name for.
    if text.len() > MAX_NAME_LEN.saturating_mul(4) {
        return Err(DnsNameError::TooLong);
    }
    let name = idna::domain_to_ascii_strict(text).map_err(|_| DnsNameError::Script)?;
    if name.is_ascii() {
        Ok(name)
    } else {
        Err(DnsNameError::Script)
    }
}

fn check_label(label: &str) -> Result<(), DnsNameError> {
    if label.is_empty() || label.len() > MAX_LABEL_LEN {
        return Err(DnsNameError::Label);
    }
    if !label
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        return Err(DnsNameError::Character);
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(DnsNameError::Hyphen);
    }
    Ok(())
}

/// Resolvers read names that end in a number as old spellings of an IPv4
/// address: `10.1` is 10.0.0.1 and `0x7f.1` is 127.0.0.1.
fn is_number(label: &str) -> bool {
    let label = label.to_ascii_lowercase();
    match label.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_taken_in_lower_case() {
        for (text, name) in [
            ("relay.example.org", "relay.example.org"),
            ("Relay.Example.ORG.", "relay.example.org"),
            ("localhost", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("1and1.example", "1and1.example"),
            ("3.example", "3.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example.", "xn--bcher-kva.example"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ] {
            assert_eq!(text.parse::<DnsName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn each_mistake_has_its_own_sentence() {
        use DnsNameError as E;
        for (text, error) in [
            ("", E::Empty),
            (".", E::Empty),
            ("a..b", E::Label),
            (".a", E::Label),
            ("a..", E::Label),
            ("a b", E::Character),
            ("a_b", E::Character),
            ("-a.b", E::Hyphen),
            ("a-.b", E::Hyphen),
            ("ü_.example", E::Script),
            ("\u{202E}ü.example", E::Script),
            ("ü".repeat(64).leak(), E::Script),
            ("10.1", E::Number),
            ("300.1.1.1", E::Number),
            ("0x7f.1", E::Number),
            ("a.0X7F", E::Number),
        ] {
            assert_eq!(text.parse::<DnsName>(), Err(error), "{text}");
        }
        assert_eq!("a".repeat(64).parse::<DnsName>(), Err(E::Label));
        let longest = [&*"a".repeat(63); 4].join(".");
        assert_eq!(
            longest[..253].parse::<DnsName>().unwrap().as_str().len(),
            253
        );
        assert_eq!(longest[..254].parse::<DnsName>(), Err(E::TooLong));
    }
}
