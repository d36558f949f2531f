//! Our controller behind quinn's trait, and the connection's own hold on it.
//!
//! quinn tells its controller of packets and asks it for a window. What our
//! scheduler knows (whether data waits) and what the peer's timing echoes say
//! has to reach the same controller, and its rate has to come out; quinn hands
//! it out only as a shared reference to a trait object. So it lies behind a
//! lock, which one thread takes and nobody ever waits for. The window, which
//! quinn asks for with every packet, is beside it.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lanparty_congestion::{Config, Controller, Rtt, Snapshot};
use quinn_proto::congestion::{self, ControllerFactory};
use quinn_proto::{Connection, RttEstimator};

/// Makes controllers for connections and for new paths of theirs.
#[derive(Debug)]
pub(super) struct Factory(pub(super) Config);

impl ControllerFactory for Factory {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn congestion::Controller> {
        let controller = Controller::new(self.0, now, mtu);
        Box::new(Regulator {
            shared: Arc::new(Shared {
                window: AtomicU64::new(controller.window()),
                controller: Mutex::new(controller),
            }),
            initial_window: self.0.initial_window,
            acked: None,
        })
    }
}

/// One controller. Clones share it: quinn clones it for a path that looks like
/// the old one after a NAT rebinding, and then uses either the new path's or,
/// should that prove false, the old one's, never both.
#[derive(Clone, Debug)]
pub(crate) struct Regulator {
    shared: Arc<Shared>,
    initial_window: u64,
    /// Of the acknowledgement that is being told: when the newest packet was
    /// sent, and the round trip as quinn knew it before.
    acked: Option<(Instant, Rtt)>,
}

#[derive(Debug)]
struct Shared {
    controller: Mutex<Controller>,
    /// The controller's, in bytes.
    window: AtomicU64,
}

impl Regulator {
    /// What this connection's present path is under; `None` where that is one
    /// of quinn's own controllers.
    pub(crate) fn of(conn: &Connection) -> Option<Self> {
        let controller = conn.congestion_state().clone_box().into_any();
        controller
            .downcast::<Self>()
            .ok()
            .map(|regulator| *regulator)
    }

    pub(crate) fn rate(&self) -> Option<u64> {
        self.lock().rate()
    }

    pub(crate) fn set_backlogged(&self, now: Instant, backlogged: bool) {
        self.lock().set_backlogged(now, backlogged);
    }

    pub(crate) fn on_one_way_delay(&self, now: Instant, sent_at: Instant, relative_us: i64) {
        self.decide(|controller| controller.on_one_way_delay(now, sent_at, relative_us));
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.lock().snapshot()
    }

    fn lock(&self) -> MutexGuard<'_, Controller> {
        // A panic inside is contained by ending the connection.
        self.shared
            .controller
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the controller what may change its window.
    fn decide(&self, tell: impl FnOnce(&mut Controller)) {
        let mut controller = self.lock();
        tell(&mut controller);
        let window = controller.window();
        self.shared.window.store(window, Ordering::Relaxed);
    }
}

impl congestion::Controller for Regulator {
    fn on_sent(&mut self, now: Instant, bytes: u64, _last_packet_number: u64) {
        self.lock().on_sent(now, bytes);
    }

    /// quinn's word on whether the application limits is of no use: it is fed
    /// just in time, and so it finds its buffer empty all the time.
    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        _app_limited: bool,
        rtt: &RttEstimator,
    ) {
        let newest = self.acked.map_or(sent, |(newest, _)| newest.max(sent));
        // quinn updates its estimate only after the whole acknowledgement.
        let latest = now.saturating_duration_since(newest);
        let rtt = Rtt {
            latest,
            smoothed: rtt.get(),
            min: rtt.min().min(latest),
        };
        self.acked = Some((newest, rtt));
        self.lock().on_acked(now, sent, bytes);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        _app_limited: bool,
        _largest_packet_num_acked: Option<u64>,
    ) {
        if let Some((_, rtt)) = self.acked.take() {
            self.decide(|controller| controller.on_acks_end(now, in_flight, rtt));
        }
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.decide(|controller| {
            controller.on_lost(now, sent, lost_bytes, is_persistent_congestion);
        });
    }

    fn on_mtu_update(&mut self, mtu: u16) {
        self.lock().on_packet_bytes(mtu);
    }

    fn window(&self) -> u64 {
        self.shared.window.load(Ordering::Relaxed)
    }

    fn clone_box(&self) -> Box<dyn congestion::Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.initial_window
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
