//! Where a program keeps its state.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::private_file::{self, PrivateFileError};

#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    #[error(
        "cannot tell where to keep state: neither HOME nor XDG_STATE_HOME is set; name a directory with --state-dir"
    )]
    NoHome,
    #[error(transparent)]
    File(#[from] PrivateFileError),
}

/// Finds and makes the directory of `program`: the one the user names, else
/// systemd's, else the system's for root, else the user's own.
///
/// # Errors
/// When there is no such place or it cannot be made.
pub fn open(program: &str, chosen: Option<&Path>) -> Result<PathBuf, StateDirError> {
    let path = locate(
        program,
        chosen,
        rustix::process::geteuid().is_root(),
        &|name| std::env::var_os(name),
    )
    .ok_or(StateDirError::NoHome)?;
    private_file::create_directory(&path)?;
    Ok(path)
}

fn locate(
    program: &str,
    chosen: Option<&Path>,
    is_root: bool,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    let variable = |name: &str| {
        environment(name)
            .map(PathBuf::from)
            // The XDG base directory specification: relative paths are invalid.
            .filter(|path| path.is_absolute())
    };
    if let Some(path) = chosen {
        return Some(path.to_owned());
    }
    if let Some(path) = variable("STATE_DIRECTORY") {
        return Some(path);
    }
    if is_root {
        return Some(Path::new("/var/lib/softlan-vpn").join(program));
    }
    variable("XDG_STATE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
        .map(|path| path.join("softlan-vpn").join(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locate_with(variables: &[(&str, &str)], is_root: bool) -> Option<PathBuf> {
        locate("relay", None, is_root, &|name| {
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
        assert_eq!(locate_with(&all, true), Some("/run/unit".into()));
        assert_eq!(
            locate_with(&all[1..], true),
            Some("/var/lib/softlan-vpn/relay".into())
        );
        assert_eq!(
            locate_with(&all[1..], false),
            Some("/xdg/softlan-vpn/relay".into())
        );
        assert_eq!(
            locate_with(&all[2..], false),
            Some("/home/p/.local/state/softlan-vpn/relay".into())
        );
        assert_eq!(locate_with(&[("HOME", "relative")], false), None);
    }
}
