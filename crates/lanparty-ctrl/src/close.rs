//! Application close codes of a connection, as `docs/protocol.md` lists them.

use lanparty_obs::ExitCode;
use serde::{Deserialize, Serialize};

macro_rules! close_codes {
    ($( $(#[$doc:meta])* $variant:ident = $number:literal $name:literal $after:ident $exit:ident
        $what:literal $remedy:literal )*) => {
        /// Why a connection was closed, or a join refused: the application
        /// error code of QUIC's CONNECTION_CLOSE, and a name in JSON.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u16)]
        pub enum CloseCode {
            $( #[doc = $what] $(#[$doc])* $variant = $number, )*
        }

        impl CloseCode {
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            #[must_use]
            pub const fn from_u64(number: u64) -> Option<Self> {
                match number {
                    $( $number => Some(Self::$variant), )*
                    _ => None,
                }
            }

            /// The application error code on the wire.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $( Self::$variant => $number, )* }
            }

            /// The name in JSON and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )* }
            }

            /// What happened and what to do, for a user to read.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $( Self::$variant => concat!($what, " ", $remedy), )* }
            }

            /// Whether dialling again makes no sense until a person has
            /// changed something.
            #[must_use]
            pub const fn is_final(self) -> bool {
                match self { $( Self::$variant => close_codes!(@ $after), )* }
            }

            /// The exit status of a program that ends because of this.
            #[must_use]
            pub const fn exit_code(self) -> ExitCode {
                match self { $( Self::$variant => ExitCode::$exit, )* }
            }
        }
    };
    (@ final) => { true };
    (@ redial) => { false };
}

close_codes! {
    Normal = 0 "normal" final Success
        "The member left on purpose."
        "Join again whenever you like."
    ProtocolError = 1 "protocol_error" final Rejected
        "A message or too many datagrams broke the protocol."
        "Upgrade the program; if it happens again, report it with the log."
    JoinTimeout = 2 "join_timeout" redial RelayUnreachable
        "The join took longer than the relay allows."
        "The connection may be very slow; the program tries again."
    VersionMismatch = 3 "version_mismatch" final VersionMismatch
        "The two sides speak no common protocol version."
        "Upgrade the older side."
    UnknownMessage = 4 "unknown_message" final VersionMismatch
        "A mandatory message had an unknown type."
        "Upgrade the older side."
    /// The same for an unknown room, a wrong key and a ban, on purpose.
    NotAdmitted = 5 "not_admitted" final Rejected
        "The relay did not admit this member to the room."
        "Check that the host has started the gateway, or ask the host for a new invite."
    RoomPolicy = 6 "room_policy" final Rejected
        "This relay does not serve rooms of this kind."
        "Ask its operator which rooms it allows, or use another relay."
    GatewayPresent = 7 "gateway_present" final Rejected
        "The room already has a gateway."
        "Stop the other gateway first, or choose another room code; after a crash wait a minute."
    MacInUse = 8 "mac_in_use" final Configuration
        "Another member of the room has this MAC address."
        "Choose another with --virtual-mac, or leave it out to get a fresh one."
    MacNotAllowed = 9 "mac_not_allowed" final Configuration
        "The MAC address is missing or may not be used by a member."
        "Use a locally administered unicast address such as 02:00:5e:10:00:01."
    RoomFull = 10 "room_full" redial Rejected
        "The room is full."
        "Wait until somebody leaves, or ask the relay's operator for a higher limit."
    RelayFull = 11 "relay_full" redial Rejected
        "The relay is full."
        "Try again later, or use another relay."
    Replaced = 12 "replaced" final Rejected
        "The same member joined again on another connection."
        "If that was not you, another copy of this program is running with the same identity."
    Restarting = 13 "restarting" redial RelayUnreachable
        "The relay is restarting."
        "The program reconnects by itself."
    Removed = 14 "removed" final Rejected
        "The host removed this member from the room."
        "Ask the host."
    TooSlow = 15 "too_slow" redial RelayUnreachable
        "The control stream was read or written too slowly."
        "The connection may be overloaded; the program reconnects by itself."
    InvalidHello = 16 "invalid_hello" final Configuration
        "A field of the join request is missing or out of its range."
        "Check the settings of the program, or upgrade it."
    InternalError = 17 "internal_error" redial Rejected
        "Something went wrong inside the relay."
        "The program tries again; tell the relay's operator if it stays."
    LoopDetected = 18 "loop_detected" final Rejected
        "The gateway's LAN and this room form a loop."
        "Find the second gateway or bridged player on that LAN and stop it."
    ConnectionLost = 19 "connection_lost" redial RelayUnreachable
        "The connection was lost."
        "It comes back by itself when the network does."
    ApprovalPending = 20 "approval_pending" redial Rejected
        "The host lets newcomers in one by one and has not answered yet."
        "The program keeps asking; tell the host who you are."
}

impl From<CloseCode> for u64 {
    fn from(code: CloseCode) -> Self {
        code.number().into()
    }
}

impl std::fmt::Display for CloseCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_lead_back_to_their_code() {
        for &code in CloseCode::ALL {
            assert_eq!(CloseCode::from_u64(code.into()), Some(code));
            let json = serde_json::to_string(&code).unwrap();
            assert_eq!(json, format!("\"{}\"", code.name()));
        }
        assert_eq!(CloseCode::from_u64(21), None);
        assert_eq!(CloseCode::from_u64(1 << 32), None);
    }
}
