//! Invites: one link with everything that a player needs to join.
//!
//! ```text
//! lanparty://relay.example:4433/ROOM1?pin=sha256:5e88...#mzxw6ytb...
//! ```
//!
//! The port may be missing where it is 443. There are up to two pins, SHA-256
//! of the relay's public key, the second for the time in which the relay
//! changes it. What stands after `#` is base 32 of the room's key, if it has
//! one, and of a checksum over all of the link, so that damage on the way is
//! noticed before anything is dialled. A browser keeps that part to itself.
//!
//! Every invite has one spelling, besides that of a host name in another
//! script, and only that one is taken.

mod base32;
mod checksum;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::endpoint::EndpointError;
use crate::{DEFAULT_PORT, DnsName, Host, RelayEndpoint};

/// The longest invite in bytes: fits a QR code that a telephone still reads
/// from a screen, and is far more than a usual invite has.
pub const MAX_INVITE_LEN: usize = 512;
/// The pin that holds now and the one that will.
pub const MAX_PINS: usize = 2;
/// What every invite begins with.
pub const SCHEME: &str = "lanparty://";

const PIN: &str = "pin=sha256:";
const KEY_LEN: usize = 32;
const CHECKSUM_LEN: usize = 4;

/// Where a room is, whom to take for its relay, and the room's key.
///
/// Nothing prints an invite in passing: whoever reads [`Invite::link`] can
/// join the room.
#[derive(Clone, PartialEq, Eq)]
pub struct Invite {
    relay: RelayEndpoint,
    room: String,
    pins: Vec<[u8; 32]>,
    key: Option<Zeroizing<[u8; KEY_LEN]>>,
}

/// Why a text is no invite, or parts cannot make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    #[error("an invite is at most {MAX_INVITE_LEN} characters long")]
    TooLong,
    #[error("an invite begins with {SCHEME}")]
    Scheme,
    #[error("the end of the invite, from '#' on, is missing; copy all of it")]
    Cut,
    #[error(
        "the invite was changed on its way, by a missing, added or wrong character; copy it again from where it came, or ask the host for it"
    )]
    Damaged,
    #[error("the invite names no relay: {0}")]
    Relay(#[from] EndpointError),
    #[error("the invite names no room")]
    Room,
    #[error("the invite says something that this program does not know; update the program")]
    Unknown,
    #[error("an invite has at most {MAX_PINS} different pins, each sha256: and 64 digits")]
    Pins,
    #[error("the invite is spelled in another way than programs write it; ask the host for it")]
    Spelling,
}

impl Invite {
    /// # Errors
    /// When these parts have no link. A room's name is made of the characters
    /// that stand for themselves in a link (RFC 3986 section 2.3).
    pub fn new(
        relay: RelayEndpoint,
        room: &str,
        pins: Vec<[u8; 32]>,
        key: Option<[u8; KEY_LEN]>,
    ) -> Result<Self, InviteError> {
        let stands_for_itself =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if room.is_empty() || !room.bytes().all(stands_for_itself) {
            return Err(InviteError::Room);
        }
        let repeated = matches!(pins.as_slice(), [one, other] if one == other);
        if pins.len() > MAX_PINS || repeated {
            return Err(InviteError::Pins);
        }
        let invite = Self {
            relay,
            room: room.to_owned(),
            pins,
            key: key.map(Zeroizing::new),
        };
        if invite.link().len() > MAX_INVITE_LEN {
            return Err(InviteError::TooLong);
        }
        Ok(invite)
    }

    #[must_use]
    pub const fn relay(&self) -> &RelayEndpoint {
        &self.relay
    }

    /// The room's name; whether a relay would take it is not checked here.
    #[must_use]
    pub fn room(&self) -> &str {
        &self.room
    }

    /// SHA-256 of the public keys that the relay may show. None: the relay's
    /// certificate is checked against the authorities of the system.
    #[must_use]
    pub fn pins(&self) -> &[[u8; 32]] {
        &self.pins
    }

    #[must_use]
    pub fn key(&self) -> Option<&[u8; KEY_LEN]> {
        self.key.as_deref()
    }

    /// The link. With a key it is as secret as the key.
    #[must_use]
    pub fn link(&self) -> Zeroizing<String> {
        let head = self.head();
        let secret: &[u8] = self.key.as_ref().map_or(&[], |key| key.as_slice());
        let check = checksum(&head, secret).to_be_bytes();
        // At once as long as it can get: a buffer that grows leaves copies.
        let mut link = Zeroizing::new(String::with_capacity(MAX_INVITE_LEN.saturating_mul(2)));
        link.push_str(&head);
        link.push('#');
        base32::encode(&Zeroizing::new([secret, &check].concat()), &mut link);
        link
    }

