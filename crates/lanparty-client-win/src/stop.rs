//! Who may ask the running client to leave: the console, the service manager,
//! and `stop` in another window.

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use lanparty_obs::ExitCode;
use lanparty_os::windows::named_event;
use lanparty_player::cli::StateArgs;
use lanparty_player::{Failure, OrExit as _, state};
use lanparty_transport::signals::Stop;

use crate::stop_name;

/// Makes `stop` find this client. One that cannot be found still runs: it has
/// other ways to end.
pub(crate) fn listen(stop: &Stop, directory: &Path) {
    let name = stop_name::of(directory);
    let asked = named_event::create(&name).and_then(|event| {
        let stop = stop.clone();
        thread::Builder::new()
            .name("stop".to_owned())
            .spawn(move || {
                while !event.wait(Duration::MAX).unwrap_or(true) {}
                stop.ask();
            })
    });
    if let Err(error) = asked {
        tracing::warn!(%error, "`stop` will not find this client");
    }
}

/// The subcommand.
pub(crate) fn run(arguments: &StateArgs) -> Result<(), Failure> {
    let directory = state::directory(arguments)?;
    named_event::set(&stop_name::of(&directory))
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                anyhow::anyhow!("no client is running with this state directory")
            }
            _ => anyhow::Error::new(error).context("cannot reach the running client"),
        })
        .or_exit(ExitCode::RelayUnreachable)
}
