//! CUBIC (RFC 9438): what nearly everybody else on the internet runs. We take
//! turns with it by its own rules where it fills the queue.

use std::time::{Duration, Instant};

/// RFC 9438 section 4.1.
const C: f64 = 0.4;
/// RFC 9438 section 4.6.
const BETA: f64 = 0.7;
/// RFC 9438 section 4.3, `alpha_cubic`.
const RENO_ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);
/// RFC 9438 section 4.6: two packets at least.
const MIN_PACKETS: f64 = 2.0;

/// A window after RFC 9438, in bytes.
#[derive(Clone, Debug)]
pub struct Cubic {
    packet: f64,
    window: f64,
    threshold: f64,
    /// In packets, as the RFC has it.
    w_max: f64,
    reno: f64,
    epoch: Option<Instant>,
    k: f64,
    recovering_since: Option<Instant>,
}

impl Cubic {
    /// Begins in slow start.
    #[must_use]
    pub fn new(packet_bytes: u16, window: u64) -> Self {
        Self {
            packet: f64::from(packet_bytes.max(1)),
            window: window as f64,
            threshold: f64::INFINITY,
            w_max: 0.0,
            reno: 0.0,
            epoch: None,
            k: 0.0,
            recovering_since: None,
        }
    }

    /// Begins in congestion avoidance, as if the last loss had been at this
    /// window.
    #[must_use]
    pub fn resumed(packet_bytes: u16, window: u64) -> Self {
        let mut cubic = Self::new(packet_bytes, window);
        cubic.threshold = cubic.window;
        cubic.w_max = cubic.window / cubic.packet;
        cubic
    }

    /// Bytes that may be in flight.
    #[must_use]
    pub const fn window(&self) -> u64 {
        self.window as u64
    }

    /// These bytes arrived while the window was in full use.
    pub fn on_acked(&mut self, now: Instant, sent_at: Instant, bytes: u64, rtt: Duration) {
        if self.recovering_since.is_some_and(|since| sent_at <= since) {
            return;
        }
        if self.window < self.threshold {
            self.window += bytes as f64;
            return;
        }
        let packets = self.window / self.packet;
        let epoch = *self.epoch.get_or_insert_with(|| {
            self.reno = packets;
            self.k = ((self.w_max - packets).max(0.0) / C).cbrt();
            now
        });
        if self.w_max < packets && self.k == 0.0 {
            self.w_max = packets;
        }
        let acked = bytes as f64 / self.packet;
        let elapsed = now.saturating_duration_since(epoch).saturating_add(rtt);
        let at = elapsed.as_secs_f64() - self.k;
        let goal = (C * at * at * at + self.w_max).clamp(packets, 1.5 * packets);
        let alpha = if self.reno < self.w_max {
            RENO_ALPHA
        } else {
            1.0
        };
        self.reno += alpha * acked / packets;
        let grown = packets + (goal - packets) / packets * acked;
        self.window = grown.max(self.reno) * self.packet;
    }

    /// A packet sent then was lost. True where that began a new recovery.
    pub fn on_lost(&mut self, now: Instant, sent_at: Instant, persistent: bool) -> bool {
        if self.recovering_since.is_some_and(|since| sent_at <= since) {
            return false;
        }
        self.recovering_since = Some(now);
        self.epoch = None;
        let packets = self.window / self.packet;
        // RFC 9438 section 4.7, fast convergence.
        self.w_max = if packets < self.w_max {
            packets * (1.0 + BETA) / 2.0
        } else {
            packets
        };
        let least = MIN_PACKETS * self.packet;
        self.threshold = (self.window * BETA).max(least);
        self.window = if persistent { least } else { self.threshold };
        true
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment will do")]
mod tests {
    use super::*;

    const PACKET: u16 = 1_000;
    const RTT: Duration = Duration::from_millis(50);

    /// One round trip after the other in which the whole window arrives.
    fn grow(cubic: &mut Cubic, from: Instant, rounds: u32) -> Instant {
        let mut now = from;
        for _ in 0..rounds {
            let sent = now;
            now += RTT;
            for _ in 0..cubic.window() / u64::from(PACKET) {
                cubic.on_acked(now, sent, PACKET.into(), RTT);
            }
        }
        now
    }

    #[test]
    fn slow_start_doubles_each_round_trip() {
        let mut cubic = Cubic::new(PACKET, 10_000);
        grow(&mut cubic, Instant::now(), 3);
        assert_eq!(cubic.window(), 80_000);
    }

    #[test]
    fn loss_takes_three_tenths_once_a_round_trip() {
        let now = Instant::now();
        let mut cubic = Cubic::new(PACKET, 100_000);
        assert!(cubic.on_lost(now, now, false));
        assert!(!cubic.on_lost(now, now, false));
        assert_eq!(cubic.window(), 70_000);
    }

    /// RFC 9438 section 4.2: K is the time back to the window of the loss.
    #[test]
    fn the_window_of_the_last_loss_is_reached_again_after_k() {
        let now = Instant::now();
        let mut cubic = Cubic::new(PACKET, 1_000_000);
        cubic.on_lost(now, now, false);
        let k = (1_000.0 * 0.3 / C).cbrt();
        let rounds = (k / RTT.as_secs_f64()) as u32;
        let later = grow(&mut cubic, now + RTT, rounds);
        assert!((980_000..1_020_000).contains(&cubic.window()), "{cubic:?}");
        grow(&mut cubic, later, rounds);
        assert!(cubic.window() > 1_200_000, "{cubic:?}");
    }
}
