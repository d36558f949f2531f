//! One network namespace for one thread, for tests of a single crate that need
//! no whole lab.

use std::io;

use rustix::thread::UnshareFlags;

/// Moves the calling thread into an empty network namespace, which vanishes
/// with the thread and the sockets that it opened.
///
/// # Errors
/// Without root.
#[expect(unsafe_code, reason = "no safe crate offers unshare(2)")]
pub fn enter_empty() -> io::Result<()> {
    // SAFETY: NEWNET changes nothing that other threads share with this one.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
    Ok(())
}
