//! Where the log goes.

#[cfg(windows)]
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use tracing_appender::rolling::{InitError, RollingFileAppender, Rotation};
#[cfg(windows)]
use tracing_subscriber::EnvFilter;

/// In the state directory.
const DIRECTORY: &str = "logs";
/// Days that are kept.
const DAYS: usize = 7;

/// Where a service with this state directory writes its log.
pub(crate) fn directory(state: &Path) -> PathBuf {
    state.join(DIRECTORY)
}

#[cfg(windows)]
/// For a program with a window.
pub(crate) fn to_terminal() {
    tracing_subscriber::fmt()
        .with_env_filter(filter("warn"))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

#[cfg(windows)]
/// For a service: one file a day, the oldest forgotten.
pub(crate) fn to_files(state: &Path) -> Result<(), InitError> {
    let files = files(&directory(state))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter("info"))
        .with_writer(files)
        .with_ansi(false)
        .init();
    Ok(())
}

#[cfg(windows)]
fn filter(otherwise: &str) -> EnvFilter {
    EnvFilter::try_from_env("LANPARTY_LOG").unwrap_or_else(|_| EnvFilter::new(otherwise))
}

fn files(directory: &Path) -> Result<RollingFileAppender, InitError> {
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("lanparty-client")
        .filename_suffix("log")
        .max_log_files(DAYS)
        .build(directory)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_week_of_logs_is_kept() {
        let state = tempfile::tempdir().unwrap();
        let directory = directory(state.path());
        fs::create_dir(&directory).unwrap();
        for day in 1..=9 {
            let name = format!("lanparty-client.2020-01-0{day}.log");
            fs::write(directory.join(name), "old").unwrap();
        }
        writeln!(files(&directory).unwrap(), "hello").unwrap();
        let mut names: Vec<String> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names.len(), DAYS, "{names:?}");
        let newest = fs::read_to_string(directory.join(names.last().unwrap())).unwrap();
        assert_eq!(newest, "hello\n");
    }
}
