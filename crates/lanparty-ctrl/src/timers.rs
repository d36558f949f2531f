//! The deadlines and intervals that both sides of a connection rely on.

use std::time::Duration;

/// From the end of the handshake to the whole Hello.
pub const HELLO_DEADLINE: Duration = Duration::from_secs(5);
/// From the end of the handshake to Welcome or Reject.
pub const JOIN_DEADLINE: Duration = Duration::from_secs(10);
/// From the first byte of a control frame to its last.
pub const FRAME_DEADLINE: Duration = Duration::from_secs(2);
/// Between two Stats messages of a member.
pub const STATS_INTERVAL: Duration = Duration::from_secs(10);
/// How long the relay gives the peer id of a member that left to nobody but
/// that member, because others may still hold packets or keys of it.
pub const PEER_ID_QUARANTINE: Duration = Duration::from_secs(600);
/// A frame whose fragments have not all come by then is discarded.
pub const REASSEMBLY_TIMEOUT: Duration = Duration::from_millis(500);
