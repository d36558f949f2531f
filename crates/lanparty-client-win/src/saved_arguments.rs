//! The flags of a service, kept in a private file: a service's command line
//! can be read by everybody on the computer, and an invite is a secret.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use lanparty_os::private_file::{self, PrivateFileError};
use serde::{Deserialize, Serialize};

/// The file's name in the state directory.
const FILE_NAME: &str = "service.json";
/// Thousands of times what flags need.
const MAX_LEN: u64 = 1 << 20;
/// Of the file's layout.
const VERSION: u32 = 1;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedArguments {
    version: u32,
    arguments: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SavedArgumentsError {
    #[error("{0:?} is no text, so a service cannot be given it")]
    NoText(OsString),
    #[error("cannot tell where {} is", path.display())]
    Path { path: PathBuf, source: io::Error },
    #[error("a service can ask nobody; give the invite with --invite-file")]
    CannotAsk,
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error("no service is installed with this state directory; see `service install`")]
    Missing,
    #[error("{} cannot be read; install the service again", path.display())]
    Content { path: PathBuf },
}

impl SavedArguments {
    /// What the person chose, by flag or by environment: a service has another
    /// environment and another current directory, so variables become flags
    /// and paths absolute. `leave_out` are flags that are not for joining.
    pub(crate) fn collect(
        command: &Command,
        matches: &ArgMatches,
        leave_out: &[&str],
    ) -> Result<Self, SavedArgumentsError> {
        if matches.get_flag("ask_invite") {
            return Err(SavedArgumentsError::CannotAsk);
        }
        let mut flags = Vec::new();
        let mut positional = Vec::new();
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            let chosen = matches!(
                matches.value_source(id),
                Some(ValueSource::CommandLine | ValueSource::EnvVariable)
            );
            if !chosen || leave_out.contains(&id) {
                continue;
            }
            let Some(long) = argument.get_long() else {
                positional.extend(values(argument, matches)?);
                continue;
            };
            if matches!(argument.get_action(), ArgAction::SetTrue) {
                if matches.get_flag(id) {
                    flags.push(format!("--{long}"));
                }
                continue;
            }
            for value in values(argument, matches)? {
                flags.push(format!("--{long}={value}"));
            }
        }
        if !positional.is_empty() {
            flags.push("--".to_owned());
            flags.extend(positional);
        }
        Ok(Self {
            version: VERSION,
            arguments: flags,
        })
    }

    pub(crate) fn save(&self, directory: &Path) -> Result<(), SavedArgumentsError> {
        let path = directory.join(FILE_NAME);
        let content = || SavedArgumentsError::Content { path: path.clone() };
        let bytes = serde_json::to_vec_pretty(self).map_err(|_| content())?;
        Ok(private_file::write(&path, &bytes)?)
    }

    pub(crate) fn load(directory: &Path) -> Result<Self, SavedArgumentsError> {
        let path = directory.join(FILE_NAME);
        let bytes = private_file::read(&path, MAX_LEN)?.ok_or(SavedArgumentsError::Missing)?;
        let saved: Option<Self> = serde_json::from_slice(&bytes).ok();
        saved
            .filter(|saved| saved.version == VERSION)
            .ok_or(SavedArgumentsError::Content { path })
    }

    /// Whether there was one to forget.
    pub(crate) fn forget(directory: &Path) -> io::Result<bool> {
        match std::fs::remove_file(directory.join(FILE_NAME)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// As a program's own arguments.
    pub(crate) fn line(&self, program: &str) -> Vec<String> {
        let mut line = vec![program.to_owned()];
        line.extend(self.arguments.iter().cloned());
        line
    }
}

fn values(argument: &Arg, matches: &ArgMatches) -> Result<Vec<String>, SavedArgumentsError> {
    let is_path = argument.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    let raw = matches.get_raw(argument.get_id().as_str());
    raw.into_iter()
        .flatten()
        .map(|value| {
            if is_path {
                absolute(value)
            } else {
                text(value)
            }
        })
        .collect()
}

fn absolute(value: &OsStr) -> Result<String, SavedArgumentsError> {
    let path = std::path::absolute(value).map_err(|source| SavedArgumentsError::Path {
        path: value.into(),
        source,
    })?;
    text(path.as_os_str())
}

fn text(value: &OsStr) -> Result<String, SavedArgumentsError> {
    let text = value.to_str().map(str::to_owned);
    text.ok_or_else(|| SavedArgumentsError::NoText(value.into()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use lanparty_member_cli::Task;

    use super::*;
    use crate::cli::{Cli, InstallArgs, JoinArgs};

    fn collect(line: &[&str]) -> SavedArguments {
        let (command, matches) = parse(line);
        SavedArguments::collect(&command, &matches, &["auto_start"]).unwrap()
    }

    fn parse(line: &[&str]) -> (Command, ArgMatches) {
        use clap::Args as _;
        let command = InstallArgs::augment_args(Command::new("install"));
        let line = ["install"].iter().chain(line);
        let matches = command.clone().get_matches_from(line);
        (command, matches)
    }

    fn join(saved: &SavedArguments) -> JoinArgs {
        match Cli::try_parse_from(saved.line("program")).unwrap().task {
            Task::Main(join) => join,
            Task::Command(_) => panic!("no main work"),
        }
    }

    #[test]
    fn a_service_joins_as_it_was_told() {
        let saved = collect(&[
            "--auto-start",
            "--relay",
            "relay.example",
            "--room",
            "ROOM1",
            "--name=-x y\" ",
            "--ip=10.0.0.9/24",
            "--status-json",
        ]);
        let join = join(&saved);
        assert!(join.player.status_json);
        assert_eq!(join.player.ip.as_deref(), Some("10.0.0.9/24"));
        assert!(saved.arguments.contains(&"--name=-x y\" ".to_owned()));
        assert!(!saved.arguments.iter().any(|flag| flag.contains("auto")));
    }

    #[test]
    fn nobody_is_there_to_be_asked_for_an_invite() {
        let (command, matches) = parse(&["--ask-invite"]);
        let refused = SavedArguments::collect(&command, &matches, &[]);
        assert!(matches!(refused, Err(SavedArgumentsError::CannotAsk)));
    }

    #[test]
    fn paths_do_not_depend_on_where_the_service_runs() {
        let saved = collect(&[
            "--relay=r",
            "--room=R",
            "--identity",
            "mine.json",
            "--relay-ca-cert=ca.der",
        ]);
        let identity = join(&saved).player.identity.unwrap();
        assert!(identity.is_absolute(), "{identity:?}");
        let certificate = saved
            .arguments
            .iter()
            .find_map(|flag| flag.strip_prefix("--relay-ca-cert="))
            .unwrap();
        assert!(Path::new(certificate).is_absolute(), "{certificate}");
    }

    #[test]
    fn what_was_saved_is_loaded_and_can_be_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let load = || SavedArguments::load(directory.path());
        assert!(matches!(load(), Err(SavedArgumentsError::Missing)));
        let saved = collect(&["--relay=r", "--room=R"]);
        saved.save(directory.path()).unwrap();
        assert_eq!(load().unwrap(), saved);
        assert!(SavedArguments::forget(directory.path()).unwrap());
        assert!(!SavedArguments::forget(directory.path()).unwrap());
        private_file::write(&directory.path().join(FILE_NAME), b"{").unwrap();
        assert!(matches!(load(), Err(SavedArgumentsError::Content { .. })));
    }
}
