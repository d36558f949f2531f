//! Files that only their owner may read, replaced in one step or not at all.
//!
//! Seeds, keys and state. A reader sees the old content or the new, never a
//! part, also after a power cut.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

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
        "{} can be read by other users; move its content into a new file with `chmod 600`, or delete it to get a new one",
        path.display()
    )]
    TooOpen { path: PathBuf },
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
/// When a part of the path cannot be made.
pub fn create_directory(path: &Path) -> Result<(), PrivateFileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
        .map_err(|source| io_error("create the directory", path, source))
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
    fs::rename(&temporary, path).map_err(|source| io_error("replace", path, source))?;
    sync_directory_of(path)
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
    if metadata.mode() & 0o077 != 0 {
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
    // Unlike a rename, a link does not replace what another process put there.
    let linked = fs::hard_link(&temporary, path);
    remove(&temporary)?;
    match linked {
        Ok(()) => {
            sync_directory_of(path)?;
            Ok(secret)
        }
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
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(|source| io_error("create", path, source))?;
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

/// Makes the names in the file's directory durable.
pub(crate) fn sync_directory_of(path: &Path) -> Result<(), PrivateFileError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| io_error("make durable", directory, source))
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
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_found_again_and_nobody_else_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/seed");
        create_directory(path.parent().unwrap()).unwrap();
        assert_eq!(load_or_create(&path, || [7; 32]).unwrap(), [7; 32]);
        assert_eq!(load_or_create(&path, || [8; 32]).unwrap(), [7; 32]);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(names, 1, "temporary files stay behind");
    }

    #[test]
    fn a_secret_that_others_could_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seed");
        write(&path, &[1; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_or_create(&path, || [2; 32]).unwrap_err();
        assert!(matches!(error, PrivateFileError::TooOpen { .. }), "{error}");
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
}
