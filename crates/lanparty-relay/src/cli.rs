//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lanparty_l2::buckets::{BucketLimits, Rate};
use lanparty_net::ListenAddress;
use lanparty_proto::mtu;
use lanparty_relay_core::{Limits, gateway_budgets};
use lanparty_transport::reactor::BusyPoll;
use lanparty_transport::{Congestion, PrefixLimits, QueueLimits, TransportLimits};

/// Connects the players and the gateway of LAN parties.
///
/// Run it on a host with a public address. Rooms without a key, which --rooms
/// may forbid, are open to whoever knows their name, and this relay can read
/// what crosses them.
#[derive(Debug, Parser)]
#[command(
    name = "lanparty-relay",
    version,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the rooms of the relay that runs on this machine.
    Rooms(Rooms),
    /// Show the hash of this relay's key, for --relay-pin: one line, and
    /// another where a next key is prepared.
    Pin(PinArgs),
    /// Replace the relay's own key in two steps, so that members who know both
    /// pins do not notice.
    RotateIdentity(RotateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PinArgs {
    /// Show the hash of this certificate's key instead.
    #[arg(long, value_name = "FILE.pem", env = "LANPARTY_RELAY_TLS_CERT")]
    pub(crate) tls_cert: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// Make the key that was prepared before the present one.
    #[arg(long)]
    pub(crate) switch: bool,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, Args)]
