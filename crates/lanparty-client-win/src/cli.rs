//! The command line.

use clap::{Args, Parser, Subcommand};
use lanparty_member_cli::Task;
use lanparty_os::windows::guid::Guid;
use lanparty_player::cli::{PlayerArgs, StateArgs};

pub(crate) const PROGRAM: &str = "lanparty-client-win";

/// Joins a LAN party over the internet as if this computer were plugged in
/// there.
#[derive(Debug, Parser)]
#[command(
    name = PROGRAM,
    version,
    after_help = "Exit codes: 0 done, 2 usage, 3 room or address, 4 certificate, 5 network adapter, \
                  7 administrator needed, 8 relay unreachable, 9 version mismatch, 10 rejected, \
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
    /// Make the running client leave the room.
    Stop {
        #[command(flatten)]
        state: StateArgs,
    },
    /// Undo what a crashed client left on this computer.
    Cleanup {
        #[command(flatten)]
        state: StateArgs,
    },
    /// List the TAP adapters of this computer.
    Adapters,
    /// Play in the background, without a window.
    #[command(subcommand)]
    Service(ServiceCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Keep the flags that follow and make a service that plays with them.
    Install(Box<InstallArgs>),
    /// Start the service.
    Start,
    /// Make the service leave the room.
    Stop,
    /// Stop the service and forget it and its flags.
    Remove {
        #[command(flatten)]
        state: StateArgs,
    },
    /// What Windows runs.
    #[command(hide = true)]
    Run {
        #[command(flatten)]
        state: StateArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// Start the service whenever Windows starts.
    #[arg(long)]
    pub(crate) auto_start: bool,
    #[command(flatten)]
    pub(crate) join: JoinArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct JoinArgs {
    #[command(flatten)]
    pub(crate) player: PlayerArgs,
    /// Which TAP adapter to use, as `adapters` lists them. Default: the
    /// one that is ours, else the first.
    #[arg(long, value_name = "GUID", env = "LANPARTY_TAP_INSTANCE_ID")]
    pub(crate) tap_instance_id: Option<Guid>,
    /// Leave the network category of the adapter as Windows chose it, instead
    /// of making it a private one, in which other computers are seen.
    #[arg(long, env = "LANPARTY_KEEP_NETWORK_CATEGORY")]
    pub(crate) keep_network_category: bool,
    /// Let the party reach the games of this computer through its firewall
    /// while you play: pings, and TCP and UDP ports from 1024 up except those
    /// of remote desktop and remote management.
    #[arg(long, env = "LANPARTY_OPEN_FIREWALL")]
    pub(crate) open_firewall: bool,
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
        let line = "lanparty-client-win --relay r.example --server-name lanparty-relay.local \
                    --relay-ca-cert ca.der --room ROOM1 --virtual-mac 02:00:5e:10:00:01 --name anna \
                    --tap-instance-id {0000004d-0000-0000-0000-4e6574446576}";
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        let Task::Main(join) = cli.task else {
            panic!("no main work");
        };
        assert_eq!(
            join.tap_instance_id,
            "0000004d-0000-0000-0000-4e6574446576".parse().ok()
        );
        assert_eq!(
            join.player.virtual_mac.as_deref(),
            Some("02:00:5e:10:00:01")
        );
    }

    #[test]
    fn a_service_takes_the_flags_of_joining() {
        let line =
            "lanparty-client-win service install --auto-start --relay r.example --room ROOM1";
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        let Task::Command(Command::Service(ServiceCommand::Install(install))) = cli.task else {
            panic!("no installation");
        };
        assert!(install.auto_start);
        assert!(Cli::try_parse_from(["lanparty-client-win", "service", "install"]).is_err());
    }

    /// Every flag and subcommand, as the program itself lists them.
    fn words(command: &clap::Command, found: &mut Vec<String>) {
        let visible = |argument: &&clap::Arg| !argument.is_hide_set();
        let arguments = command.get_arguments().filter(visible);
        found.extend(arguments.filter_map(|argument| Some(format!("--{}", argument.get_long()?))));
        for subcommand in command
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
        {
            found.push(subcommand.get_name().to_owned());
            words(subcommand, found);
        }
    }

    #[test]
    fn everything_is_described() {
        // Flags that both clients have are described with the Linux one.
        let documents = concat!(
            include_str!("../../../docs/windows.md"),
            include_str!("../../../docs/operating.md")
        );
        let mut found = Vec::new();
        words(&Cli::command(), &mut found);
        assert!(found.len() > 20, "{found:?}");
        for word in found {
            assert!(
                documents.contains(&format!("`{word}")) || documents.contains(&format!(" {word}")),
                "{word} is not described"
            );
        }
    }
}
