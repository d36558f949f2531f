//! Files and directories with mode bits.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::{PrivateFileError, io_error};

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

pub(super) const HOW_TO_PROTECT: &str = "with `chmod 600`";

pub(super) fn create_directory(path: &Path) -> Result<(), PrivateFileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
        .map_err(|source| io_error("create the directory", path, source))
}

pub(super) fn create_new(path: &Path) -> io::Result<File> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
}

pub(super) fn is_private(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & 0o077 == 0)
}

pub(super) fn replace(temporary: &Path, path: &Path) -> io::Result<()> {
    fs::rename(temporary, path)?;
    sync_directory_of(path)
}

/// Unlike a rename, a link does not replace what another process put there.
pub(super) fn publish(temporary: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(temporary, path)?;
    sync_directory_of(path)
}

/// Makes the names in the file's directory durable.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::{create_directory, load_or_create, write};
    use super::*;

    #[test]
    fn nobody_else_may_read_a_secret_or_enter_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/seed");
        create_directory(path.parent().unwrap()).unwrap();
        load_or_create(&path, || [7; 32]).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[test]
    fn a_secret_that_others_could_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seed");
        write(&path, &[1; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_or_create(&path, || [2; 32]).unwrap_err();
        assert!(matches!(error, PrivateFileError::TooOpen { .. }), "{error}");
    }
}