pub(crate) struct Rooms {
    /// Print JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, Args)]
pub(crate) struct State {
    /// Where keys are kept; only this user may read it. Default:
    /// /var/lib/softlan-vpn/relay for root, else ~/.local/state/softlan-vpn/relay.
    #[arg(long, value_name = "DIRECTORY", env = "LANPARTY_RELAY_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// UDP port or address to listen on: 443/udp takes IPv4 and IPv6.
    #[arg(
        long,
        value_name = "PORT/udp|ADDRESS:PORT",
        default_value = "443/udp",
        env = "LANPARTY_RELAY_LISTEN"
    )]
    pub(crate) listen: ListenAddress,
    #[command(flatten)]
    pub(crate) state: State,
    /// Write the certificate here, for members to name with --relay-ca-cert.
    #[arg(long, value_name = "FILE.der", env = "LANPARTY_RELAY_DEV_CERT_DER_OUT")]
    pub(crate) dev_cert_der_out: Option<PathBuf>,
    /// Certificate chain to present instead of the relay's own; read again
    /// when it changes.
    #[arg(
        long,
        value_name = "FILE.pem",
        requires = "tls_key",
        conflicts_with = "dev_cert_der_out",
        env = "LANPARTY_RELAY_TLS_CERT"
    )]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key of that certificate; only this user may read it.
    #[arg(
        long,
        value_name = "FILE.pem",
        requires = "tls_cert",
        env = "LANPARTY_RELAY_TLS_KEY"
    )]
    pub(crate) tls_key: Option<PathBuf>,
    /// Which rooms may be opened.
    #[arg(long, value_enum, default_value_t, env = "LANPARTY_RELAY_ROOMS")]
    pub(crate) rooms: RoomsChoice,
    /// The tokens of `--rooms token`, one a line; only this user may read it.
    #[arg(
        long,
        value_name = "FILE",
        required_if_eq("rooms", "token"),
        env = "LANPARTY_RELAY_ROOM_TOKENS"
    )]
    pub(crate) room_tokens: Option<PathBuf>,
    /// How long to look for traffic before sleeping: less latency for more of
    /// a processor. MICROSECONDS is up to 100000.
    #[arg(
        long,
        value_name = "auto|off|MICROSECONDS",
        default_value_t,
        env = "LANPARTY_BUSY_POLL"
    )]
    pub(crate) busy_poll: BusyPoll,
    /// How to share the line with others: delay keeps the queue before a slow
    /// line short; cubic and bbr fill it, and are for comparison.
    #[arg(
        long,
        value_name = "delay|cubic|bbr",
        default_value_t,
        env = "LANPARTY_CONGESTION"
    )]
    pub(crate) congestion: Congestion,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t, env = "LANPARTY_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoomsChoice {
    /// Rooms with and without a key, by anybody.
    #[default]
    Open,
    /// Rooms with a key, by anybody.
    Keyed,
    /// Rooms with and without a key, by gateways that have a token of yours.
    Token,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Rooms at one time.
    #[arg(long, value_name = "N", env = "LANPARTY_RELAY_MAX_ROOMS",
        default_value_t = Limits::default().max_rooms, value_parser = positive)]
    max_rooms: usize,
    /// Players in one room, beside its gateway.
    #[arg(long, value_name = "N", env = "LANPARTY_RELAY_MAX_PEERS_PER_ROOM",
        default_value_t = Limits::default().max_players_per_room, value_parser = positive)]
    max_peers_per_room: usize,
    /// MTU of the members' adapters.
    #[arg(long, value_name = "BYTES", env = "LANPARTY_RELAY_TAP_MTU",
        default_value_t = mtu::DEFAULT_TAP_MTU,
        value_parser = clap::value_parser!(u16)
            .range(i64::from(mtu::MIN_TAP_MTU)..=i64::from(mtu::MAX_TAP_MTU)))]
    tap_mtu: u16,
    /// Broadcast and multicast frames that one player may send each second;
    /// twice as many at once.
    #[arg(long, value_name = "FRAMES/S", env = "LANPARTY_RELAY_PLAYER_FLOOD",
        default_value_t = Limits::default().player.flood.per_second,
        value_parser = clap::value_parser!(u64).range(1..=MAX_RATE))]
    player_flood: u64,
    /// Frames to addresses that nobody has shown, likewise.
    #[arg(long, value_name = "FRAMES/S", env = "LANPARTY_RELAY_PLAYER_UNKNOWN_UNICAST",
        default_value_t = Limits::default().player.unknown_unicast.per_second,
        value_parser = clap::value_parser!(u64).range(1..=MAX_RATE))]
    player_unknown_unicast: u64,
    /// What one player may send, in Mbit/s; each copy to another member counts.
    #[arg(long, value_name = "MBIT/S", env = "LANPARTY_RELAY_PLAYER_BANDWIDTH",
        default_value_t = Limits::default().player.bytes.per_second / BYTES_PER_MBIT,
        value_parser = clap::value_parser!(u64).range(1..=MAX_RATE))]
    player_bandwidth: u64,
    /// Broadcast and multicast frames that one LAN may send each second;
    /// twice as many at once.
    #[arg(long, value_name = "FRAMES/S", env = "LANPARTY_RELAY_LAN_FLOOD",
        default_value_t = Limits::default().gateway.flood.per_second,
        value_parser = clap::value_parser!(u64).range(1..=MAX_RATE))]
    lan_flood: u64,
    /// Rooms at one time that were opened from one IPv4 address or IPv6 /64;
    /// twice as many from a /56, four times as many from a /48.
    #[arg(long, value_name = "N", env = "LANPARTY_RELAY_MAX_ROOMS_PER_ADDRESS",
        default_value_t = Limits::default().max_rooms_per_prefix, value_parser = positive)]
    max_rooms_per_address: usize,
    /// Connections at one time, in every state.
    #[arg(long, value_name = "N", env = "LANPARTY_RELAY_MAX_CONNECTIONS",
        default_value_t = TransportLimits::default().max_connections, value_parser = positive)]
    max_connections: usize,
    /// Connections from one address or network, as for rooms. A party behind
    /// one router must fit.
    #[arg(long, value_name = "N", env = "LANPARTY_RELAY_MAX_CONNECTIONS_PER_ADDRESS",
        default_value_t = TransportLimits::default().connections_by_prefix.address,
        value_parser = clap::value_parser!(u32).range(1..))]
    max_connections_per_address: u32,
    /// Handshakes begun each second; above it new ones are ignored.
    #[arg(long, value_name = "N/S", env = "LANPARTY_RELAY_MAX_HANDSHAKES",
        default_value_t = TransportLimits::default().handshake_rate,
        value_parser = clap::value_parser!(u32).range(1..))]
    max_handshakes: u32,
    /// The same from one address or network, as for rooms.
    #[arg(long, value_name = "N/S", env = "LANPARTY_RELAY_MAX_HANDSHAKES_PER_ADDRESS",
        default_value_t = TransportLimits::default().handshake_rate_by_prefix.address,
        value_parser = clap::value_parser!(u32).range(1..))]
    max_handshakes_per_address: u32,
    /// Handshakes each second above which newcomers must first prove their
    /// address, which costs them a round trip; 0: always.
    #[arg(long, value_name = "N/S", env = "LANPARTY_RELAY_PROOF_ABOVE",
        default_value_t = TransportLimits::default().retry_rate)]
    proof_above: u32,
    /// Memory for frames that wait for one member, in KiB. More outlasts
    /// longer stalls of its line; less bounds the relay's memory.
    #[arg(long, value_name = "KIB", env = "LANPARTY_RELAY_MEMBER_QUEUE",
        default_value_t = QueueLimits::default().bytes / 1024,
        value_parser = queue_size)]
    member_queue: usize,
}

const BYTES_PER_MBIT: u64 = 1_000_000 / 8;
/// Above what any machine forwards.
const MAX_RATE: u64 = 10_000_000;

