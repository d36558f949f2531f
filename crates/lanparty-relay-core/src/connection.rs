//! One QUIC connection as the core sees it, before and after its join.

use std::net::SocketAddr;
use std::time::Instant;

use lanparty_ctrl::{CloseCode, Decoder, Incoming, Message, Role, RoomId};
use lanparty_proto::PeerId;

use crate::limits::Limits;
use crate::rate::Allowance;

/// The driver's number for a connection; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conn(pub u64);

/// SHA-256 of the SPKI of the certificate that a member proved to hold.
pub(crate) type Identity = [u8; 32];

/// Whose peer id it is: one person's gateway and player are two members, even
/// where they share an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) identity: Identity,
    pub(crate) role: Role,
}

/// What the handshake of a new connection showed.
#[derive(Clone, Copy, Debug)]
pub struct NewConnection {
    pub conn: Conn,
    /// With IPv4-mapped addresses turned into IPv4 ones.
    pub remote: SocketAddr,
    /// SHA-256 of the SPKI of the member's TLS certificate.
    pub identity: [u8; 32],
    /// The TLS exporter value of the connection, to which proofs are bound.
    pub exporter: [u8; 32],
}

/// A connection that the core has not closed.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) remote: SocketAddr,
    pub(crate) identity: Identity,
    pub(crate) exporter: [u8; 32],
    pub(crate) decoder: Decoder,
    pub(crate) messages: Allowance,
    /// Sealed messages count apart: they come in bursts.
    pub(crate) sealed: Allowance,
    /// When the control frame that is being received began.
    pub(crate) frame_since: Option<Instant>,
    pub(crate) phase: Phase,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// Has not said Hello.
    Greeting { until: Instant },
    /// Is a member of a room.
    Joined(Seat),
    /// Was told why it must go, and has until then to hear it.
    Leaving {
        until: Instant,
        code: CloseCode,
        message: String,
    },
}

/// Where a joined connection sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) room: RoomId,
    pub(crate) peer: PeerId,
}

impl Connection {
    pub(crate) fn new(new: &NewConnection, limits: &Limits, now: Instant) -> Self {
        Self {
            remote: new.remote,
            identity: new.identity,
            exporter: new.exporter,
            decoder: Decoder::new(),
            messages: Allowance::full(limits.control_burst, now),
            sealed: Allowance::full(limits.sealed_burst, now),
            frame_since: None,
            phase: Phase::Greeting {
                until: now + limits.hello_deadline,
            },
        }
    }

    /// Charges a message to the right allowance; false where it is spent.
    pub(crate) fn may_say(&mut self, incoming: &Incoming, limits: &Limits, now: Instant) -> bool {
        if matches!(incoming, Incoming::Message(Message::Sealed(_))) {
            self.sealed
                .take(limits.sealed_burst, limits.sealed_every, now)
        } else {
            self.messages
                .take(limits.control_burst, limits.control_every, now)
        }
    }

    pub(crate) const fn seat(&self) -> Option<Seat> {
        match self.phase {
            Phase::Joined(seat) => Some(seat),
            Phase::Greeting { .. } | Phase::Leaving { .. } => None,
        }
    }

    /// When this connection must be looked at again if nothing comes.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let frame = self.frame_since.map(|since| since + limits.frame_deadline);
        match self.phase {
            Phase::Greeting { until } => Some(frame.map_or(until, |frame| frame.min(until))),
            Phase::Joined(_) => frame,
            Phase::Leaving { until, .. } => Some(until),
        }
    }
}
