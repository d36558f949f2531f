//! Threads that measure or keep time must not wait behind those that work.

use std::num::NonZeroU64;
use std::process::Command;

/// The kernel adds up to 50 us to a sleep of an ordinary thread.
const TIMER_SLACK_NS: NonZeroU64 = NonZeroU64::MIN;
/// Above every ordinary thread.
const PRIORITY: &str = "50";

/// Asks the kernel to run the calling thread as soon as it can, where it may be
/// asked.
pub(crate) fn hurry() {
    let _refused = rustix::thread::set_current_timer_slack(Some(TIMER_SLACK_NS));
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    let _refused = Command::new("chrt")
        .args(["--fifo", "--pid", PRIORITY, &thread])
        .output();
}
