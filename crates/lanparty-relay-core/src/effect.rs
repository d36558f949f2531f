//! What the core asks of its driver.

use bytes::Bytes;
use lanparty_ctrl::CloseCode;

use crate::Conn;

/// Popped from [`RelayCore::poll_effect`](crate::RelayCore::poll_effect) after
/// each input, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Append bytes to the connection's control stream.
    SendControl { conn: Conn, bytes: Bytes },
    /// Close the connection. The core has forgotten it already.
    Close {
        conn: Conn,
        code: CloseCode,
        message: String,
    },
}
