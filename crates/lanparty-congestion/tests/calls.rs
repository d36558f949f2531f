//! Whatever is called in whatever order, the answers stay usable.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use lanparty_congestion::{Config, Controller, Pacer, Rtt};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Call {
    Sent(u64),
    Acked {
        age_us: u64,
        bytes: u64,
    },
    AcksEnd {
        rtt_us: u64,
    },
    Lost {
        age_us: u64,
        bytes: u64,
        persistent: bool,
    },
    OneWay {
        age_us: u64,
        relative_us: i64,
    },
    PacketBytes(u16),
    Backlogged(bool),
    Forward(u64),
    Back(u64),
}

fn call() -> impl Strategy<Value = Call> {
    let age = prop_oneof![0..100_000_u64, Just(0), 0..100_000_000_u64];
    let bytes = prop_oneof![0..3_000_u64, 0..=u64::from(u32::MAX)];
    let relative = prop_oneof![0..100_000_i64, any::<i64>()];
    prop_oneof![
        4 => bytes.clone().prop_map(Call::Sent),
        4 => (age.clone(), bytes.clone()).prop_map(|(age_us, bytes)| Call::Acked { age_us, bytes }),
        4 => prop_oneof![0..1_000_000_u64, any::<u64>()].prop_map(|rtt_us| Call::AcksEnd { rtt_us }),
        2 => (age.clone(), bytes, any::<bool>())
            .prop_map(|(age_us, bytes, persistent)| Call::Lost { age_us, bytes, persistent }),
        4 => (age, relative).prop_map(|(age_us, relative_us)| Call::OneWay { age_us, relative_us }),
        1 => any::<u16>().prop_map(Call::PacketBytes),
        2 => any::<bool>().prop_map(Call::Backlogged),
        4 => prop_oneof![0..20_000_u64, 0..100_000_000_u64].prop_map(Call::Forward),
        1 => (0..20_000_u64).prop_map(Call::Back),
    ]
}

proptest! {
    #[test]
    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    fn no_sequence_of_calls_panics_or_stops_a_connection(calls in vec(call(), 0..600)) {
        let origin = Instant::now() + Duration::from_secs(1_000_000);
        let mut now = origin;
        let mut controller = Controller::new(Config::default(), now, 1_472);
        let mut pacer = Pacer::new(now);
        for call in calls {
            let ago = |us| now.checked_sub(Duration::from_micros(us)).unwrap_or(now);
            match call {
                Call::Sent(bytes) => controller.on_sent(now, bytes),
                Call::Acked { age_us, bytes } => controller.on_acked(now, ago(age_us), bytes),
                Call::AcksEnd { rtt_us } => {
                    let rtt = Duration::from_micros(rtt_us);
                    controller.on_acks_end(now, 0, Rtt { latest: rtt, smoothed: rtt, min: rtt });
                }
                Call::Lost { age_us, bytes, persistent } => {
                    controller.on_lost(now, ago(age_us), bytes, persistent);
                }
                Call::OneWay { age_us, relative_us } => {
                    controller.on_one_way_delay(now, ago(age_us), relative_us);
                }
                Call::PacketBytes(bytes) => controller.on_packet_bytes(bytes),
                Call::Backlogged(backlogged) => controller.set_backlogged(now, backlogged),
                Call::Forward(us) => now += Duration::from_micros(us),
                Call::Back(us) => now -= Duration::from_micros(us),
            }
            prop_assert!(controller.window() > 0);
            prop_assert!(controller.rate() != Some(0));
            let _ = controller.snapshot();
            let allowance = pacer.allowance(now, controller.rate(), 1_472);
            pacer.spend(allowance.min(1_000_000));
            if let Some(next) = pacer.next(1, controller.rate()) {
                prop_assert!(next <= now + Duration::from_secs(10));
            }
        }
    }
}
