//! Waiting for several handles at once, and for a time finer than the tick.

use std::io;
use std::os::windows::io::{
    AsHandle, AsRawHandle as _, AsRawSocket as _, BorrowedHandle, BorrowedSocket,
    FromRawHandle as _, OwnedHandle,
};
use std::ptr;
use std::time::Duration;

use windows_sys::Win32::Foundation::{HANDLE, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::Networking::WinSock::{
    FD_READ, FD_WRITE, SOCKET_ERROR, WSAEventSelect, WSAGetLastError,
};
use windows_sys::Win32::System::Threading::{
    CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, CREATE_WAITABLE_TIMER_MANUAL_RESET,
    CreateWaitableTimerExW, INFINITE, SetWaitableTimer, TIMER_ALL_ACCESS, WaitForMultipleObjects,
};

use super::overlapped::Event;

/// `MAXIMUM_WAIT_OBJECTS` of winnt.h.
pub const MAX_HANDLES: usize = 64;

/// Waits until a handle is signalled and returns the place of the first that
/// is; `None` when the time is over. The system counts in milliseconds.
///
/// # Errors
/// For no handles, for more than [`MAX_HANDLES`] and for handles that cannot
/// be waited for.
pub fn wait_any(
    handles: &[BorrowedHandle<'_>],
    timeout: Option<Duration>,
) -> io::Result<Option<usize>> {
    let mut raw: [HANDLE; MAX_HANDLES] = [ptr::null_mut(); MAX_HANDLES];
    let Some(places) = raw.get_mut(..handles.len()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    for (place, handle) in places.iter_mut().zip(handles) {
        *place = handle.as_raw_handle();
    }
    // At most MAX_HANDLES.
    let count = places.len() as u32;
    let millis = timeout.map_or(INFINITE, |timeout| {
        u32::try_from(timeout.as_nanos().div_ceil(1_000_000))
            .map_or(INFINITE - 1, |millis| millis.min(INFINITE - 1))
    });
    // SAFETY: `count` handles stand in `raw`, borrowed until the call returns.
    let outcome = unsafe { WaitForMultipleObjects(count, raw.as_ptr(), 0, millis) };
    match outcome.wrapping_sub(WAIT_OBJECT_0) {
        place if place < count => Ok(Some(place as usize)),
        _ if outcome == WAIT_TIMEOUT => Ok(None),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A timer that stays signalled until it is set anew.
#[derive(Debug)]
pub struct Timer(OwnedHandle);

impl Timer {
    /// One that keeps time to half a millisecond where the system has such
    /// (Windows 10 1803), else one that keeps it to the tick of 15.6 ms.
    ///
    /// # Errors
    /// Where the process is out of handles.
    pub fn new() -> io::Result<Self> {
        let precise = CREATE_WAITABLE_TIMER_MANUAL_RESET | CREATE_WAITABLE_TIMER_HIGH_RESOLUTION;
        Self::with(precise).or_else(|_| Self::with(CREATE_WAITABLE_TIMER_MANUAL_RESET))
    }

    fn with(flags: u32) -> io::Result<Self> {
        // SAFETY: no attributes and no name.
        let handle =
            unsafe { CreateWaitableTimerExW(ptr::null(), ptr::null(), flags, TIMER_ALL_ACCESS) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle was just made and belongs to nobody else.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    /// Becomes signalled after `delay`, and is not until then.
    ///
    /// # Errors
    /// Never in practice.
    pub fn set(&self, delay: Duration) -> io::Result<()> {
        // Negative is relative, in units of 100 ns; zero would be the year 1601.
        let units = i64::try_from(delay.as_nanos().div_ceil(100)).unwrap_or(i64::MAX);
        let due = -units.max(1);
        // SAFETY: the handle is a timer's and open; `due` outlives the call, and
        // there is no completion routine.
        let done =
            unsafe { SetWaitableTimer(self.0.as_raw_handle(), &due, 0, None, ptr::null(), 0) };
        if done == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

impl AsHandle for Timer {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

/// Sets `event` once the socket can be read, and on `write` once it can be
/// written to: at once where that is so already. Replaces the last call's wish.
///
/// # Errors
/// Where the socket or the event is not one.
pub fn select_socket(socket: BorrowedSocket<'_>, event: &Event, write: bool) -> io::Result<()> {
    let wish = if write { FD_READ | FD_WRITE } else { FD_READ };
    // SAFETY: both are open and borrowed; Winsock keeps its own reference to
    // the event.
    let outcome = unsafe {
        WSAEventSelect(
            socket.as_raw_socket() as usize,
            event.as_handle().as_raw_handle() as isize,
            wish as i32,
        )
    };
    if outcome == SOCKET_ERROR {
        // SAFETY: reads the calling thread's last error.
        return Err(io::Error::from_raw_os_error(unsafe { WSAGetLastError() }));
    }
    Ok(())
}
