//! Frames by which a peer makes us work, or keeps our memory, for nothing.
//!
//! Our members have one path at a time, few connection ids and two streams,
//! and say nothing in CRYPTO frames once the handshake is over. Whoever sends
//! such frames without end wants something else (CVE-2024-22189 and
//! CVE-2023-49295 were memory by retired ids and path challenges).

use std::time::Instant;

use quinn_proto::{Connection, FrameStats};

/// Packets between two looks, since the statistics are copied as a whole.
const EVERY: u32 = 16;
/// Frames that are forgiven at once: a handshake over a bad line, and every
/// stream and connection id replaced a few times.
const BURST: u64 = 256;
/// And these each second: a member on a train, whose address changes all the
/// time.
const PER_SECOND: u64 = 32;

#[derive(Debug, Default)]
pub(crate) struct Unrest {
    packets: u32,
    seen: u64,
    /// What of [`BURST`] is used up, as of `at`.
    level: u64,
    at: Option<Instant>,
}

impl Unrest {
    /// Counts a packet; true where the connection is to be ended.
    pub(crate) fn is_too_much(&mut self, now: Instant, conn: &Connection) -> bool {
        self.packets += 1;
        if self.packets < EVERY {
            return false;
        }
        self.packets = 0;
        self.count(now, of(&conn.stats().frame_rx))
    }

    fn count(&mut self, now: Instant, total: u64) -> bool {
        let new = total.saturating_sub(self.seen);
        self.seen = total;
        let at = *self.at.get_or_insert(now);
        let seconds = now.saturating_duration_since(at).as_secs();
        if seconds > 0 {
            self.level = self.level.saturating_sub(seconds * PER_SECOND);
            self.at = Some(now);
        }
        self.level += new;
        self.level > BURST
    }
}

/// Frames that a member has little use for.
const fn of(frames: &FrameStats) -> u64 {
    frames.crypto
        + frames.data_blocked
        + frames.max_data
        + frames.max_stream_data
        + frames.max_streams_bidi
        + frames.max_streams_uni
        + frames.new_connection_id
        + frames.new_token
        + frames.path_challenge
        + frames.path_response
        + frames.reset_stream
        + frames.retire_connection_id
        + frames.stream_data_blocked
        + frames.streams_blocked_bidi
        + frames.streams_blocked_uni
        + frames.stop_sending
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment will do")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_forgiven_and_a_rate_and_no_more() {
        let begin = Instant::now();
        let mut unrest = Unrest::default();
        assert!(!unrest.count(begin, BURST));
        let mut total = BURST;
        for second in 1..10_000 {
            total += PER_SECOND;
            assert!(!unrest.count(begin + Duration::from_secs(second), total));
        }
        assert!(unrest.count(begin + Duration::from_secs(10_000), total + PER_SECOND + 1));
    }
}
