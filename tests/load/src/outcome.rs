//! What a run says on its last line, read by the bench.

use serde::{Deserialize, Serialize};

/// One run, after its warm-up.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Copies of frames that reached somebody.
    pub frames: u64,
    pub seconds: f64,
    /// CPU time of the program in the middle, user and kernel.
    pub cpu_seconds: f64,
}
