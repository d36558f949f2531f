//! Every tunable of the transport, with its default and the reason for it.

use std::time::Duration;

use lanparty_queue::QueueLimits;

use crate::congestion::Congestion;

/// Tunables of an endpoint and its connections.
#[derive(Clone, Debug)]
pub struct TransportLimits {
    /// Connections open at once, handshakes included.
    pub max_connections: usize,
    /// Handshakes in progress above which strangers' Initials are ignored.
    pub max_handshakes: usize,
    /// Handshakes in progress above which a source must prove its address by a
    /// Retry (RFC 9000 section 8.1.2).
    pub retry_above: usize,
    /// New handshakes a second from unproven addresses, above which they must
    /// prove them.
    pub retry_rate: u32,
    /// New handshakes a second from proven addresses. One costs the data
    /// thread some 150 microseconds of public-key operations; a whole party
    /// that comes back after a restart is well below.
    pub handshake_rate: u32,
    /// The same from one place.
    pub handshake_rate_by_prefix: PrefixLimits,
    /// Connections from one place. A party behind one NAT must fit.
    pub connections_by_prefix: PrefixLimits,
    /// A handshake that takes longer is given up: three probe timeouts of
    /// QUIC's initial 333 ms round trip and some.
    pub handshake_timeout: Duration,
    /// How long the place of a connection that is over stays taken. QUIC asks
    /// for three probe timeouts (RFC 9000 section 10.2), which whoever opens it
    /// can stretch at will; this is three of the initial one. What arrives
    /// later is answered with a stateless reset.
    pub farewell: Duration,
    /// The same after a handshake that failed: nobody is at the other end, or
    /// nobody who means well.
    pub failed_farewell: Duration,
    /// RFC 9308 section 3.2.
    pub idle_timeout: Duration,
    /// Only clients send keep-alives; UDP bindings of home routers may last
    /// just 30 s.
    pub keep_alive: Duration,
    /// Bytes of one control stream that may be under way to us.
    pub control_window: u32,
    /// Bytes waiting for a peer that reads its control stream slowly.
    pub control_buffer: usize,
    /// Datagrams of one packet, until they are taken out.
    pub datagram_receive_buffer: usize,
    pub queue: QueueLimits,
    pub congestion: Congestion,
    /// `SO_RCVBUF` and `SO_SNDBUF` to ask for: 20 ms at 1.6 Gbit/s.
    pub socket_buffer: usize,
    /// Longest ACK delay asked of the peer.
    pub max_ack_delay: Duration,
    /// UDP payload that path MTU discovery tries for on IPv4: 1500 less 28.
    pub max_mtu_v4: u16,
    /// The same on IPv6: 1500 less 48.
    pub max_mtu_v6: u16,
}

/// One limit for each size of place that an address is in. Whoever gets an
/// IPv6 line gets a /64 at least, mostly a /56; a site or a rented server
/// network has a /48.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixLimits {
    /// An IPv4 address or an IPv6 /64.
    pub address: u32,
    pub v6_56: u32,
    pub v6_48: u32,
}

impl PrefixLimits {
    /// Twice as much for a /56 and four times as much for a /48.
    #[must_use]
    pub const fn widening(address: u32) -> Self {
        Self {
            address,
            v6_56: address.saturating_mul(2),
            v6_48: address.saturating_mul(4),
        }
    }
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self {
            max_connections: 4_096,
            max_handshakes: 512,
            retry_above: 64,
            retry_rate: 200,
            handshake_rate: 1_000,
            handshake_rate_by_prefix: PrefixLimits::widening(100),
            connections_by_prefix: PrefixLimits::widening(256),
            handshake_timeout: Duration::from_secs(5),
            farewell: Duration::from_secs(3),
            failed_farewell: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(10),
            // The largest control message.
            control_window: 64 * 1024,
            control_buffer: 256 * 1024,
            datagram_receive_buffer: 256 * 1024,
            queue: QueueLimits::default(),
            congestion: Congestion::default(),
            socket_buffer: 4 * 1024 * 1024,
            max_ack_delay: Duration::from_millis(5),
            max_mtu_v4: 1_472,
            max_mtu_v6: 1_452,
        }
    }
}
