//! The registry, read and written by value.

use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS};
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_CURRENT_USER, HKEY_LOCAL_MACHINE, KEY_READ, KEY_WOW64_64KEY, KEY_WRITE,
    REG_OPTION_NON_VOLATILE, REG_OPTION_VOLATILE, REG_SZ, RegCloseKey, RegCreateKeyExW,
    RegDeleteValueW, RegEnumKeyExW, RegOpenKeyExW, RegQueryValueExW, RegSetValueExW,
};

use super::wide;

/// The longest name of a key, with its NUL (the registry's limit is 255).
const MAX_NAME: usize = 256;
/// The longest value read: adapters have short ones, so more is not for us.
const MAX_VALUE: u32 = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hive {
    Machine,
    User,
}

/// An open key.
#[derive(Debug)]
pub struct Key(HKEY);

// SAFETY: a key's handle is not tied to a thread.
unsafe impl Send for Key {}

impl Key {
    /// For reading; None where there is no such key.
    ///
    /// # Errors
    /// When it is there and not for us.
    pub fn open(hive: Hive, path: &str) -> io::Result<Option<Self>> {
        Self::open_for(hive, path, KEY_READ)
    }

    /// For reading and writing; None where there is no such key.
    ///
    /// # Errors
    /// When it is there and not for us.
    pub fn open_writable(hive: Hive, path: &str) -> io::Result<Option<Self>> {
        Self::open_for(hive, path, KEY_READ | KEY_WRITE)
    }

    /// Opens a key that ends when the machine does, or makes it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create_volatile(hive: Hive, path: &str) -> io::Result<Self> {
        Self::create_with(hive, path, REG_OPTION_VOLATILE)
    }

    /// Opens a key or makes it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(hive: Hive, path: &str) -> io::Result<Self> {
        Self::create_with(hive, path, REG_OPTION_NON_VOLATILE)
    }

    fn create_with(hive: Hive, path: &str, options: u32) -> io::Result<Self> {
        let path = wide::terminated(path)?;
        let mut key = ptr::null_mut();
        // SAFETY: `path` is terminated, `key` is written on success.
        let status = unsafe {
            RegCreateKeyExW(
                handle(hive),
                path.as_ptr(),
                0,
                ptr::null(),
                options,
                KEY_READ | KEY_WRITE | KEY_WOW64_64KEY,
                ptr::null(),
                &raw mut key,
                ptr::null_mut(),
            )
        };
        checked(status)?;
        Ok(Self(key))
    }

    fn open_for(hive: Hive, path: &str, access: u32) -> io::Result<Option<Self>> {
        let path = wide::terminated(path)?;
        let mut key = ptr::null_mut();
        // SAFETY: `path` is terminated, `key` is written on success.
        let status = unsafe {
            RegOpenKeyExW(
                handle(hive),
                path.as_ptr(),
                0,
                access | KEY_WOW64_64KEY,
                &raw mut key,
            )
        };
        if status == ERROR_FILE_NOT_FOUND {
            return Ok(None);
        }
        checked(status)?;
        Ok(Some(Self(key)))
    }

    /// The names of the keys inside.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for index in 0.. {
            let mut name = [0; MAX_NAME];
            let mut len = u32::try_from(name.len()).unwrap_or(0);
            // SAFETY: `name` has `len` writable units.
            let status = unsafe {
                RegEnumKeyExW(
                    self.0,
                    index,
                    name.as_mut_ptr(),
                    &raw mut len,
                    ptr::null(),
                    ptr::null_mut(),
                    ptr::null_mut(),
                    ptr::null_mut(),
                )
            };
            if status == ERROR_NO_MORE_ITEMS {
                break;
            }
            checked(status)?;
            names.push(wide::text(&name));
        }
        Ok(names)
    }

    /// A value that is a string; None where it is missing or something else.
    ///
    /// # Errors
    /// When it is there and not for us, or absurdly long.
    pub fn string(&self, name: &str) -> io::Result<Option<String>> {
        let name = wide::terminated(name)?;
        let mut bytes = vec![0; 512];
        loop {
            let mut len = u32::try_from(bytes.len()).unwrap_or(0);
            let mut kind = 0;
            // SAFETY: `name` is terminated, `bytes` has `len` writable bytes.
            let status = unsafe {
                RegQueryValueExW(
                    self.0,
                    name.as_ptr(),
                    ptr::null(),
                    &raw mut kind,
                    bytes.as_mut_ptr(),
                    &raw mut len,
                )
            };
            match status {
                ERROR_FILE_NOT_FOUND => return Ok(None),
                ERROR_MORE_DATA if len <= MAX_VALUE => {
                    bytes.resize(usize::try_from(len).unwrap_or(0), 0);
                }
                status => {
                    checked(status)?;
                    bytes.truncate(usize::try_from(len).unwrap_or(0));
                    return Ok((kind == REG_SZ).then(|| wide::text_of_bytes(&bytes)));
                }
            }
        }
    }

    /// # Errors
    /// When the key was opened for reading only, or is gone.
    pub fn set_string(&self, name: &str, value: &str) -> io::Result<()> {
        let (name, value) = (wide::terminated(name)?, wide::terminated(value)?);
        let len = u32::try_from(value.len() * 2).unwrap_or(u32::MAX);
        // SAFETY: both are terminated, and `len` is the value's length in bytes.
        let status =
            unsafe { RegSetValueExW(self.0, name.as_ptr(), 0, REG_SZ, value.as_ptr().cast(), len) };
        checked(status)
    }

    /// Removes a value; one that is not there is removed already.
    ///
    /// # Errors
    /// As [`Self::set_string`].
    pub fn delete_value(&self, name: &str) -> io::Result<()> {
        let name = wide::terminated(name)?;
        // SAFETY: `name` is terminated.
        match unsafe { RegDeleteValueW(self.0, name.as_ptr()) } {
            ERROR_FILE_NOT_FOUND => Ok(()),
            status => checked(status),
        }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: opened by us and closed once.
        unsafe { RegCloseKey(self.0) };
    }
}

const fn handle(hive: Hive) -> HKEY {
    match hive {
        Hive::Machine => HKEY_LOCAL_MACHINE,
        Hive::User => HKEY_CURRENT_USER,
    }
}

/// For the functions that return their error instead of setting it.
pub(crate) fn checked(status: u32) -> io::Result<()> {
    match status {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(
            i32::try_from(error).unwrap_or(i32::MAX),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "Software\\softlan-vpn-test-registry";

    #[test]
    fn values_are_read_back_whatever_their_length_and_absence_is_no_error() {
        let key = Key::create_volatile(Hive::User, PATH).unwrap();
        for value in ["", "tap0901", &"x".repeat(4_000)] {
            key.set_string("value", value).unwrap();
            assert_eq!(key.string("value").unwrap().as_deref(), Some(value));
        }
        key.delete_value("value").unwrap();
        key.delete_value("value").unwrap();
        assert_eq!(key.string("value").unwrap(), None);
        let parent = Key::open(Hive::User, "Software").unwrap().unwrap();
        assert!(
            parent
                .names()
                .unwrap()
                .iter()
                .any(|name| PATH.ends_with(name))
        );
        assert!(
            Key::open(Hive::User, "Software\\softlan-vpn-none")
                .unwrap()
                .is_none()
        );
    }
}
