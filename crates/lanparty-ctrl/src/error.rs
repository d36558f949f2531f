//! What can be wrong with what a peer sends on the control stream.

use lanparty_proto::mac::MacIdentityError;
use lanparty_proto::mtu::{MAX_DATAGRAM_BUDGET, MAX_TAP_MTU, MIN_DATAGRAM_BUDGET, MIN_TAP_MTU};

use crate::codec::MAX_BODY_LEN;
use crate::lifecycle::MAX_DELAY_MS;
use crate::{CloseCode, VersionMismatch};

/// Why a control stream cannot be read any further.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("a control frame of {0} bytes; 2 to {MAX_BODY_LEN} are possible")]
    FrameLength(u32),
    #[error("a control frame is not a JSON object with a member \"type\"")]
    Envelope(#[source] serde_json::Error),
    #[error("message {name} has a missing, repeated or malformed field")]
    Body {
        name: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error("message {name}: {field}")]
    Field {
        name: &'static str,
        field: InvalidField,
    },
    #[error("a mandatory message of an unknown type")]
    UnknownMessage,
    #[error(transparent)]
    Version(VersionMismatch),
}

/// A field that breaks a rule which spans more than its own type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidField {
    #[error("a player must announce a MAC address")]
    ClientWithoutMac,
    #[error("a player cannot use this MAC address: {0}")]
    ClientMac(MacIdentityError),
    #[error("a gateway's MAC address must be that of a network interface, not zero or a group")]
    GatewayMac,
    #[error(
        "a datagram budget of {0} bytes; {MIN_DATAGRAM_BUDGET} to {MAX_DATAGRAM_BUDGET} are possible"
    )]
    DatagramBudget(u16),
    #[error("an adapter MTU of {0}; {MIN_TAP_MTU} to {MAX_TAP_MTU} are possible")]
    TapMtu(u16),
    #[error("mode lan needs a gateway and mode players has none")]
    Mode,
    #[error("a delay of {0} ms; at most {MAX_DELAY_MS} are possible")]
    Delay(u32),
}

impl ControlError {
    /// The code with which to close the connection.
    #[must_use]
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::FrameLength(_) | Self::Envelope(_) => CloseCode::ProtocolError,
            Self::Field { field, .. } if field.is_mac_rule() => CloseCode::MacNotAllowed,
            Self::Body { name, .. } | Self::Field { name, .. } => match *name {
                "hello" => CloseCode::InvalidHello,
                _ => CloseCode::ProtocolError,
            },
            Self::UnknownMessage => CloseCode::UnknownMessage,
            Self::Version(_) => CloseCode::VersionMismatch,
        }
    }
}

impl InvalidField {
    const fn is_mac_rule(self) -> bool {
        matches!(
            self,
            Self::ClientWithoutMac | Self::ClientMac(_) | Self::GatewayMac
        )
    }
}
