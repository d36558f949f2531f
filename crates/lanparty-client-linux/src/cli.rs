//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::dhcp::Kind;

/// Joins a LAN party over the internet as if this computer were plugged in
/// there.
#[derive(Debug, Parser)]
#[command(
    name = "lanparty-client",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Exit codes: 0 done, 2 usage, 3 room or address, 4 certificate, 5 network adapter, \
                  7 missing capability, 8 relay unreachable, 9 version mismatch, 10 rejected, \
                  11 state directory, 1 anything else."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) join: Option<JoinArgs>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what the running client sees.
    Status {
        #[command(flatten)]
        state: StateArgs,
        /// One JSON object instead of sentences.
        #[arg(long)]
        json: bool,
    },
    /// Undo what a crashed client left on this computer.
    Cleanup {
        #[command(flatten)]
        state: StateArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct StateArgs {
    /// Where identity, journal and status socket are kept.
    #[arg(long, value_name = "DIR", env = "LANPARTY_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The relay: a name or address, with a port unless it is 443.
    #[arg(long, value_name = "HOST[:PORT]", env = "LANPARTY_RELAY")]
    pub(crate) relay: String,
    /// The room's code, as the party host gave it.
    #[arg(long, value_name = "CODE", env = "LANPARTY_ROOM")]
    pub(crate) room: String,
    /// The name in the relay's certificate, where it is not the one in --relay.
    #[arg(long, value_name = "NAME", env = "LANPARTY_SERVER_NAME")]
    pub(crate) server_name: Option<String>,
    /// Trust this certificate (DER) instead of the system's authorities.
    #[arg(
        long,
        value_name = "FILE.der",
        env = "LANPARTY_RELAY_CA_CERT",
        conflicts_with = "relay_pin"
    )]
    pub(crate) relay_ca_cert: Option<PathBuf>,
    /// Trust only the relay whose key has this SHA-256 hash (64 hex digits).
    #[arg(long, value_name = "SHA256", env = "LANPARTY_RELAY_PIN")]
    pub(crate) relay_pin: Option<String>,
    /// The adapter's MAC address instead of the one made at the first start.
    #[arg(long, value_name = "MAC", env = "LANPARTY_VIRTUAL_MAC")]
    pub(crate) virtual_mac: Option<String>,
    /// The adapter's name.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "lanparty0",
        env = "LANPARTY_TAP_NAME"
    )]
    pub(crate) tap_name: String,
    /// Use this address instead of asking the party's DHCP server.
    #[arg(long, value_name = "ADDRESS/LENGTH", env = "LANPARTY_IP")]
    pub(crate) ip: Option<String>,
    /// Ask no DHCP server; without --ip, configure no address at all.
    #[arg(long, env = "LANPARTY_NO_DHCP")]
    pub(crate) no_dhcp: bool,
    /// Which of the installed DHCP clients to use.
    #[arg(
        long,
        value_enum,
        value_name = "PROGRAM",
        default_value_t = DhcpClientChoice::Auto,
        env = "LANPARTY_DHCP_CLIENT"
    )]
    pub(crate) dhcp_client: DhcpClientChoice,
    /// What the others in the room see.
    #[arg(long, value_name = "TEXT", env = "LANPARTY_NAME")]
    pub(crate) name: Option<String>,
    /// The file with this player's secret and MAC address.
    #[arg(long, value_name = "FILE", env = "LANPARTY_IDENTITY")]
    pub(crate) identity: Option<PathBuf>,
    /// Print a JSON snapshot every second instead of sentences.
    #[arg(long)]
    pub(crate) status_json: bool,
    /// Where programs can ask for a JSON snapshot; in the state directory
    /// unless given.
    #[arg(long, value_name = "PATH", env = "LANPARTY_STATUS_SOCKET")]
    pub(crate) status_socket: Option<PathBuf>,
    // Not `StateArgs`: clap takes an optional group with another one inside
    // for absent.
    /// Where identity, journal and status socket are kept.
    #[arg(long, value_name = "DIR", env = "LANPARTY_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DhcpClientChoice {
    /// The first of the others that is installed.
    Auto,
    Udhcpc,
    Dhcpcd,
    Dhclient,
}

impl DhcpClientChoice {
    pub(crate) const fn kind(self) -> Option<Kind> {
        match self {
            Self::Auto => None,
            Self::Udhcpc => Some(Kind::Udhcpc),
            Self::Dhcpcd => Some(Kind::Dhcpcd),
            Self::Dhclient => Some(Kind::Dhclient),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_missions_command_is_understood() {
        let line = "lanparty-client --relay r.example --server-name lanparty-relay.local \
                    --relay-ca-cert ca.der --room ROOM1 --virtual-mac 02:00:5e:10:00:01";
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        let join = cli.join.unwrap();
        assert_eq!(join.relay, "r.example");
        assert_eq!(join.tap_name, "lanparty0");
    }

    #[test]
    fn a_relay_and_a_room_are_required_only_for_joining() {
        assert!(Cli::try_parse_from(["lanparty-client"]).is_err());
        assert!(Cli::try_parse_from(["lanparty-client", "--relay", "r"]).is_err());
        let cli = Cli::try_parse_from(["lanparty-client", "cleanup"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Cleanup { .. })));
    }
}
