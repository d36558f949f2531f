//! What a controller thinks, for statistics and logs.

use std::time::Duration;

/// What the controller is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Looks for the rate of the path, doubling every round trip.
    Startup,
    /// Holds the rate of the path and a short queue.
    Steady,
    /// Somebody else fills the queue: takes a share as Cubic would.
    Competing,
}

/// A controller's view of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub mode: Mode,
    /// Queue on the way to the peer above the lowest delay seen lately; `None`
    /// before the first measurement.
    pub queue_delay: Option<Duration>,
    /// What the path delivers, bytes a second; `None` before it is known.
    pub bandwidth: Option<u64>,
    /// Share of lost bytes that is not the fault of our rate, in millionths.
    pub random_loss_ppm: u32,
    /// True while queue delays come from the peer's timing echoes and not from
    /// round trips.
    pub is_one_way: bool,
}
