//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lanparty_ctrl::{BoundedVec, ExtraEtherType, Ipv6Policy, RoomPolicy, VlanId};
use lanparty_member_cli::{MemberArgs, Task};

/// Puts the players of a room onto the LAN that this computer is wired to.
///
/// With --new-room the room has a key: only who gets the invite can join, and
/// the relay cannot read what crosses it. A room without a key is open to
/// whoever knows its name, and the relay can read along.
#[derive(Debug, Parser)]
#[command(
    name = "lanparty-gateway",
    version,
    after_help = "Exit codes: 0 done, 2 usage, 3 room code, 4 certificate, 5 network interface, \
                  7 missing capability, 8 relay unreachable, 9 version mismatch, 10 rejected, \
                  11 state directory, 1 anything else."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) task: Task<Command, Run>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the invite for the players again.
    Invite(InviteArgs),
    /// List who is in the room, who waits, and who is banned.
    Peers(PeersArgs),
    /// Put somebody out of the room; they may come back.
    Kick(WhoArgs),
    /// Put somebody out of the room, and keep their identity out.
    Ban(WhoArgs),
    /// Let a banned identity in again.
    Unban(WhoArgs),
    /// Let somebody in who waits for approval.
    Approve(WhoArgs),
    /// Turn somebody away who waits for approval.
    Deny(WhoArgs),
    /// Let newcomers wait for your approval, or not.
    Approval(ApprovalArgs),
    /// Make a new key for the gateway's room. Its members move along; whoever
    /// is not in the room needs the new invite.
    RotateKey(State),
    /// Show how the gateway that runs on this computer is doing.
    Status(StatusArgs),
    /// Take back what a gateway that was killed left on this computer.
    Cleanup(State),
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    #[command(flatten)]
    pub(crate) qr: QrArgs,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct QrArgs {
    /// Show the invite as a QR code too, also where no terminal is.
    #[arg(long, conflicts_with = "no_qr", env = "LANPARTY_QR")]
    pub(crate) qr: bool,
    /// Show the invite as text only.
    #[arg(long, env = "LANPARTY_NO_QR")]
    pub(crate) no_qr: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PeersArgs {
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, Args)]
pub(crate) struct WhoArgs {
    /// The peer's number, its name, or the first eight digits or more of its
    /// identity, as `peers` shows them.
    #[arg(value_name = "PEER|NAME|IDENTITY")]
    pub(crate) who: String,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, Args)]
pub(crate) struct ApprovalArgs {
    /// `on`: newcomers wait; who is in the room may stay. `off`: they do not.
    #[arg(value_enum)]
    pub(crate) required: Switch,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Debug, Args)]
pub(crate) struct State {
    /// Where the gateway's identity is kept; only this user may read it.
    /// Default: /var/lib/softlan-vpn/gateway for root, else
    /// ~/.local/state/softlan-vpn/gateway.
    #[arg(long, value_name = "DIRECTORY", env = "LANPARTY_GATEWAY_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) member: MemberArgs,
    /// Make a room with a key of its own, named by --room or at random, and
    /// keep it; with the room kept already, join it.
    #[arg(long, env = "LANPARTY_NEW_ROOM")]
    pub(crate) new_room: bool,
    /// Make a new key for the room before joining it; nobody's invite is valid
    /// any more.
    #[arg(long, env = "LANPARTY_ROTATE_KEY")]
    pub(crate) rotate_key: bool,
    /// Let newcomers wait until you approve them, from now on.
    #[arg(long, env = "LANPARTY_REQUIRE_APPROVAL")]
    pub(crate) require_approval: bool,
    /// The file with the token by which the relay's operator lets you open
    /// rooms, where one is needed.
    #[arg(long, value_name = "FILE", env = "LANPARTY_CREATE_TOKEN_FILE")]
    pub(crate) create_token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) qr: QrArgs,
    /// The wired interface, or the bridge, that leads to the party's switch.
    #[arg(long, value_name = "INTERFACE", env = "LANPARTY_IFACE")]
    pub(crate) iface: String,
    /// Hand every frame to the system alone, none joined; much slower, for
    /// captures on the interface and for drivers that cut them wrongly.
    #[arg(long, env = "LANPARTY_NO_OFFLOAD")]
    pub(crate) no_offload: bool,
    /// Seconds between two frames that remind the switch of a player; for
    /// switches that forget faster than within two minutes.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "LANPARTY_CAM_REFRESH",
        default_value_t = 60,
        value_parser = clap::value_parser!(u16).range(1..=3600)
    )]
    pub(crate) cam_refresh: u16,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) state: State,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t, env = "LANPARTY_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// What crosses beyond IPv4, IPv6, ARP, IPX and Wake-on-LAN.
