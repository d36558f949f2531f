//! The wish to end: from the console, from the service manager, and from
//! `stop` in another window.

use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lanparty_obs::ExitCode;
use lanparty_os::windows::overlapped::Event;
use lanparty_os::windows::{console, named_event};
use lanparty_player::cli::StateArgs;
use lanparty_player::{Failure, OrExit as _, state};

use crate::stop_name;

/// Any thread may ask, the loop takes it.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Arc<Event>);

impl Stop {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Event::new()?)))
    }

    pub(crate) fn ask(&self) {
        self.0.set();
    }

    /// Not for services: a user's log-off is none of their business.
    pub(crate) fn ask_on_console_events(&self) -> io::Result<()> {
        let stop = self.clone();
        console::on_stop(move || stop.ask())
    }

    /// Makes `stop` find this client. One that cannot be found still runs: it
    /// has other ways to end.
    pub(crate) fn ask_by_name(&self, directory: &Path) {
        let name = stop_name::of(directory);
        let asked = named_event::create(&name).and_then(|event| {
            let stop = self.clone();
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

    /// True where somebody asked since the last call.
    pub(crate) fn take(&self) -> bool {
        let asked = self.0.is_set().unwrap_or(true);
        self.0.reset();
        asked
    }
}

impl AsHandle for Stop {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_asked_by_its_state_directory_and_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let stop = Stop::new().unwrap();
        stop.ask_by_name(directory.path());
        assert!(!stop.take());
        named_event::set(&stop_name::of(directory.path())).unwrap();
        assert!(stop.0.wait(Duration::from_secs(10)).unwrap());
        assert!(stop.take());
        assert!(!stop.take());
    }
}
