//! What a console asks of its programs.

use std::io;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use windows_sys::Win32::System::Console::{
    CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT,
    SetConsoleCtrlHandler,
};
use windows_sys::core::BOOL;

/// The system ends a process as soon as its handler returns from a closed
/// window, a log-off or a shutdown, and after 5 to 20 seconds in any case; until
/// then the program may leave in order.
const LEAVING: Duration = Duration::from_secs(30);

type Ask = Box<dyn Fn() + Send + Sync>;

static ASK: OnceLock<Ask> = OnceLock::new();

/// Calls `ask`, on a thread of the system's, whenever the console wants this
/// program to end: Ctrl-C, Ctrl-Break, closed window, log-off, shutdown.
///
/// # Errors
/// On a second call, since a process has one handler of this kind, and where
/// the system refuses.
pub fn on_stop(ask: impl Fn() + Send + Sync + 'static) -> io::Result<()> {
    if ASK.set(Box::new(ask)).is_err() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // SAFETY: the handler is a function for all times and touches statics only.
    let done = unsafe { SetConsoleCtrlHandler(Some(handler), 1) };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

extern "system" fn handler(event: u32) -> BOOL {
    match event {
        CTRL_C_EVENT | CTRL_BREAK_EVENT => ask(),
        CTRL_CLOSE_EVENT | CTRL_LOGOFF_EVENT | CTRL_SHUTDOWN_EVENT => {
            ask();
            thread::sleep(LEAVING);
        }
        _ => return 0,
    }
    1
}

fn ask() {
    if let Some(ask) = ASK.get() {
        ask();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn ctrl_c_asks_and_other_events_are_left_to_the_system() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        on_stop(move || {
            count.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
        assert_eq!(handler(CTRL_C_EVENT), 1);
        assert_eq!(handler(CTRL_BREAK_EVENT), 1);
        assert_eq!(handler(77), 0);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert!(on_stop(|| {}).is_err());
    }
}
