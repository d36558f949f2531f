//! Whether a stranger's first packet may cost us anything.
//!
//! Pure. Counts handshakes and connections by address prefix; answers before
//! any key is computed. Established connections are never touched.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::limits::{PrefixLimits, TransportLimits};
use crate::prefixes::PrefixCounts;

/// What to do with a first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    /// Ask for proof of the address (RFC 9000 section 8.1.2).
    Retry,
    /// Say that we are full.
    Refuse,
    /// Say nothing: under a flood every answer feeds it.
    Ignore,
}

/// What is known about a first packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) remote: IpAddr,
    /// The source echoed a token of ours.
    pub(crate) validated: bool,
    /// Some tokens prove an address but still allow a Retry.
    pub(crate) may_retry: bool,
}

#[derive(Debug)]
pub(crate) struct Admission {
    max_connections: usize,
    max_handshakes: usize,
    retry_above: usize,
    retry_rate: u32,
    handshake_rate: u32,
    rate_by_prefix: PrefixLimits,
    open_by_prefix: PrefixLimits,
    connections: usize,
    handshakes: usize,
    open: PrefixCounts,
    second: Second,
}

/// Handshakes accepted since `begin`. Bounded by the rates themselves.
#[derive(Debug, Default)]
struct Second {
    begin: Option<Instant>,
    unproven: u32,
    proven: u32,
    proven_by_prefix: PrefixCounts,
}

const RATE_WINDOW: Duration = Duration::from_secs(1);

impl Admission {
    pub(crate) fn new(limits: &TransportLimits) -> Self {
        Self {
            max_connections: limits.max_connections,
            max_handshakes: limits.max_handshakes,
            retry_above: limits.retry_above,
            retry_rate: limits.retry_rate,
            handshake_rate: limits.handshake_rate,
            rate_by_prefix: limits.handshake_rate_by_prefix,
            open_by_prefix: limits.connections_by_prefix,
            connections: 0,
            handshakes: 0,
            open: PrefixCounts::default(),
            second: Second::default(),
        }
    }

    pub(crate) fn judge(&mut self, now: Instant, attempt: Attempt) -> Verdict {
        self.second.roll(now);
        if self.handshakes >= self.max_handshakes || self.is_too_fast(attempt) {
            return Verdict::Ignore;
        }
        let full = self.connections >= self.max_connections
            || self.open.is_full(attempt.remote, self.open_by_prefix);
        if !attempt.validated {
            let pressed = full
                || self.handshakes >= self.retry_above
                || self.second.unproven >= self.retry_rate;
            if pressed {
                // A forged address must not use up the quota of its owner.
                return if attempt.may_retry {
                    Verdict::Retry
                } else {
                    Verdict::Ignore
                };
            }
        }
        if full {
            Verdict::Refuse
        } else {
            Verdict::Accept
        }
    }

    /// A handshake began.
    pub(crate) fn opened(&mut self, now: Instant, remote: IpAddr, validated: bool) {
        self.connections += 1;
        self.handshakes += 1;
        self.open.add(remote);
        self.second.roll(now);
        if validated {
            self.second.proven += 1;
            self.second.proven_by_prefix.add(remote);
        } else {
            self.second.unproven += 1;
        }
    }

    /// A handshake succeeded or failed.
    pub(crate) const fn handshake_ended(&mut self) {
        self.handshakes = self.handshakes.saturating_sub(1);
    }

    /// A connection is gone; `remote` is the address it was opened from.
    pub(crate) fn closed(&mut self, remote: IpAddr) {
        self.connections = self.connections.saturating_sub(1);
        self.open.remove(remote);
    }

    /// A handshake costs a signature: whoever can prove addresses can still ask
    /// for too many, all at once or from one place.
    fn is_too_fast(&self, attempt: Attempt) -> bool {
        attempt.validated
            && (self.second.proven >= self.handshake_rate
                || self
                    .second
                    .proven_by_prefix
                    .is_full(attempt.remote, self.rate_by_prefix))
    }
}

