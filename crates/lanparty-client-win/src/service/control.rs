//! Installing, starting, stopping and removing the service.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{ArgMatches, CommandFactory as _};
use lanparty_obs::ExitCode;
use lanparty_player::address::Addressing;
use lanparty_player::cli::StateArgs;
use lanparty_player::settings::Settings;
use lanparty_player::{Console, Failure, OrExit as _};
use windows_service::Error;
use windows_service::service::{
    Service, ServiceAccess, ServiceErrorControl, ServiceExitCode, ServiceInfo, ServiceStartType,
    ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::NAME;
use crate::cli::{Cli, InstallArgs};
use crate::log;
use crate::place;
use crate::saved_arguments::SavedArguments;

const DISPLAY_NAME: &str = "softlan-vpn player";
const DESCRIPTION: &str = "Keeps this computer in a LAN party's room.";

/// How long the service may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// Of winerror.h.
const ERROR_SERVICE_ALREADY_RUNNING: i32 = 1_056;
const ERROR_SERVICE_DOES_NOT_EXIST: i32 = 1_060;
const ERROR_SERVICE_NOT_ACTIVE: i32 = 1_062;
const ERROR_SERVICE_EXISTS: i32 = 1_073;

pub(super) fn install(install: &InstallArgs, matches: &ArgMatches) -> Result<(), Failure> {
    let saved = saved(matches).or_exit(ExitCode::Configuration)?;
    // What would stop the service later is better said now.
    Settings::new(&install.join.player, Addressing::Dhcp, Console::Log)?;
    let chosen = install.join.player.state.state_dir.as_deref();
    let directory = super::directory(chosen)?;
    saved.save(&directory).or_exit(ExitCode::State)?;

    let program = std::env::current_exe().or_exit(ExitCode::Failure)?;
    let mut launch_arguments: Vec<OsString> = ["service", "run"].map(Into::into).to_vec();
    if chosen.is_some() {
        launch_arguments.extend(["--state-dir".into(), directory.clone().into_os_string()]);
    }
    let service = ServiceInfo {
        name: NAME.into(),
        display_name: DISPLAY_NAME.into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: if install.auto_start {
            ServiceStartType::AutoStart
        } else {
            ServiceStartType::OnDemand
        },
        error_control: ServiceErrorControl::Normal,
        executable_path: program.clone(),
        launch_arguments,
        dependencies: Vec::new(),
        // LocalSystem: adapters and routes are the system's.
        account_name: None,
        account_password: None,
    };
    let created = manager(ServiceManagerAccess::CREATE_SERVICE)?
        .create_service(&service, ServiceAccess::CHANGE_CONFIG);
    match created {
        Ok(created) => {
            let described = created.set_description(DESCRIPTION);
            if let Err(error) = described {
                tracing::debug!(%error, "the service has no description");
            }
        }
        Err(error) if code(&error) == Some(ERROR_SERVICE_EXISTS) => {
            return Err(Failure::new(
                ExitCode::State,
                anyhow!("the service is installed already; `service remove` forgets it"),
            ));
        }
        Err(error) => return Err(refused(error)),
    }
    say(&format!(
        "installed; `service start` starts it, its log is in {}",
        log::directory(&directory).display()
    ));
    if !place::is_protected(&program, |name| std::env::var_os(name)) {
        say(&format!(
            "warning: the service runs {} with all rights, and whoever may write there could replace it; \
             move the program to C:\\Program Files and install the service again",
            program.display()
        ));
    }
    Ok(())
}

/// The flags as they were given, which the parsed form does not show.
fn saved(matches: &ArgMatches) -> anyhow::Result<SavedArguments> {
    let path = ["service", "install"];
    let command = Cli::command();
    let command = path
        .iter()
        .try_fold(&command, |command, name| command.find_subcommand(name));
    let matches = path
        .iter()
        .try_fold(matches, |matches, name| matches.subcommand_matches(name));
    let (command, matches) = command.zip(matches).context("not an installation")?;
    // The state directory is on the service's own command line.
    let leave_out = ["auto_start", "state_dir"];
    Ok(SavedArguments::collect(command, matches, &leave_out)?)
}

pub(super) fn start() -> Result<(), Failure> {
    let service = open(ServiceAccess::START | ServiceAccess::QUERY_STATUS)?;
    match service.start(&[] as &[&OsStr]) {
        Ok(()) => {}
        Err(error) if code(&error) == Some(ERROR_SERVICE_ALREADY_RUNNING) => {
            say("the service runs already");
            return Ok(());
        }
        Err(error) => return Err(refused(error)),
    }
    let reached = wait_for(&service, &[ServiceState::Running, ServiceState::Stopped])?;
    if reached.current_state == ServiceState::Running {
        say("started");
        return Ok(());
    }
    Err(ended(&reached))
}

pub(super) fn stop() -> Result<(), Failure> {
    let service = open(ServiceAccess::STOP | ServiceAccess::QUERY_STATUS)?;
    let stopped = leave(&service)?;
    say(if stopped {
        "stopped"
    } else {
        "the service does not run"
    });
    Ok(())
}

pub(super) fn remove(state: &StateArgs) -> Result<(), Failure> {
    let service = open(ServiceAccess::STOP | ServiceAccess::QUERY_STATUS | ServiceAccess::DELETE)?;
    leave(&service)?;
    service.delete().map_err(refused)?;
    SavedArguments::forget(&super::directory(state.state_dir.as_deref())?)
        .or_exit(ExitCode::State)?;
    say("removed");
    Ok(())
}

/// False where it did not run.
fn leave(service: &Service) -> Result<bool, Failure> {
    match service.stop() {
        Ok(_) => {}
        Err(error) if code(&error) == Some(ERROR_SERVICE_NOT_ACTIVE) => return Ok(false),
        Err(error) => return Err(refused(error)),
    }
    wait_for(service, &[ServiceState::Stopped])?;
    Ok(true)
}

fn wait_for(service: &Service, states: &[ServiceState]) -> Result<ServiceStatus, Failure> {
    let mut waited = Duration::ZERO;
    loop {
        let status = service.query_status().map_err(refused)?;
        if states.contains(&status.current_state) {
            return Ok(status);
        }
        if waited >= PATIENCE {
            return Err(Failure::new(
                ExitCode::Failure,
                anyhow!("the service neither starts nor ends; see its log"),
            ));
        }
        thread::sleep(POLL);
        waited += POLL;
    }
}

fn ended(status: &ServiceStatus) -> Failure {
    let number = match status.exit_code {
        ServiceExitCode::Win32(number) | ServiceExitCode::ServiceSpecific(number) => number,
    };
    Failure::new(
        ExitCode::Failure,
        anyhow!("the service ended at once with code {number}; its log says why"),
    )
}

fn open(access: ServiceAccess) -> Result<Service, Failure> {
    manager(ServiceManagerAccess::CONNECT)?
        .open_service(NAME, access)
        .map_err(|error| match code(&error) {
            Some(ERROR_SERVICE_DOES_NOT_EXIST) => Failure::new(
                ExitCode::State,
                anyhow!("the service is not installed; see `service install --help`"),
            ),
            _ => refused(error),
        })
}

fn manager(access: ServiceManagerAccess) -> Result<ServiceManager, Failure> {
    ServiceManager::local_computer(None::<&OsStr>, access).map_err(refused)
}

fn refused(error: Error) -> Failure {
    let exit = match code(&error) {
        // ERROR_ACCESS_DENIED
        Some(5) => ExitCode::Privilege,
        _ => ExitCode::Failure,
    };
    Failure::new(
        exit,
        anyhow::Error::new(error).context("Windows' service manager refuses"),
    )
}

fn code(error: &Error) -> Option<i32> {
    match error {
        Error::Winapi(error) => error.raw_os_error(),
        _ => None,
    }
}

fn say(sentence: &str) {
    let _closed = writeln!(io::stdout(), "{sentence}");
}