impl LimitArgs {
    pub(crate) fn limits(&self) -> Limits {
        let frames = |per_second: u64| Rate::new(per_second, 2 * per_second);
        let defaults = Limits::default();
        let bytes = self.player_bandwidth * BYTES_PER_MBIT;
        Limits {
            max_rooms: self.max_rooms,
            max_rooms_per_prefix: self.max_rooms_per_address,
            max_players_per_room: self.max_peers_per_room,
            tap_mtu: self.tap_mtu,
            player: BucketLimits {
                flood: frames(self.player_flood),
                unknown_unicast: frames(self.player_unknown_unicast),
                // The default's burst is 32 ms of its rate.
                bytes: Rate::new(bytes, (bytes / 31).max(MIN_BURST)),
                ..defaults.player
            },
            gateway: gateway_budgets(frames(self.lan_flood)),
            ..defaults
        }
    }
}

impl LimitArgs {
    pub(crate) fn transport(&self) -> TransportLimits {
        TransportLimits {
            max_connections: self.max_connections,
            connections_by_prefix: PrefixLimits::widening(self.max_connections_per_address),
            handshake_rate: self.max_handshakes,
            handshake_rate_by_prefix: PrefixLimits::widening(self.max_handshakes_per_address),
            retry_rate: self.proof_above,
            queue: QueueLimits {
                bytes: self.member_queue * 1024,
                ..QueueLimits::default()
            },
            ..TransportLimits::default()
        }
    }
}

/// A full frame to each member of a full room.
const MIN_BURST: u64 = 100_000;
/// A handful of frames.
const MIN_QUEUE_KIB: usize = 16;
const MAX_QUEUE_KIB: usize = 64 * 1024;

fn queue_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(kib) if (MIN_QUEUE_KIB..=MAX_QUEUE_KIB).contains(&kib) => Ok(kib),
        Ok(_) | Err(_) => Err(format!(
            "a number from {MIN_QUEUE_KIB} to {MAX_QUEUE_KIB} is needed"
        )),
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        Ok(_) | Err(_) => Err("a whole number of at least 1 is needed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_documented_commands_parse() {
        for line in [
            "lanparty-relay",
            "lanparty-relay --listen 443/udp",
            "lanparty-relay --listen 127.0.0.1:4433 --dev-cert-der-out relay.der",
            "lanparty-relay --tls-cert chain.pem --tls-key key.pem",
            "lanparty-relay pin --tls-cert chain.pem",
            "lanparty-relay pin --state-dir /tmp/x",
            "lanparty-relay rotate-identity",
            "lanparty-relay rotate-identity --switch",
            "lanparty-relay --rooms keyed --proof-above 0",
            "lanparty-relay --rooms token --room-tokens tokens",
            "lanparty-relay rooms",
            "lanparty-relay rooms --json --state-dir /tmp/x",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn limits_that_are_not_named_stay_as_they_are() {
        let cli = parse("lanparty-relay --player-flood 7 --player-bandwidth 8").unwrap();
        let limits = cli.serve.limits.limits();
        assert_eq!(limits.player.flood, Rate::new(7, 14));
        assert_eq!(limits.player.bytes, Rate::new(1_000_000, 100_000));
        let defaults = Limits::default();
        assert_eq!(
            limits.player.unknown_unicast,
            defaults.player.unknown_unicast
        );
        assert_eq!(limits.gateway, defaults.gateway);
        assert_eq!(limits.max_rooms, defaults.max_rooms);
    }

    #[test]
    fn each_limit_of_the_transport_that_is_set_is_passed_on() {
        let line = "lanparty-relay --max-connections 1 --max-connections-per-address 2 \
            --max-handshakes 3 --max-handshakes-per-address 4 --proof-above 5 --member-queue 16";
        let limits = parse(line).unwrap().serve.limits.transport();
        assert_eq!(limits.max_connections, 1);
        assert_eq!(limits.connections_by_prefix, PrefixLimits::widening(2));
        assert_eq!(limits.handshake_rate, 3);
        assert_eq!(limits.handshake_rate_by_prefix, PrefixLimits::widening(4));
        assert_eq!(limits.retry_rate, 5);
        assert_eq!(limits.queue.bytes, 16_384);
        let defaults = parse("lanparty-relay").unwrap().serve.limits.transport();
        assert_eq!(
            format!("{defaults:?}"),
            format!("{:?}", TransportLimits::default())
        );
    }

    #[test]
    fn what_cannot_work_is_refused_before_anything_starts() {
        for line in [
            "lanparty-relay --listen 443/tcp",
            "lanparty-relay --listen relay.example:443",
            "lanparty-relay --tls-cert chain.pem",
            "lanparty-relay --tls-key key.pem",
            "lanparty-relay --tls-cert a --tls-key b --dev-cert-der-out c",
            "lanparty-relay --max-rooms 0",
            "lanparty-relay --rooms token",
            "lanparty-relay --rooms closed",
            "lanparty-relay --max-connections-per-address 0",
            "lanparty-relay --member-queue 1",
            "lanparty-relay --tap-mtu 1279",
            "lanparty-relay --tap-mtu 1501",
            "lanparty-relay --player-flood 0",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
