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
/// QUIC's `max_idle_timeout` on both sides; RFC 9308 section 3.2 asks for at
/// least 30 s where connections are kept alive through NATs.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Between keep-alive packets of a member; home routers forget idle UDP
/// bindings after as little as 30 s (RFC 4787 section 4.3 notes shorter ones).
pub const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long the relay keeps the peer id and MAC address of a member whose
/// connection ended without a Disconnect, for that identity only.
pub const PEER_ID_QUARANTINE: Duration = Duration::from_secs(600);
/// A frame whose fragments have not all come by then is discarded.
pub const REASSEMBLY_TIMEOUT: Duration = Duration::from_millis(500);
/// The shortest and the longest pause before a redial.
pub const REDIAL_MIN: Duration = Duration::from_millis(500);
pub const REDIAL_MAX: Duration = Duration::from_secs(30);
