//! From [`TransportLimits`] to quinn-proto's configuration.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lanparty_congestion::Config;
use quinn_proto::{AckFrequencyConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

use crate::limits::TransportLimits;

/// QUIC's floor (RFC 9000 section 14); discovery goes up from here.
const INITIAL_MTU: u16 = 1_200;
/// A loss burst may trip quinn's black-hole detector, and then datagrams above
/// 1,200 bytes are refused; with its default of 60 s goodput fell to a quarter.
/// With the search of nine round trips the whole alarm costs less than a second.
const BLACK_HOLE_COOLDOWN: Duration = Duration::from_millis(250);
/// Discovery goes on until it knows the path's MTU to the byte: quinn's default
/// of 20 would stop at 1,421 on a DS-Lite path of 1,424, and every full frame
/// of a sealed room would need two datagrams.
const MTU_PRECISION: u16 = 1;
/// Ample for what [`crate::datagrams`] lets in at a time, so quinn itself never
/// has a reason to drop.
pub(crate) const DATAGRAM_SEND_BUFFER: usize = 1 << 20;
/// Ack-eliciting packets that the peer may receive before it must acknowledge;
/// [`TransportLimits::max_ack_delay`] bounds the time.
const ACK_THRESHOLD: u32 = 10;
/// Datagrams are never sent again, so nothing is gained by calling a packet
/// lost early, while each one that was only overtaken looks like congestion. A
/// line that reorders does it by whole batches of the sender's, 48 packets.
const PACKET_THRESHOLD: u32 = 256;
/// The same in round trips: what decides when the control stream repeats
/// itself, with a round trip of 40 ms 20 ms later than after RFC 9002's three
/// packets.
const TIME_THRESHOLD: f32 = 1.5;

/// Configurations for both address families, since their MTU differs.
#[derive(Clone, Debug)]
pub(crate) struct TransportConfigs {
    v4: Arc<TransportConfig>,
    v6: Arc<TransportConfig>,
}

impl TransportConfigs {
    pub(crate) fn new(limits: &TransportLimits, role: Role) -> Self {
        Self {
            v4: Arc::new(transport_config(limits, role, limits.max_mtu_v4)),
            v6: Arc::new(transport_config(limits, role, limits.max_mtu_v6)),
        }
    }

    pub(crate) fn for_remote(&self, remote: IpAddr) -> Arc<TransportConfig> {
        match remote {
            IpAddr::V4(_) => self.v4.clone(),
            IpAddr::V6(_) => self.v6.clone(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

fn transport_config(limits: &TransportLimits, role: Role, max_mtu: u16) -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery
        .upper_bound(max_mtu)
        .minimum_change(MTU_PRECISION)
        .black_hole_cooldown(BLACK_HOLE_COOLDOWN);
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_THRESHOLD))
        .max_ack_delay(Some(limits.max_ack_delay));
    let window = VarInt::from_u32(limits.control_window);

    let mut config = TransportConfig::default();
    config
        // The control stream and a spare, so that a peer's mistake is seen.
        .max_concurrent_bidi_streams(VarInt::from_u32(match role {
            Role::Server => 2,
            Role::Client => 0,
        }))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(window)
        .receive_window(VarInt::from_u32(limits.control_window.saturating_mul(2)))
        .send_window(u64::from(limits.control_window))
        .max_idle_timeout(IdleTimeout::try_from(limits.idle_timeout).ok())
        .keep_alive_interval((role == Role::Client).then_some(limits.keep_alive))
        .initial_mtu(INITIAL_MTU)
        .min_mtu(INITIAL_MTU)
        .mtu_discovery_config(Some(discovery))
        .ack_frequency_config(Some(acks))
        .datagram_receive_buffer_size(Some(limits.datagram_receive_buffer))
        .datagram_send_buffer_size(DATAGRAM_SEND_BUFFER)
        .packet_threshold(PACKET_THRESHOLD)
        .time_threshold(TIME_THRESHOLD)
        .congestion_controller_factory(limits.congestion.factory(Config {
            max_ack_delay: limits.max_ack_delay,
            ..Config::default()
        }));
    config
}
