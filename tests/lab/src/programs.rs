//! Where the programs under test are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The project's programs, as cargo names them.
pub const ALL: [&str; 3] = ["lanparty-relay", "lanparty-gateway", "lanparty-client"];

/// Names a directory with programs of another profile, for the bench.
pub const DIRECTORY: &str = "LANPARTY_LAB_PROGRAMS";

/// The path of one of the project's programs: from [`DIRECTORY`], or built in
/// the same profile as the caller.
///
/// # Errors
/// When it has not been built.
pub fn find(name: &str) -> Result<PathBuf> {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return Ok(Path::new(&directory).join(name));
    }
    let here = std::env::current_exe().context("cannot find the path of this program")?;
    let built = here
        .ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file());
    match built {
        Some(path) => Ok(path),
        None => bail!("{name} is not built; run `cargo build --workspace` first"),
    }
}

/// A program of the system, if it is installed.
#[must_use]
pub fn on_system(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .into_iter()
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.is_file())
}