    /// Everything before the `#`.
    fn head(&self) -> String {
        let mut head = SCHEME.to_owned();
        // Writing to a string cannot fail.
        let _ = match self.relay.host() {
            Host::Name(name) => write!(head, "{name}"),
            Host::Address(IpAddr::V4(address)) => write!(head, "{address}"),
            Host::Address(IpAddr::V6(address)) => write!(head, "[{address}]"),
        };
        if self.relay.port() != DEFAULT_PORT {
            let _ = write!(head, ":{}", self.relay.port());
        }
        let _ = write!(head, "/{}", self.room);
        for (pin, mark) in self.pins.iter().zip(['?', '&']) {
            let _ = write!(head, "{mark}{PIN}");
            for byte in pin {
                let _ = write!(head, "{byte:02x}");
            }
        }
        head
    }
}

impl FromStr for Invite {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        if text.len() > MAX_INVITE_LEN {
            return Err(InviteError::TooLong);
        }
        let Some(rest) = text.strip_prefix(SCHEME) else {
            return Err(InviteError::Scheme);
        };
        let (head, secret) = rest.split_once('#').ok_or(InviteError::Cut)?;
        if secret.is_empty() {
            return Err(InviteError::Cut);
        }
        let head = format!("{SCHEME}{}", in_ascii(head)?);
        let secret = base32::decode(secret).ok_or(InviteError::Damaged)?;
        let (key, check) = secret
            .split_last_chunk::<CHECKSUM_LEN>()
            .ok_or(InviteError::Damaged)?;
        // First of all, so that damage is not taken for something else.
        if checksum(&head, key) != u32::from_be_bytes(*check) {
            return Err(InviteError::Damaged);
        }
        let key = match key {
            [] => None,
            key => Some(key.try_into().map_err(|_| InviteError::Unknown)?),
        };
        let invite = parse_head(&head, key)?;
        if invite.head() != head {
            return Err(InviteError::Spelling);
        }
        Ok(invite)
    }
}

fn parse_head(head: &str, key: Option<[u8; KEY_LEN]>) -> Result<Invite, InviteError> {
    let rest = head.strip_prefix(SCHEME).ok_or(InviteError::Scheme)?;
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let (relay, room) = path.split_once('/').ok_or(InviteError::Room)?;
    let pins = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .map(parse_pin)
        .collect::<Result<_, _>>()?;
    Invite::new(relay.parse()?, room, pins, key)
}

fn parse_pin(parameter: &str) -> Result<[u8; 32], InviteError> {
    if !parameter.starts_with("pin=") {
        return Err(InviteError::Unknown);
    }
    let digits = parameter.strip_prefix(PIN).ok_or(InviteError::Pins)?;
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return Err(InviteError::Pins);
    };
    let value = |digit: u8| char::from(digit).to_digit(16);
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|&[high, low]| u8::try_from(value(high)? << 4 | value(low)?).ok())
        .collect();
    let pin = bytes.and_then(|bytes| bytes.try_into().ok());
    pin.ok_or(InviteError::Pins)
}

/// The part between scheme and `#` with its host name as the resolver wants
/// it. Of the names in other scripts that mean the same host only the usual
/// spelling is taken, or one damaged character could give another.
fn in_ascii(head: &str) -> Result<String, InviteError> {
    if head.is_ascii() {
        return Ok(head.to_owned());
    }
    let host_len = head.find([':', '/']).ok_or(InviteError::Damaged)?;
    let (host, rest) = head
        .split_at_checked(host_len)
        .ok_or(InviteError::Damaged)?;
    let name: DnsName = host.parse().map_err(|_| InviteError::Damaged)?;
    if !rest.is_ascii() || name.to_unicode() != host {
        return Err(InviteError::Damaged);
    }
    Ok(format!("{name}{rest}"))
}

fn checksum(head: &str, key: &[u8]) -> u32 {
    checksum::crc32c(head.bytes().chain([b'#']).chain(key.iter().copied()))
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite")
            .field("relay", &self.relay)
            .field("room", &self.room)
            .field("keyed", &self.key.is_some())
            .finish_non_exhaustive()
    }
}
