//! An event that another process can find by its name.

use std::io;

use windows_sys::Win32::Foundation::{ERROR_ALREADY_EXISTS, GetLastError};
use windows_sys::Win32::System::Threading::{CreateEventW, EVENT_MODIFY_STATE, OpenEventW};

use super::overlapped::{Event, owned};
use super::security::Private;
use super::wide;

/// Makes the event, for us and the system's administrators alone.
///
/// # Errors
/// When one of that name exists: somebody else could be waiting for it, or
/// setting it.
pub fn create(name: &str) -> io::Result<Event> {
    let name = wide::terminated(name)?;
    let private = Private::new()?;
    // SAFETY: name and attributes outlive the call; manual reset, not signalled.
    let handle = unsafe { CreateEventW(private.as_ptr(), 1, 0, name.as_ptr()) };
    // SAFETY: reads this thread's last error.
    let existed = unsafe { GetLastError() } == ERROR_ALREADY_EXISTS;
    let event = Event::from_handle(owned(handle)?);
    if existed {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    Ok(event)
}

/// Sets the event that another process has made.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] where nobody has; another where it is closed to
/// us.
pub fn set(name: &str) -> io::Result<()> {
    let name = wide::terminated(name)?;
    // SAFETY: the name outlives the call.
    let handle = unsafe { OpenEventW(EVENT_MODIFY_STATE, 0, name.as_ptr()) };
    Event::from_handle(owned(handle)?).set();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_set_by_its_name_and_belongs_to_one() {
        let name = format!("lanparty-test-{}", std::process::id());
        assert_eq!(set(&name).unwrap_err().kind(), io::ErrorKind::NotFound);
        let event = create(&name).unwrap();
        assert!(!event.is_set().unwrap());
        set(&name).unwrap();
        assert!(event.is_set().unwrap());
        assert!(create(&name).is_err());
    }
}
