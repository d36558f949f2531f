//! Where a program keeps its state.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::private_file::{self, PrivateFileError};

#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    #[cfg(unix)]
    #[error(
        "cannot tell where to keep state: neither HOME nor XDG_STATE_HOME is set; name a directory with --state-dir"
    )]
    NoHome,
    #[cfg(windows)]
    #[error(
        "cannot tell where to keep state: neither LOCALAPPDATA nor ProgramData is set; name a directory with --state-dir"
    )]
    NoHome,
    #[error("cannot tell who runs this program")]
    User(#[source] std::io::Error),
    #[error(transparent)]
    File(#[from] PrivateFileError),
}

/// Who runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Account {
    /// Root, or an account of the system's own on Windows.
    System,
    Person,
}

/// Finds and makes the directory of `program`: the one the user names, else
/// systemd's, else the system's for root and for services, else the user's own.
///
/// # Errors
/// When there is no such place or it cannot be made.
pub fn open(program: &str, chosen: Option<&Path>) -> Result<PathBuf, StateDirError> {
    make(program, chosen, account()?)
}

/// As [`open`], of services, whoever runs this program: for what an
/// administrator prepares for a service.
///
/// # Errors
/// As [`open`].
pub fn open_for_system(program: &str, chosen: Option<&Path>) -> Result<PathBuf, StateDirError> {
    make(program, chosen, Account::System)
}

fn make(program: &str, chosen: Option<&Path>, account: Account) -> Result<PathBuf, StateDirError> {
    let path = locate(program, chosen, account, &|name| std::env::var_os(name));
    let path = path.ok_or(StateDirError::NoHome)?;
    // Where anybody may make directories, as in ProgramData, a stranger's one
    // around ours could be used to put another in its place.
    if let Some(ours) = path.parent().filter(|_| chosen.is_none()) {
        private_file::create_directory(ours)?;
    }
    private_file::create_directory(&path)?;
    Ok(path)
}

#[cfg(unix)]
fn account() -> Result<Account, StateDirError> {
    Ok(if rustix::process::geteuid().is_root() {
        Account::System
    } else {
        Account::Person
    })
}

#[cfg(windows)]
fn account() -> Result<Account, StateDirError> {
    let user = crate::windows::security::current_user().map_err(StateDirError::User)?;
    Ok(if user.is_service() {
        Account::System
    } else {
        Account::Person
    })
}

fn locate(
    program: &str,
    chosen: Option<&Path>,
    account: Account,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    if let Some(path) = chosen {
        return Some(path.to_owned());
    }
    let variable = |name: &str| {
        environment(name)
            .map(PathBuf::from)
            // The XDG base directory specification: relative paths are invalid.
            .filter(|path| path.is_absolute())
    };
    place(program, account, &variable)
}

#[cfg(unix)]
fn place(
    program: &str,
    account: Account,
    variable: &dyn Fn(&str) -> Option<PathBuf>,
) -> Option<PathBuf> {
    if let Some(path) = variable("STATE_DIRECTORY") {
        return Some(path);
    }
    if account == Account::System {
        return Some(Path::new("/var/lib/softlan-vpn").join(program));
    }
    variable("XDG_STATE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
        .map(|path| path.join("softlan-vpn").join(program))
}

#[cfg(windows)]
fn place(
    program: &str,
    account: Account,
    variable: &dyn Fn(&str) -> Option<PathBuf>,
) -> Option<PathBuf> {
    let name = match account {
        Account::System => "ProgramData",
        Account::Person => "LOCALAPPDATA",
    };
    variable(name).map(|path| path.join("softlan-vpn").join(program))
}

#[cfg(all(test, windows))]
mod tests {
    use super::*;

    #[test]
    fn a_service_keeps_its_state_with_the_machine_and_a_person_at_home() {
        let find = |account| {
            locate("client", None, account, &|name| {
                Some(OsString::from(format!("C:\\{name}")))
            })
        };
        let home = Path::new("C:\\LOCALAPPDATA\\softlan-vpn\\client");
        assert_eq!(find(Account::Person).as_deref(), Some(home));
        let machine = Path::new("C:\\ProgramData\\softlan-vpn\\client");
        assert_eq!(find(Account::System).as_deref(), Some(machine));
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn locate_with(variables: &[(&str, &str)], account: Account) -> Option<PathBuf> {
        locate("relay", None, account, &|name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_first_place_that_applies_is_taken() {
        let all = [
            ("STATE_DIRECTORY", "/run/unit"),
            ("XDG_STATE_HOME", "/xdg"),
            ("HOME", "/home/p"),
        ];
        assert_eq!(locate_with(&all, Account::System), Some("/run/unit".into()));
        assert_eq!(
            locate_with(&all[1..], Account::System),
            Some("/var/lib/softlan-vpn/relay".into())
        );
        assert_eq!(
            locate_with(&all[1..], Account::Person),
            Some("/xdg/softlan-vpn/relay".into())
        );
        assert_eq!(
            locate_with(&all[2..], Account::Person),
            Some("/home/p/.local/state/softlan-vpn/relay".into())
        );
        assert_eq!(locate_with(&[("HOME", "relative")], Account::Person), None);
    }
}
