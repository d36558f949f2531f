//! What players and hosts read while a program runs, the same words in every
//! program.

use std::fmt;
use std::time::Duration;

/// A change that a user notices. Names of rooms and members were checked when
/// they were decoded and hold no control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status<'a> {
    Joined {
        room: &'a str,
        peer: u16,
        tap_mtu: u16,
        /// Whether this is the same membership as before an outage.
        again: bool,
    },
    /// The room has no key.
    OpenRoom,
    /// The room has a key.
    SealedRoom,
    /// No gateway is in the room that was just joined.
    NoGatewayYet,
    PeerPresent {
        /// The word for the role.
        role: &'a str,
        name: &'a str,
    },
    PeerLeft {
        role: &'a str,
        name: &'a str,
        /// The sentence of the close code.
        reason: &'a str,
    },
    GatewayPresent,
    GatewayGone,
    PolicyChanged,
    /// The connection of a member that was in the room.
    RelayLost {
        cause: &'a str,
        /// What goes on, such as `the adapter stays up`.
        meanwhile: &'a str,
    },
    /// An attempt to join that failed and will be repeated.
    NotConnected {
        cause: &'a str,
    },
    /// The host lets newcomers in one by one.
    AwaitingApproval,
    Retrying {
        after: Duration,
        attempt: u32,
    },
    RelayRestarting {
        back_in: Duration,
    },
}

impl fmt::Display for Status<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Joined {
                room,
                peer,
                tap_mtu,
                again,
            } => {
                let again = if again { " again" } else { "" };
                write!(
                    f,
                    "joined room {room}{again} as peer {peer}; adapter MTU {tap_mtu}"
                )
            }
            Self::OpenRoom => f.write_str(
                "this room has no key: whoever knows its name can join it, and the relay can read it",
            ),
            Self::SealedRoom => f.write_str(
                "this room is sealed: only who has its invite can join it, and the relay cannot read it",
            ),
            Self::NoGatewayYet => f.write_str(
                "no gateway is in the room yet, so the players are among themselves",
            ),
            Self::PeerPresent { role, name } => write!(f, "{role} {name} is in the room"),
            Self::PeerLeft { role, name, reason } => {
                write!(f, "{role} {name} left the room: {reason}")
            }
            Self::GatewayPresent => {
                f.write_str("the gateway is present: the party's LAN is reachable")
            }
            Self::GatewayGone => f.write_str(
                "the gateway is gone: players still see each other, but not the party's LAN",
            ),
            Self::PolicyChanged => f.write_str("the host changed the room's rules"),
            Self::RelayLost { cause, meanwhile } => write!(
                f,
                "the connection to the relay is lost: {cause}; {meanwhile} meanwhile"
            ),
            Self::NotConnected { cause } => write!(f, "not connected to the relay: {cause}"),
            Self::AwaitingApproval => f.write_str(
                "waiting for the host to let this computer in; tell the host the name that you use",
            ),
            Self::Retrying { after, attempt } => write!(
                f,
                "trying again in {:.1} s (attempt {attempt})",
                after.as_secs_f64()
            ),
            Self::RelayRestarting { back_in } => write!(
                f,
                "the relay restarts and expects to be back in {:.1} s",
                back_in.as_secs_f64()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_names_the_room_and_says_when_it_is_a_return() {
        let joined = |again| {
            let status = Status::Joined {
                room: "PARTY",
                peer: 7,
                tap_mtu: 1_344,
                again,
            };
            status.to_string()
        };
        assert_eq!(
            joined(false),
            "joined room PARTY as peer 7; adapter MTU 1344"
        );
        assert_eq!(
            joined(true),
            "joined room PARTY again as peer 7; adapter MTU 1344"
        );
    }

    #[test]
    fn waits_are_told_to_a_tenth_of_a_second() {
        let retrying = Status::Retrying {
            after: Duration::from_millis(1_549),
            attempt: 3,
        };
        assert_eq!(retrying.to_string(), "trying again in 1.5 s (attempt 3)");
    }
}
