//! Files that only their owner may read, replaced in one step or not at all.
//!
//! Seeds, keys and state. A reader sees the old content or the new, never a
//! part, also after a power cut.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

#[cfg(unix)]
use unix as imp;
#[cfg(windows)]
use windows as imp;

#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{} can be read by other users; move its content into a new file {}, or delete it to get a new one",
        path.display(),
        imp::HOW_TO_PROTECT
    )]
    TooOpen { path: PathBuf },
    #[error(
        "other users can write into {}, so what lies there cannot be trusted; choose another directory with --state-dir",
        path.display()
    )]
    OpenDirectory { path: PathBuf },
    #[error("{} is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    #[error("{} holds more than {limit} bytes, so it is not ours", path.display())]
    TooLong { path: PathBuf, limit: u64 },
    #[error("{} holds {found} bytes instead of {expected}; delete it to get a new one", path.display())]
    WrongLength {
        path: PathBuf,
        found: usize,
        expected: usize,
    },
}

/// Makes a directory, and those above it, that only the owner may enter.
///
/// # Errors
/// When a part of the path cannot be made. On Windows also when the directory
/// was there and others may write into it: anybody can make one where services
/// keep their state.
pub fn create_directory(path: &Path) -> Result<(), PrivateFileError> {
    imp::create_directory(path)
}

/// Replaces the file's content; makes the file where there is none.
///
/// # Errors
/// When the new content cannot be made durable; the old one is then intact.
pub fn write(path: &Path, content: &[u8]) -> Result<(), PrivateFileError> {
    let temporary = temporary_name(path);
    // A leftover of a crash: its content was never promised to anyone.
    remove(&temporary)?;
    write_new(&temporary, content)?;
    imp::replace(&temporary, path).map_err(|source| io_error("replace", path, source))
}

/// Reads a file that only its owner could read and that is at most `limit`
/// bytes long; `Ok(None)` where there is none.
///
/// # Errors
/// When it cannot be read or others could have read it.
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, PrivateFileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(io_error("open", path, source)),
    };
    let metadata = file
        .metadata()
        .map_err(|source| io_error("examine", path, source))?;
    if !metadata.is_file() {
        return Err(PrivateFileError::NotAFile { path: path.into() });
    }
    if !imp::is_private(&file).map_err(|source| io_error("examine", path, source))? {
        return Err(PrivateFileError::TooOpen { path: path.into() });
    }
    let mut content = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|source| io_error("read", path, source))?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > limit {
        return Err(PrivateFileError::TooLong {
            path: path.into(),
            limit,
        });
    }
    Ok(Some(content))
}

/// Reads a secret of a fixed length, or makes it with `create` where there is
/// none. Two processes that begin at once end up with the same secret.
///
/// # Errors
/// When the file is there but not usable; it is never overwritten.
pub fn load_or_create<const N: usize>(
    path: &Path,
    create: impl FnOnce() -> [u8; N],
) -> Result<[u8; N], PrivateFileError> {
    if let Some(secret) = load(path)? {
        return Ok(secret);
    }
    let secret = create();
    let temporary = temporary_name(path);
    remove(&temporary)?;
    write_new(&temporary, &secret)?;
    let published = imp::publish(&temporary, path);
    remove(&temporary)?;
    match published {
        Ok(()) => Ok(secret),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            load(path)?.ok_or_else(|| io_error("create", path, error))
        }
        Err(source) => Err(io_error("create", path, source)),
    }
}

fn load<const N: usize>(path: &Path) -> Result<Option<[u8; N]>, PrivateFileError> {
    let Some(content) = read(path, u64::try_from(N).unwrap_or(u64::MAX))? else {
        return Ok(None);
    };
    let found = content.len();
    content
        .try_into()
        .map(Some)
        .map_err(|_| PrivateFileError::WrongLength {
            path: path.into(),
            found,
            expected: N,
        })
}

fn write_new(path: &Path, content: &[u8]) -> Result<(), PrivateFileError> {
    let mut file = imp::create_new(path).map_err(|source| io_error("create", path, source))?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(|source| io_error("write", path, source))
}

fn remove(path: &Path) -> Result<(), PrivateFileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("remove", path, error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Beside the file, for a rename cannot cross file systems; with the process
/// id, for two processes must not write into each other's.
fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    PathBuf::from(name)
}

pub(crate) fn io_error(action: &'static str, path: &Path, source: io::Error) -> PrivateFileError {
    PrivateFileError::Io {
        action,
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/seed");
        create_directory(path.parent().unwrap()).unwrap();
        assert_eq!(load_or_create(&path, || [7; 32]).unwrap(), [7; 32]);
        assert_eq!(load_or_create(&path, || [8; 32]).unwrap(), [7; 32]);
        let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(names, 1, "temporary files stay behind");
    }

    #[test]
    fn a_secret_of_another_length_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seed");
        for length in [0, 31, 33] {
            write(&path, &vec![1; length]).unwrap();
            load_or_create(&path, || [2; 32]).unwrap_err();
            assert_eq!(fs::read(&path).unwrap().len(), length);
        }
    }

    #[test]
    fn writing_replaces_the_content_even_over_a_leftover_of_a_crash() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        fs::write(temporary_name(&path), b"half").unwrap();
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read(&path, 3).unwrap().as_deref(), Some(&b"two"[..]));
        assert!(read(&path, 2).is_err());
        assert_eq!(read(&directory.path().join("none"), 2).unwrap(), None);
    }

    #[test]
    fn the_second_of_two_that_begin_at_once_does_not_replace_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seed");
        let winner = || {
            write(&path, &[1; 32]).unwrap();
            [2; 32]
        };
        assert_eq!(load_or_create(&path, winner).unwrap(), [1; 32]);
    }
}
