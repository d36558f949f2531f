//! The service itself.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use lanparty_member_cli::Task;
use lanparty_obs::ExitCode;
use lanparty_player::cli::StateArgs;
use lanparty_player::{Console, Failure, OrExit as _, state};
use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{
    self, ServiceControlHandlerResult, ServiceStatusHandle,
};
use windows_service::service_dispatcher;

use super::NAME;
use crate::cli::{Cli, JoinArgs, PROGRAM};
use crate::log;
use crate::program;
use crate::saved_arguments::SavedArguments;
use crate::stop::Stop;

/// How long the farewell and the undoing may take. Chosen: both need less than
/// a second, a driver may need some.
const LEAVING: Duration = Duration::from_secs(10);

/// The service's main function has no arguments of ours.
static STATE: OnceLock<StateArgs> = OnceLock::new();

/// Hands this process to the service manager until the service has ended.
pub(crate) fn run(state: StateArgs) -> Result<(), Failure> {
    let _first = STATE.set(state);
    service_dispatcher::start(NAME, service_main)
        .context("this is for Windows' service manager; use `service start`")
        .or_exit(ExitCode::Failure)
}

extern "system" fn service_main(_count: u32, _arguments: *mut *mut u16) {
    let state = STATE.get().cloned().unwrap_or_default();
    // Without a log or a status nobody can be told.
    let Ok(directory) = state::directory(&state) else {
        return;
    };
    let _log = log::to_files(&directory);
    if let Err(error) = serve(&directory, state) {
        tracing::error!("{error:#}");
    }
}

fn serve(directory: &Path, state: StateArgs) -> anyhow::Result<()> {
    let stop = Stop::new()?;
    let shown: Arc<OnceLock<ServiceStatusHandle>> = Arc::default();
    let handler = {
        let (stop, shown) = (stop.clone(), Arc::clone(&shown));
        move |control| match control {
            ServiceControl::Stop | ServiceControl::Shutdown | ServiceControl::Preshutdown => {
                if let Some(shown) = shown.get() {
                    let _ended = shown.set_service_status(status(ServiceState::StopPending));
                }
                stop.ask();
                ServiceControlHandlerResult::NoError
            }
            ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
            _ => ServiceControlHandlerResult::NotImplemented,
        }
    };
    let handle = service_control_handler::register(NAME, handler)?;
    let handle = shown.get_or_init(|| handle);
    handle.set_service_status(status(ServiceState::Running))?;
    let outcome = arguments(directory, state)
        .and_then(|arguments| program::join(&arguments, stop, Console::Log));
    if let Err(failure) = &outcome {
        tracing::error!("{failure}");
    }
    handle.set_service_status(ServiceStatus {
        exit_code: match outcome {
            Ok(()) => ServiceExitCode::NO_ERROR,
            Err(failure) => ServiceExitCode::ServiceSpecific(failure.code().number().into()),
        },
        ..status(ServiceState::Stopped)
    })?;
    Ok(())
}

/// What was kept at the installation.
fn arguments(directory: &Path, state: StateArgs) -> Result<JoinArgs, Failure> {
    let saved = SavedArguments::load(directory).or_exit(ExitCode::State)?;
    let cli = Cli::try_parse_from(saved.line(PROGRAM))
        .context("the service's flags are no longer understood; install the service again")
        .or_exit(ExitCode::Configuration)?;
    match cli.task {
        Task::Main(mut arguments) => {
            arguments.player.state = state;
            Ok(arguments)
        }
        Task::Command(_) => Err(Failure::new(
            ExitCode::Configuration,
            anyhow::anyhow!("the service has no room to join; install it again"),
        )),
    }
}

fn status(current_state: ServiceState) -> ServiceStatus {
    let controls_accepted = match current_state {
        ServiceState::Running => ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN,
        _ => ServiceControlAccept::empty(),
    };
    let wait_hint = match current_state {
        ServiceState::StopPending => LEAVING,
        _ => Duration::ZERO,
    };
    ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state,
        controls_accepted,
        exit_code: ServiceExitCode::NO_ERROR,
        checkpoint: 0,
        wait_hint,
        process_id: None,
    }
}