impl Second {
    fn roll(&mut self, now: Instant) {
        let is_over = self
            .begin
            .is_none_or(|begin| now.saturating_duration_since(begin) >= RATE_WINDOW);
        if is_over {
            self.begin = Some(now);
            self.unproven = 0;
            self.proven = 0;
            self.proven_by_prefix.clear();
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment will do")]
mod tests {
    use super::*;

    fn limits() -> TransportLimits {
        TransportLimits {
            max_connections: 100,
            max_handshakes: 20,
            retry_above: 10,
            retry_rate: 50,
            handshake_rate: 40,
            handshake_rate_by_prefix: PrefixLimits::widening(10),
            connections_by_prefix: PrefixLimits {
                address: 5,
                v6_56: 100,
                v6_48: 8,
            },
            ..TransportLimits::default()
        }
    }

    fn unproven(remote: &str) -> Attempt {
        Attempt {
            remote: remote.parse().unwrap(),
            validated: false,
            may_retry: true,
        }
    }

    fn proven(remote: &str) -> Attempt {
        Attempt {
            validated: true,
            may_retry: false,
            ..unproven(remote)
        }
    }

    #[test]
    fn strangers_prove_their_address_once_many_handshakes_are_open() {
        let now = Instant::now();
        let mut admission = Admission::new(&limits());
        for host in 0..10_u8 {
            let attempt = unproven(&format!("192.0.2.{host}"));
            assert_eq!(admission.judge(now, attempt), Verdict::Accept);
            admission.opened(now, attempt.remote, false);
        }
        assert_eq!(admission.judge(now, unproven("192.0.2.99")), Verdict::Retry);
        assert_eq!(admission.judge(now, proven("192.0.2.99")), Verdict::Accept);
        admission.handshake_ended();
        assert_eq!(
            admission.judge(now, unproven("192.0.2.99")),
            Verdict::Accept
        );
    }

    #[test]
    fn a_flood_of_handshakes_gets_no_answer() {
        let now = Instant::now();
        let mut admission = Admission::new(&limits());
        for host in 0..20_u8 {
            admission.opened(now, [192, 0, 2, host].into(), true);
        }
        assert_eq!(
            admission.judge(now, proven("198.51.100.1")),
            Verdict::Ignore
        );
    }

    #[test]
    fn a_prefix_that_has_its_share_is_refused_but_only_once_proven() {
        let now = Instant::now();
        let mut admission = Admission::new(&limits());
        for _ in 0..5 {
            admission.opened(now, "2001:db8:0:1::7".parse().unwrap(), true);
            admission.handshake_ended();
        }
        assert_eq!(
            admission.judge(now, unproven("2001:db8:0:1::8")),
            Verdict::Retry
        );
        assert_eq!(
            admission.judge(now, proven("2001:db8:0:1::8")),
            Verdict::Refuse
        );
        assert_eq!(
            admission.judge(now, proven("2001:db8:0:2::8")),
            Verdict::Accept
        );
        for _ in 0..3 {
            admission.opened(now, "2001:db8:0:2::7".parse().unwrap(), true);
            admission.handshake_ended();
        }
        assert_eq!(
            admission.judge(now, proven("2001:db8:0:3::8")),
            Verdict::Refuse
        );
        assert_eq!(
            admission.judge(now, proven("2001:db8:1:3::8")),
            Verdict::Accept
        );
        admission.closed("2001:db8:0:2::7".parse().unwrap());
        assert_eq!(
            admission.judge(now, proven("2001:db8:0:3::8")),
            Verdict::Accept
        );
    }

    #[test]
    fn a_fast_arrival_rate_asks_for_proof_until_the_second_is_over() {
        let now = Instant::now();
        let mut admission = Admission::new(&limits());
        for host in 0..50_u8 {
            admission.opened(now, [192, 0, 2, host].into(), false);
            admission.handshake_ended();
        }
        assert_eq!(
            admission.judge(now, unproven("198.51.100.1")),
            Verdict::Retry
        );
        let later = now + RATE_WINDOW;
        assert_eq!(
            admission.judge(later, unproven("198.51.100.1")),
            Verdict::Accept
        );
    }

    #[test]
    fn proven_addresses_have_a_rate_too_each_and_together() {
        let now = Instant::now();
        let mut admission = Admission::new(&limits());
        let churn = |admission: &mut Admission, remote: &str| {
            let attempt = proven(remote);
            let verdict = admission.judge(now, attempt);
            if verdict == Verdict::Accept {
                admission.opened(now, attempt.remote, true);
                admission.handshake_ended();
                admission.closed(attempt.remote);
            }
            verdict
        };
        for _ in 0..10 {
            assert_eq!(churn(&mut admission, "192.0.2.1"), Verdict::Accept);
        }
        assert_eq!(churn(&mut admission, "192.0.2.1"), Verdict::Ignore);
        for host in 2..32 {
            let remote = format!("192.0.2.{host}");
            assert_eq!(churn(&mut admission, &remote), Verdict::Accept);
        }
        assert_eq!(churn(&mut admission, "192.0.2.99"), Verdict::Ignore);
        let later = now + RATE_WINDOW;
        assert_eq!(admission.judge(later, proven("192.0.2.1")), Verdict::Accept);
    }

    #[test]
    fn nothing_is_remembered_of_connections_that_are_gone() {
        let now = Instant::now();
        let mut admission = Admission::new(&limits());
        for remote in ["192.0.2.1", "2001:db8::1", "::"] {
            let remote = remote.parse().unwrap();
            admission.opened(now, remote, true);
            admission.handshake_ended();
            admission.closed(remote);
        }
        assert!(admission.open.is_empty());
        admission.judge(now + RATE_WINDOW, proven("192.0.2.1"));
        assert!(admission.second.proven_by_prefix.is_empty());
        assert_eq!((admission.connections, admission.handshakes), (0, 0));
    }
}
