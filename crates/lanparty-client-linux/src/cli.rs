//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use lanparty_member_cli::Task;
use lanparty_player::cli::{PlayerArgs, StateArgs};

use crate::dhcp::Kind;

/// Joins a LAN party over the internet as if this computer were plugged in
/// there.
#[derive(Debug, Parser)]
#[command(
    name = "lanparty-client",
    version,
    after_help = "Exit codes: 0 done, 2 usage, 3 room or address, 4 certificate, 5 network adapter, \
                  7 missing capability, 8 relay unreachable, 9 version mismatch, 10 rejected, \
                  11 state directory, 1 anything else."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) task: Task<Command, JoinArgs>,
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
pub(crate) struct JoinArgs {
    #[command(flatten)]
    pub(crate) player: PlayerArgs,
    /// The adapter's name.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "lanparty0",
        env = "LANPARTY_TAP_NAME"
    )]
    pub(crate) tap_name: String,
    /// Exchange every frame with the system alone, none joined; much slower,
    /// for captures on the adapter and for suspicious kernels.
    #[arg(long, env = "LANPARTY_NO_OFFLOAD")]
    pub(crate) no_offload: bool,
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
        let Task::Main(join) = cli.task else {
            panic!("no main work");
        };
        let place = join.player.member.place().unwrap_err();
        assert!(place.to_string().contains("ca.der"), "{place}");
        assert_eq!(join.tap_name, "lanparty0");
    }

    #[test]
    fn a_relay_or_an_invite_is_required_only_for_joining() {
        assert!(Cli::try_parse_from(["lanparty-client"]).is_err());
        assert!(Cli::try_parse_from(["lanparty-client", "lanparty://r/R#aaaaaaa"]).is_ok());
        let cli = Cli::try_parse_from(["lanparty-client", "cleanup"]).unwrap();
        assert!(matches!(cli.task, Task::Command(Command::Cleanup { .. })));
    }
}
