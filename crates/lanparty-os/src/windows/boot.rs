//! Which start of the machine this is.

use std::io;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::SystemInformation::GetSystemTimePreciseAsFileTime;

use super::registry::{Hive, Key};

/// Volatile keys live as long as the kernel's other state: also over the fast
/// start-up, which brings the kernel back as it was, routes included.
const PATH: &str = "SOFTWARE\\softlan-vpn-boot";
const VALUE: &str = "Id";

/// The same until the machine starts anew.
pub(crate) fn id() -> io::Result<String> {
    // Without an administrator's rights the sign-in has to do.
    let key = match Key::create_volatile(Hive::Machine, PATH) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            match Key::open(Hive::Machine, PATH)? {
                Some(key) => key,
                None => Key::create_volatile(Hive::User, PATH)?,
            }
        }
        other => other?,
    };
    if let Some(id) = key.string(VALUE)? {
        return Ok(id);
    }
    let mut now = FILETIME::default();
    // SAFETY: `now` is writable.
    unsafe { GetSystemTimePreciseAsFileTime(&raw mut now) };
    let id = format!("{:08x}{:08x}", now.dwHighDateTime, now.dwLowDateTime);
    key.set_string(VALUE, &id)?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_the_same_until_the_next_start() {
        assert_eq!(id().unwrap(), id().unwrap());
    }
}
