//! What the transport tells the program.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use lanparty_congestion::{Mode, Snapshot};
use lanparty_obs::drops::DropCounts;
use lanparty_obs::stats::LineStatus;

use crate::congestion::Congestion;

/// Names one connection for as long as the process lives; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub(crate) u64);

/// Bits of a [`ConnId`] that hold the connection's place in the table.
const PLACE_BITS: u32 = 24;

impl ConnId {
    pub(crate) const fn new(serial: u64, place: usize) -> Self {
        Self((serial << PLACE_BITS) | place as u64)
    }

    pub(crate) const fn place(self) -> usize {
        (self.0 & ((1 << PLACE_BITS) - 1)) as usize
    }

    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<ConnId> for u64 {
    fn from(id: ConnId) -> Self {
        id.0
    }
}

/// For drivers that hand the number to a core and get it back. A number that
/// names no open connection is ignored wherever it is used.
impl From<u64> for ConnId {
    fn from(raw: u64) -> Self {
        Self(raw)
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 >> PLACE_BITS, self.place())
    }
}

/// SHA-256 of the SubjectPublicKeyInfo of the certificate that the peer proved
/// possession of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub [u8; 32]);

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({self})")
    }
}

/// Something that happened on a connection. `Connected` comes first and
/// `Closed` last; a connection that never got through has `Closed` alone.
#[derive(Debug)]
pub enum Event {
    Connected {
        conn: ConnId,
        /// IPv4 addresses are never shown in their IPv6-mapped form.
        remote: SocketAddr,
        identity: Identity,
        /// TLS exporter output (RFC 5705) under [`lanparty_proto::tls::EXPORTER_LABEL`],
        /// equal on both sides of this connection and no other.
        exporter: [u8; 32],
    },
    /// Bytes of the control stream, in order.
    Control { conn: ConnId, bytes: Bytes },
    /// One datagram; a slice of the receive buffer.
    Datagram { conn: ConnId, bytes: Bytes },
    Closed {
        conn: ConnId,
        reason: CloseReason,
        /// The last figures, since the connection can no longer be asked.
        stats: Box<ConnStats>,
    },
}

impl Event {
    /// The connection that it happened on.
    #[must_use]
    pub const fn conn(&self) -> ConnId {
        match self {
            Self::Connected { conn, .. }
            | Self::Control { conn, .. }
            | Self::Datagram { conn, .. }
            | Self::Closed { conn, .. } => *conn,
        }
    }
}

/// Why a connection ended or never came to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The other program closed it with a code of `lanparty-ctrl`.
    #[error("closed by the other side with code {code}: {message:?}")]
    Application { code: u64, message: String },
    /// This program closed it.
    #[error("closed by this program")]
    Local,
    /// No answer during the handshake.
    #[error("no answer: the relay is unreachable, or a firewall blocks UDP to it")]
    Unreachable,
    /// An established connection fell silent.
    #[error("the other side has not been heard of for too long")]
    TimedOut,
    /// The other side does not know this connection any more: it restarted.
    #[error("the other side restarted")]
    Reset,
    /// The other side is full or is limiting new connections.
    #[error("the other side is not taking new connections now")]
    Refused,
    /// No protocol version in common: QUIC itself or the ALPN.
    #[error("the two sides speak different versions; update the older one")]
    VersionMismatch,
    /// This program did not trust the other's certificate.
    #[error(transparent)]
    Untrusted(#[from] TrustFailure),
    /// The other side did not accept this program's certificate.
    #[error("the other side did not accept this program's certificate: {0}")]
    CertificateRefused(String),
    /// Another failure of TLS.
    #[error("the encrypted handshake failed: {0}")]
    Tls(String),
    /// The other side broke QUIC, or the use that we make of it.
    #[error("protocol violation: {0}")]
    Protocol(String),
}

impl CloseReason {
    /// True where trying again without a change cannot succeed.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::VersionMismatch | Self::Untrusted(_) | Self::CertificateRefused(_)
        )
    }
}

/// Why the relay's certificate was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustFailure {
    #[error(
        "the relay's key is not the one that was pinned; if its operator replaced the key, get a new invite"
    )]
    Pin,
    #[error(
        "the relay's certificate is not for the name it was asked for; check --server-name and the relay's address"
    )]
    Name,
    #[error("the relay's certificate is not signed by a trusted authority; check --relay-ca-cert")]
    Issuer,
    #[error("the relay's certificate has expired or is not valid yet; check both clocks")]
    Validity,
    #[error("the relay's certificate cannot be used: {0}")]
    Other(String),
}

/// Figures of one connection.
#[derive(Clone, Debug, Default)]
pub struct ConnStats {
    /// Smoothed round-trip time to the other end of this connection.
    pub rtt: Duration,
    pub datagrams_in: u64,
    pub datagrams_out: u64,
    /// UDP payload bytes, QUIC's own included.
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub packets_lost: u64,
    /// Bytes waiting in our queue, with its overhead.
    pub queue_bytes: usize,
    pub queue_len: usize,
    pub congestion: Congestion,
    pub congestion_window: u64,
    /// What our congestion controller thinks of the way to the other end;
    /// `None` under one of quinn's.
    pub regulation: Option<Snapshot>,
    /// Bytes a second at which datagrams leave; `None` where the window alone
    /// decides.
    pub rate: Option<u64>,
    /// The path's UDP payload size.
    pub mtu: u16,
    /// What fits one datagram now.
    pub max_datagram: Option<usize>,
    pub black_holes: u64,
    pub drops: DropCounts,
}

impl ConnStats {
    /// What of this concerns the line to the other end, for status reports.
    #[must_use]
    pub fn line(&self) -> LineStatus {
        let mode = self.regulation.map(|regulation| match regulation.mode {
            Mode::Startup => "startup",
            Mode::Steady => "steady",
            Mode::Competing => "competing",
        });
        let delay = self
            .regulation
            .and_then(|regulation| regulation.queue_delay);
        LineStatus {
            congestion: match mode {
                Some(mode) => format!("{}, {mode}", self.congestion),
                None => self.congestion.to_string(),
            },
            queue_us: delay.map(|delay| u64::try_from(delay.as_micros()).unwrap_or(u64::MAX)),
            rate_kbit: self.rate.map(|rate| rate / 125),
        }
    }
}
