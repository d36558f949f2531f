//! How this process behaves towards the system's loader.

use std::io;

use windows_sys::Win32::System::LibraryLoader::{
    LOAD_LIBRARY_SEARCH_SYSTEM32, SetDefaultDllDirectories,
};

/// Makes every library that is loaded from now on come from the system's own
/// directory: a program that runs as administrator, perhaps from a folder of
/// downloads, must not load what lies beside it.
///
/// # Errors
/// When the system refuses.
pub fn load_libraries_of_the_system_only() -> io::Result<()> {
    // SAFETY: takes a flag and changes this process's search order only.
    if unsafe { SetDefaultDllDirectories(LOAD_LIBRARY_SEARCH_SYSTEM32) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
