//! Every number that an operator or a test may turn, in one place.

use std::collections::BTreeSet;
use std::time::Duration;

use lanparty_ctrl::timers;
use lanparty_l2::buckets::{BucketLimits, LAN_FLOOD_DEFAULT, Rate};
use lanparty_proto::mtu;

/// Which rooms may be opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RoomsPolicy {
    /// Rooms with and without a key, by anybody.
    #[default]
    Open,
    /// Rooms with a key, by anybody.
    Keyed,
    /// Rooms with and without a key, by whoever has one of the operator's
    /// tokens; their SHA-256 ([`lanparty_ctrl::CreateToken::digest`]). An open
    /// room is joined and reopened without one.
    Token(BTreeSet<[u8; 32]>),
}

/// Limits of one relay. Each is enforced by the core.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Rooms at one time. Chosen because 1,000 parties fill the uplink of any
    /// single host long before they fill its memory.
    pub max_rooms: usize,
    /// Rooms at one time that were opened from one IPv4 address or IPv6 /64;
    /// a /56 may have twice and a /48 four times as many. Chosen for a LAN
    /// centre with many parties behind one address.
    pub max_rooms_per_prefix: usize,
    /// A room through which no frame has gone for so long gives way when
    /// there is no place for a new one. Chosen because a party that goes on
    /// speaks: adapters announce themselves every few minutes.
    pub room_idle: Duration,
    /// Which rooms may be opened.
    pub rooms: RoomsPolicy,
    /// Failed joins that one IPv4 address or IPv6 /64 may make at once, and
    /// one more each `failed_joins_every`; at most 60 in its first hour and
    /// 30 in every later one. Chosen so that a household of players who came
    /// too early never notices.
    pub failed_joins: u32,
    pub failed_joins_every: Duration,
    /// The same for one room from everywhere. Only holders of its key, such
    /// as a member that was banned, can fail at a room that exists.
    pub failed_joins_per_room: u32,
    pub failed_joins_per_room_every: Duration,
    /// When a newcomer that waits for the host's word shall ask again.
    pub approval_retry: Duration,
    /// After so long the gateway is asked again about a newcomer.
    pub ask_again: Duration,
    /// Players in one room; the gateway has a seat of its own. Chosen because
    /// a broadcast of one is sent to all others.
    pub max_players_per_room: usize,
    /// Connections that have not joined. More are turned away, so that a
    /// flood of handshakes cannot occupy memory: each may hold one control
    /// message of 64 KiB. Chosen above what one address may open.
    pub max_unjoined: usize,
    /// From the handshake to a whole Hello. The core answers Hello at once, so
    /// the deadline of 10 s to be in holds by itself.
    pub hello_deadline: Duration,
    /// From the first byte of a control frame to its last.
    pub frame_deadline: Duration,
    /// How long a member that is told to go has to hear it.
    pub farewell: Duration,
    /// The IP MTU of every adapter in every room.
    pub tap_mtu: u16,
    /// How long a peer id waits for its owner before others may get it.
    pub id_quarantine: Duration,
    /// How long a resume token is good. Chosen to outlast a long weekend.
    pub resume_lifetime: Duration,
    /// Malformed datagrams that are forgiven at once; one more is forgiven
    /// each `malformed_every`. Chosen because QUIC delivers no corrupted
    /// datagrams, so even a few come from a broken or hostile program.
    pub malformed_burst: u32,
    pub malformed_every: Duration,
    /// Control messages taken at once, and one more each `control_every`. A
    /// member sends Stats each 10 s and little else.
    pub control_burst: u32,
    pub control_every: Duration,
    /// Sealed messages taken at once, and one more each `sealed_every`. A
    /// member of a full room sends one to everybody at each change of keys.
    pub sealed_burst: u32,
    pub sealed_every: Duration,
    /// Bytes of sealed messages from one member to another. Chosen so that
    /// one member's do not fill the 256 KB that wait for a slow reader, where
    /// each byte is two digits.
    pub sealed_bytes: Rate,
    /// Probes from one member to another, in each direction: at most 10 a
    /// second.
    pub probe_burst: u32,
    pub probe_every: Duration,
    /// How long frames still flow after a drain has begun, so that its notice
    /// can arrive. Chosen below `restart_earliest`.
    pub drain_notice: Duration,
    /// When members shall redial after a restart: the earliest, and the span
    /// over which their arrivals are spread.
    pub restart_earliest: Duration,
    pub restart_spread: Duration,
    /// How long they shall keep trying.
    pub restart_try_for: Duration,
    /// Budgets of a player. Each byte is charged as often as it is sent on.
    pub player: BucketLimits,
    /// Budgets of a gateway, which speaks for a whole LAN.
    pub gateway: BucketLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_rooms: 1_000,
            max_rooms_per_prefix: 16,
            room_idle: Duration::from_secs(6 * 3_600),
            rooms: RoomsPolicy::default(),
            failed_joins: 30,
            failed_joins_every: Duration::from_secs(120),
            failed_joins_per_room: 120,
            failed_joins_per_room_every: Duration::from_secs(30),
            approval_retry: Duration::from_secs(3),
            ask_again: Duration::from_secs(600),
            max_players_per_room: 64,
            max_unjoined: 1_024,
            hello_deadline: timers::HELLO_DEADLINE,
            frame_deadline: timers::FRAME_DEADLINE,
            farewell: Duration::from_millis(500),
            tap_mtu: mtu::DEFAULT_TAP_MTU,
            id_quarantine: timers::PEER_ID_QUARANTINE,
            resume_lifetime: Duration::from_secs(7 * 24 * 3_600),
            malformed_burst: 20,
            malformed_every: Duration::from_secs(30),
            control_burst: 50,
            control_every: Duration::from_millis(100),
            sealed_burst: 1_024,
            sealed_every: Duration::from_millis(20),
            sealed_bytes: Rate::new(4_096, 32_768),
            probe_burst: 10,
            probe_every: Duration::from_millis(100),
            drain_notice: Duration::from_millis(200),
            restart_earliest: Duration::from_millis(300),
            restart_spread: Duration::from_millis(1_200),
            restart_try_for: Duration::from_secs(60),
            player: BucketLimits::default(),
            gateway: gateway_budgets(LAN_FLOOD_DEFAULT),
        }
    }
}

/// What a gateway may send where its LAN may flood at this rate. DHCP answers
/// and membership queries are part of the flood; for bytes a LAN of 10 Gbit/s
/// is assumed, which only bounds what a hostile gateway can make the relay do.
#[must_use]
pub const fn gateway_budgets(flood: Rate) -> BucketLimits {
    BucketLimits {
        flood,
        membership: flood,
        dhcp: flood,
        unknown_unicast: flood,
        bytes: Rate::new(1_250_000_000, 16_000_000),
    }
}
