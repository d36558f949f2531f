//! Files and directories with access lists.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::Path;
use std::ptr;

use windows_sys::Win32::Foundation::GENERIC_WRITE;
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_NEW, CreateDirectoryW, CreateFileW, FILE_ATTRIBUTE_NORMAL, FILE_FLAG_BACKUP_SEMANTICS,
    FILE_SHARE_READ, MOVE_FILE_FLAGS, MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH,
    MoveFileExW, READ_CONTROL,
};

use super::{PrivateFileError, io_error};
use crate::windows::descriptor::{DIRECTORY_CONTENT, FILE_CONTENT};
use crate::windows::overlapped::owned;
use crate::windows::security::{Private, current_user, descriptor_of};

pub(super) const HOW_TO_PROTECT: &str =
    "and run `icacls FILE /inheritance:r /grant:r \"%USERNAME%\":F` on it";

pub(super) fn create_directory(path: &Path) -> Result<(), PrivateFileError> {
    let failed = |source| io_error("create the directory", path, source);
    if path.is_dir() {
        let directory = OpenOptions::new()
            .access_mode(READ_CONTROL)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
            .open(path)
            .map_err(failed)?;
        let descriptor = descriptor_of(&directory).map_err(failed)?;
        let user = current_user().map_err(failed)?;
        return if descriptor.is_private_to(&user, DIRECTORY_CONTENT) {
            Ok(())
        } else {
            Err(PrivateFileError::OpenDirectory { path: path.into() })
        };
    }
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        && !parent.is_dir()
    {
        create_directory(parent)?;
    }
    let name = terminated(path).map_err(failed)?;
    let private = Private::new().map_err(failed)?;
    // SAFETY: the name is terminated, the attributes outlive the call.
    if unsafe { CreateDirectoryW(name.as_ptr(), private.as_ptr()) } != 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        // Somebody was faster; whether we trust it is the question above.
        error if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            create_directory(path)
        }
        error => Err(failed(error)),
    }
}

pub(super) fn create_new(path: &Path) -> io::Result<File> {
    let name = terminated(path)?;
    let private = Private::new()?;
    // SAFETY: the name is terminated, the attributes outlive the call.
    let handle = unsafe {
        CreateFileW(
            name.as_ptr(),
            GENERIC_WRITE,
            FILE_SHARE_READ,
            private.as_ptr(),
            CREATE_NEW,
            FILE_ATTRIBUTE_NORMAL,
            ptr::null_mut(),
        )
    };
    Ok(owned(handle)?.into())
}

pub(super) fn is_private(file: &File) -> io::Result<bool> {
    Ok(descriptor_of(file)?.is_private_to(&current_user()?, FILE_CONTENT))
}

pub(super) fn replace(temporary: &Path, path: &Path) -> io::Result<()> {
    rename(temporary, path, MOVEFILE_REPLACE_EXISTING)
}

pub(super) fn publish(temporary: &Path, path: &Path) -> io::Result<()> {
    rename(temporary, path, 0)
}

/// Returns when the new name is on the disk.
fn rename(from: &Path, to: &Path, flags: MOVE_FILE_FLAGS) -> io::Result<()> {
    let (from, to) = (terminated(from)?, terminated(to)?);
    let flags = flags | MOVEFILE_WRITE_THROUGH;
    // SAFETY: both names are terminated.
    if unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), flags) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Absolute, and with the prefix that takes a path as it is where it is too
/// long for the older interface, whose limit is 260 units.
fn terminated(path: &Path) -> io::Result<Vec<u16>> {
    const OLD_LIMIT: usize = 240;
    let path = std::path::absolute(path)?;
    let name: Vec<u16> = path.as_os_str().encode_wide().collect();
    if name.contains(&0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let prefix = match name.get(..2) {
        _ if name.len() < OLD_LIMIT => "",
        Some([92, 92]) => "",
        Some(_) | None => r"\\?\",
    };
    let prefix = OsStr::new(prefix).encode_wide();
    Ok(prefix.chain(name).chain([0]).collect())
}

#[cfg(test)]
mod tests {
    use super::super::{create_directory, load_or_create};
    use super::*;

    #[test]
    fn what_we_make_only_we_may_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a").join("b").join("seed");
        create_directory(path.parent().unwrap()).unwrap();
        // It was made by us, so it is trusted when it is there.
        create_directory(path.parent().unwrap()).unwrap();
        load_or_create(&path, || [7; 32]).unwrap();
        assert!(is_private(&File::open(&path).unwrap()).unwrap());
    }

    #[test]
    fn names_longer_than_the_old_limit_work() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d".repeat(120)).join("e".repeat(120));
        create_directory(&deep).unwrap();
        assert_eq!(load_or_create(&deep.join("seed"), || [7]).unwrap(), [7]);
    }
}