#[derive(Debug, Args)]
#[command(next_help_heading = "What may cross")]
pub(crate) struct PolicyArgs {
    /// Let another protocol cross, for example 0x88b5. May be repeated.
    #[arg(
        long = "allow-ethertype",
        value_name = "ETHERTYPE",
        env = "LANPARTY_ALLOW_ETHERTYPE",
        value_delimiter = ',',
        value_parser = ether_type
    )]
    ether_types: Vec<ExtraEtherType>,
    /// Let tagged frames of this VLAN reach the players. May be repeated.
    #[arg(
        long = "allow-vlan",
        value_name = "VLAN",
        env = "LANPARTY_ALLOW_VLAN",
        value_delimiter = ',',
        value_parser = vlan
    )]
    vlans: Vec<VlanId>,
    /// Whether players get IPv6 addresses of the LAN.
    #[arg(long, value_enum, default_value_t, env = "LANPARTY_IPV6")]
    ipv6: Ipv6,
    /// Confine players to this LAN address. May be repeated.
    #[arg(
        long = "allow-host",
        value_name = "ADDRESS",
        env = "LANPARTY_ALLOW_HOST",
        value_delimiter = ','
    )]
    allow_hosts: Vec<IpAddr>,
    /// Keep players off the LAN's router: no way into the internet or to
    /// other networks.
    #[arg(long, env = "LANPARTY_PARTY_SUBNET_ONLY")]
    party_subnet_only: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Ipv6 {
    /// Link-local addresses only.
    #[default]
    Off,
    /// The LAN's prefixes, never a default route.
    Lan,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl PolicyArgs {
    /// # Errors
    /// A sentence, where a list is longer than a room's policy may be.
    pub(crate) fn room_policy(&self) -> Result<RoomPolicy, String> {
        fn list<T: Clone, const N: usize>(
            flag: &str,
            items: &[T],
        ) -> Result<BoundedVec<T, N>, String> {
            BoundedVec::try_from(items.to_vec()).map_err(|error| format!("{flag}: {error}"))
        }
        Ok(RoomPolicy {
            ether_types: list("--allow-ethertype", &self.ether_types)?,
            vlans: list("--allow-vlan", &self.vlans)?,
            ipv6: match self.ipv6 {
                Ipv6::Off => Ipv6Policy::Off,
                Ipv6::Lan => Ipv6Policy::Lan,
            },
            allow_hosts: list("--allow-host", &self.allow_hosts)?,
            party_subnet_only: self.party_subnet_only,
        })
    }
}

fn ether_type(text: &str) -> Result<ExtraEtherType, String> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u16::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let number = number.map_err(|_| "write an EtherType as 0x88b5".to_owned())?;
    ExtraEtherType::try_from(number).map_err(|error| error.to_string())
}

fn vlan(text: &str) -> Result<VlanId, String> {
    let number: u16 = text.parse().map_err(|_| "a VLAN is a number".to_owned())?;
    VlanId::try_from(number).map_err(|error| error.to_string())
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
            "lanparty-gateway --relay relay.example --room ROOM1 --iface eth0",
            "lanparty-gateway --relay relay.example --new-room --iface eth0 --require-approval",
            "lanparty-gateway invite --no-qr",
            "lanparty-gateway peers --json",
            "lanparty-gateway kick alice",
            "lanparty-gateway approval on --state-dir /tmp/x",
            "lanparty-gateway --relay 198.51.100.1:8443 --server-name lanparty-relay.local \
             --relay-ca-cert relay.der --room ROOM1 --iface eth0 --name host",
            "lanparty-gateway status --json --state-dir /tmp/x",
            "lanparty-gateway cleanup",
        ] {
            let parsed = parse(line);
            assert!(parsed.is_ok(), "{line}: {parsed:?}");
        }
    }

    #[test]
    fn the_hosts_choices_become_the_rooms_policy() {
        let cli = parse(
            "lanparty-gateway --relay r --room R --iface e --allow-ethertype 0x88b5 \
             --allow-ethertype 34997 --allow-vlan 12 --ipv6 lan --allow-host 10.0.0.1 \
             --party-subnet-only",
        );
        let Task::Main(run) = cli.unwrap().task else {
            panic!("no main work");
        };
        let policy = run.policy.room_policy().unwrap();
        let ether_types: Vec<u16> = policy.ether_types.iter().map(|e| e.get()).collect();
        assert_eq!(ether_types, [0x88B5, 0x88B5]);
        assert_eq!(
            policy.vlans.iter().map(|v| v.get()).collect::<Vec<_>>(),
            [12]
        );
        assert_eq!(policy.ipv6, Ipv6Policy::Lan);
        assert_eq!(policy.allow_hosts[..], [IpAddr::from([10, 0, 0, 1])]);
        assert!(policy.party_subnet_only);
    }

    #[test]
    fn what_cannot_work_is_refused_before_anything_starts() {
        let base = "lanparty-gateway --relay r --room R --iface e";
        for extra in [
            "--allow-ethertype 0x0800",
            "--allow-ethertype x",
            "--allow-vlan 0",
            "--allow-vlan 4095",
            "--allow-host lan",
            "--relay-pin 00",
            "--relay-ca-cert a.der --relay-pin 00",
        ] {
            assert!(parse(&format!("{base} {extra}")).is_err(), "{extra}");
        }
        for line in [
            "lanparty-gateway",
            "lanparty-gateway --relay r --room R",
            "lanparty-gateway kick",
            "lanparty-gateway approval maybe",
            "lanparty-gateway invite --qr --no-qr",
            "lanparty-gateway --relay https://r --room R --iface e",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
