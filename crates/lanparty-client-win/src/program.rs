//! What the program does on Windows.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};
use lanparty_member_cli::Task;
use lanparty_os::windows::process;
use lanparty_player::address::Addressing;
use lanparty_player::settings::Settings;
use lanparty_player::{Console, Failure, OrExit as _, Platform as _, cleanup, status};

use crate::cli::{Cli, Command, JoinArgs, PROGRAM, ServiceCommand};
use crate::stop::Stop;
use crate::windows::{Options, Windows};
use crate::{adapters, log, service, stop};

pub(crate) fn main() -> ExitCode {
    // Before anything else can load a library.
    let outcome = process::load_libraries_of_the_system_only()
        .or_exit(lanparty_obs::ExitCode::Failure)
        .and_then(|()| {
            let matches = Cli::command().get_matches();
            let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
            run(cli, &matches)
        });
    match outcome {
        Ok(()) => lanparty_obs::ExitCode::Success.into(),
        Err(failure) => {
            let _closed = writeln!(io::stderr(), "{PROGRAM}: {failure}");
            failure.code().into()
        }
    }
}

fn run(cli: Cli, matches: &ArgMatches) -> Result<(), Failure> {
    if let Task::Command(Command::Service(ServiceCommand::Run { state })) = cli.task {
        return service::run(state);
    }
    log::to_terminal();
    match cli.task {
        Task::Command(Command::Status { state, json }) => status::show(&state, json),
        Task::Command(Command::Stop { state }) => stop::run(&state),
        Task::Command(Command::Cleanup { state }) => cleanup::run(&state, &mut Windows::machine()?),
        Task::Command(Command::Adapters) => adapters::list(),
        Task::Command(Command::Service(command)) => service::command(command, matches),
        Task::Main(arguments) => {
            let stop = Stop::new().or_exit(lanparty_obs::ExitCode::Failure)?;
            stop.ask_on_console_events()
                .or_exit(lanparty_obs::ExitCode::Failure)?;
            join(&arguments, stop, Console::Terminal)
        }
    }
}

pub(crate) fn join(arguments: &JoinArgs, stop: Stop, console: Console) -> Result<(), Failure> {
    let settings = Settings::new(&arguments.player, Addressing::Dhcp, console)?;
    let options = Options {
        instance_id: arguments.tap_instance_id,
        keep_network_category: arguments.keep_network_category,
        open_firewall: arguments.open_firewall,
        stop,
    };
    lanparty_player::join::<Windows>(&arguments.player, settings, options)
}
