//! The protocol version and what to say when it does not fit.

pub use lanparty_proto::tls::{ALPN, EXPORTER_LABEL};

/// The version of the protocol that this crate speaks.
pub const PROTOCOL_VERSION: u16 = 1;

/// A member and a relay without a common version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the relay speaks protocol version {relay} and this member version {member}; {}",
    self.side_to_upgrade().advice()
)]
pub struct VersionMismatch {
    pub member: u16,
    pub relay: u16,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Member,
    Relay,
}

impl VersionMismatch {
    /// Which side is older.
    #[must_use]
    pub const fn side_to_upgrade(self) -> Side {
        if self.member < self.relay {
            Side::Member
        } else {
            Side::Relay
        }
    }
}

impl Side {
    const fn advice(self) -> &'static str {
        match self {
            Self::Member => "upgrade the player or gateway program",
            Self::Relay => "ask the relay's operator to upgrade the relay",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_side_is_told_to_upgrade() {
        let old_member = VersionMismatch {
            member: 1,
            relay: 2,
        };
        assert_eq!(old_member.side_to_upgrade(), Side::Member);
        assert!(old_member.to_string().contains("upgrade the player"));
        let old_relay = VersionMismatch {
            member: 3,
            relay: 2,
        };
        assert_eq!(old_relay.side_to_upgrade(), Side::Relay);
        assert!(old_relay.to_string().contains("relay's operator"));
    }

    #[test]
    fn the_alpn_token_names_the_version() {
        assert_eq!(ALPN, format!("lanparty/{PROTOCOL_VERSION}").as_bytes());
    }
}
