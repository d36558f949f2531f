//! Waiting for something that a real program does in its own time.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at; short against a human, long against a
/// two-core machine that runs eight programs.
const PERIOD: Duration = Duration::from_millis(50);

/// Now, for drivers of labs.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the lab's one clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits until `probe` yields a value.
///
/// # Errors
/// When it has not within `limit`; the message names `what`.
pub fn until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = now() + limit;
    loop {
        if let Some(value) = probe() {
            return Ok(value);
        }
        if now() >= deadline {
            bail!("{what}: not within {:.0} s", limit.as_secs_f32());
        }
        sleep(PERIOD);
    }
}
