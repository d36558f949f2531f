//! The time in which counting takes place.

use std::time::{Duration, Instant};

use anyhow::Result;
use lanparty_lab::{process, wait};

use crate::outcome::Outcome;

/// Congestion control and path MTU discovery have settled by then.
const WARM_UP: Duration = Duration::from_secs(2);

/// Counts frames and the CPU time of a process from the end of the warm-up.
#[derive(Debug)]
pub struct Window {
    process: u32,
    begin: Instant,
    length: Duration,
    opened: Option<(Instant, Duration, u64)>,
}

impl Window {
    /// Begins the warm-up.
    #[must_use]
    pub fn new(process: u32, length: Duration) -> Self {
        Self {
            process,
            begin: wait::now(),
            length,
            opened: None,
        }
    }

    /// To be called often with all frames so far; says when it is over.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn look(&mut self, now: Instant, frames: u64) -> Result<Option<Outcome>> {
        match self.opened {
            None if now >= self.begin + WARM_UP => {
                self.opened = Some((now, process::cpu_time_of(self.process)?, frames));
                Ok(None)
            }
            Some((opened, cpu, before)) if now >= opened + self.length => {
                let cpu = process::cpu_time_of(self.process)?.saturating_sub(cpu);
                Ok(Some(Outcome {
                    frames: frames - before,
                    seconds: (now - opened).as_secs_f64(),
                    cpu_seconds: cpu.as_secs_f64(),
                }))
            }
            None | Some(_) => Ok(None),
        }
    }
}
