//! What becomes of a datagram, as data.

use lanparty_obs::DropReason;
use lanparty_proto::overlay::{self, Header};
use lanparty_proto::probe;

use crate::connection::Conn;

/// Bytes of a probe that the relay answers itself.
pub const ANSWER_LEN: usize = overlay::HEADER_LEN + probe::LEN;

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Send it as it is to each of these. Never empty, never the sender.
    Forward {
        targets: &'a [Conn],
        header: Header,
    },
    /// Send these bytes back to the sender: the answer to a probe of the path
    /// to the relay. Their source is the sender's own id, because the relay
    /// has none and no member can send as another.
    Answer {
        datagram: [u8; ANSWER_LEN],
        header: Header,
    },
    Drop(DropReason),
}

/// A decision whose targets are in the core's buffer.
#[derive(Debug)]
pub(crate) enum Verdict {
    Forward(Header),
    Answer(Header, [u8; ANSWER_LEN]),
}
