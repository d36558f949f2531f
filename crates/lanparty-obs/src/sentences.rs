//! What players and hosts read while a program runs, the same words in every
//! program.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::stats::AddressSource;

/// A change that a user notices. Names of rooms and members were checked when
/// they were decoded and hold no control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status<'a> {
    Dialling {
        relay: SocketAddr,
    },
    Joined {
        room: &'a str,
        peers: usize,
        gateway: bool,
    },
    /// The room has no key.
    OpenRoom {
        room: &'a str,
    },
    PeerJoined {
        name: &'a str,
    },
    PeerLeft {
        name: &'a str,
        /// A sentence of the close code.
        reason: &'a str,
    },
    GatewayJoined {
        name: &'a str,
    },
    GatewayLeft,
    RelayLost {
        cause: &'a str,
        retry_in: Duration,
    },
    RelayRestarting {
        retry_in: Duration,
    },
    Rejoined {
        after: Duration,
    },
    Address {
        address: &'a str,
        source: AddressSource,
    },
    Leaving,
}

impl fmt::Display for Status<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Dialling { relay } => write!(f, "connecting to the relay at {relay}"),
            Self::Joined {
                room,
                peers,
                gateway,
            } => {
                write!(f, "joined room {room}: ")?;
                match (peers, gateway) {
                    (0, _) => f.write_str("nobody else is here yet"),
                    (1, true) => f.write_str("the gateway is here"),
                    (1, false) => f.write_str("1 other player and no gateway"),
                    (n, true) => write!(f, "the gateway and {} more", n.saturating_sub(1)),
                    (n, false) => write!(f, "{n} other players and no gateway"),
                }
            }
            Self::OpenRoom { room } => write!(
                f,
                "room {room} is open: whoever knows its name can join, and the relay can read its traffic"
            ),
            Self::PeerJoined { name } => write!(f, "{name} joined"),
            Self::PeerLeft { name, reason } => write!(f, "{name} left: {reason}"),
            Self::GatewayJoined { name } => {
                write!(f, "the gateway {name} joined: the party's LAN is connected")
            }
            Self::GatewayLeft => f.write_str(
                "the gateway left: players still see each other, but not the party's LAN",
            ),
            Self::RelayLost { cause, retry_in } => write!(
                f,
                "lost the relay ({cause}); the adapter stays up, next attempt in {}",
                Seconds(retry_in)
            ),
            Self::RelayRestarting { retry_in } => write!(
                f,
                "the relay is restarting; the adapter stays up, reconnecting in {}",
                Seconds(retry_in)
            ),
            Self::Rejoined { after } => write!(f, "back in the room after {}", Seconds(after)),
            Self::Address { address, source } => {
                write!(f, "the adapter's address is {address}, ")?;
                f.write_str(match source {
                    AddressSource::Dhcp => "leased by the party's DHCP server",
                    AddressSource::Static => "as you asked",
                    AddressSource::LinkLocal => {
                        "chosen by this computer because nobody offered one"
                    }
                })
            }
            Self::Leaving => f.write_str("leaving the room"),
        }
    }
}

/// One digit after the point, which is as exact as a user cares.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_says_who_is_there() {
        for (peers, gateway, sentence) in [
            (0, false, "joined room R: nobody else is here yet"),
            (1, true, "joined room R: the gateway is here"),
            (1, false, "joined room R: 1 other player and no gateway"),
            (3, true, "joined room R: the gateway and 2 more"),
            (3, false, "joined room R: 3 other players and no gateway"),
        ] {
            let joined = Status::Joined {
                room: "R",
                peers,
                gateway,
            };
            assert_eq!(joined.to_string(), sentence);
        }
    }

    #[test]
    fn a_lost_relay_says_why_and_when_it_goes_on() {
        let lost = Status::RelayLost {
            cause: "no answer for 30 s",
            retry_in: Duration::from_millis(1_549),
        };
        assert_eq!(
            lost.to_string(),
            "lost the relay (no answer for 30 s); the adapter stays up, next attempt in 1.5 s"
        );
    }

    #[test]
    fn an_address_says_where_it_came_from() {
        let leased = Status::Address {
            address: "10.73.42.123/24",
            source: AddressSource::Dhcp,
        };
        assert!(
            leased
                .to_string()
                .ends_with("leased by the party's DHCP server")
        );
    }
}
