//! A connection's sending side as quinn does it: packet numbers, loss by
//! reordering and by time, probes; above it either our controller or Cubic.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lanparty_congestion::{Config, Controller, Cubic, Mode, Pacer, Rtt};

use crate::path::{MS, Nanos, SECOND};

pub(crate) const PACKET: u64 = 1_472;

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    /// Ours, with a peer that tells no times.
    OursByRoundTrip,
    Cubic,
}

#[derive(Clone, Debug)]
enum Brain {
    Ours(Box<Controller>, Pacer),
    Cubic(Cubic),
}

/// When there is something to send.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Always, from then until then.
    Bulk(Nanos, Nanos),
    /// So many bits a second until then, and bulk afterwards.
    TrickleThenBulk(f64, Nanos),
}

#[derive(Debug)]
pub(crate) struct Sender {
    brain: Brain,
    pub(crate) kind: Kind,
    pub(crate) work: Work,
    base: Instant,
    next_number: u64,
    in_flight: BTreeMap<u64, (Nanos, u64)>,
    bytes_in_flight: u64,
    largest_acked: u64,
    srtt: f64,
    rttvar: f64,
    latest: f64,
    min: f64,
    pub(crate) last_heard: Nanos,
    pub(crate) offered: f64,
    marked: Nanos,
    probes: u32,
    pub(crate) lost: u64,
    pub(crate) sent: u64,
}

pub(crate) enum Step {
    /// Send a packet of this number, with a mark or without.
    Send { number: u64, mark: bool },
    /// Come again then.
    Wait(Option<Nanos>),
}

impl Sender {
    pub(crate) fn new(kind: Kind, work: Work, base: Instant, now: Nanos) -> Self {
        let at = base + Duration::from_nanos(now);
        let brain = match kind {
            Kind::Ours | Kind::OursByRoundTrip => Brain::Ours(
                Box::new(Controller::new(Config::default(), at, PACKET as u16)),
                Pacer::new(at),
            ),
            Kind::Cubic => Brain::Cubic(Cubic::new(PACKET as u16, 10 * PACKET)),
        };
        Self {
            brain,
            kind,
            work,
            base,
            next_number: 1,
            in_flight: BTreeMap::new(),
            bytes_in_flight: 0,
            largest_acked: 0,
            srtt: 0.0,
            rttvar: 0.0,
            latest: 0.0,
            min: f64::INFINITY,
            last_heard: now,
            offered: 0.0,
            marked: 0,
            probes: 0,
            lost: 0,
            sent: 0,
        }
    }

    fn at(&self, now: Nanos) -> Instant {
        self.base + Duration::from_nanos(now)
    }

    pub(crate) fn controller(&self) -> Option<&Controller> {
        match &self.brain {
            Brain::Ours(controller, _) => Some(controller),
            Brain::Cubic(_) => None,
        }
    }

    pub(crate) fn is_competing(&self) -> bool {
        self.controller()
            .is_some_and(|controller| controller.snapshot().mode == Mode::Competing)
    }

    pub(crate) fn window(&self) -> u64 {
        match &self.brain {
            Brain::Ours(controller, _) => controller.window(),
            Brain::Cubic(cubic) => cubic.window(),
        }
    }

    fn wants(&mut self, now: Nanos) -> Result<(), Option<Nanos>> {
        // The handshake.
        if self.largest_acked == 0 && self.sent > 0 {
            return Err(None);
        }
        match self.work {
            Work::Bulk(from, to) if now < from => Err(Some(from.min(to))),
            Work::Bulk(_, to) if now >= to => Err(None),
            Work::TrickleThenBulk(rate, until) if now < until => {
                let due = self.offered / rate * 8e9;
                if due as Nanos <= now {
                    Ok(())
                } else {
                    Err(Some(due as Nanos))
                }
            }
            Work::Bulk(..) | Work::TrickleThenBulk(..) => Ok(()),
        }
    }

    /// What to do now.
    pub(crate) fn step(&mut self, now: Nanos) -> Step {
        let at = self.at(now);
        if self.probes > 0 {
            self.probes -= 1;
            return self.emit(now);
        }
        if let Err(next) = self.wants(now) {
            if let Brain::Ours(controller, _) = &mut self.brain {
                controller.set_backlogged(at, false);
            }
            return Step::Wait(next);
        }
        let fits = self.bytes_in_flight + PACKET < self.window();
        match &mut self.brain {
            Brain::Ours(controller, pacer) => {
                if !fits {
                    controller.set_backlogged(at, true);
                    return Step::Wait(None);
                }
                let rate = controller.rate();
                if pacer.allowance(at, rate, PACKET as u16) == 0 {
                    controller.set_backlogged(at, true);
                    let next = pacer.next(PACKET, rate).expect("no allowance");
                    let next = next.saturating_duration_since(self.base).as_nanos() as Nanos;
                    return Step::Wait(Some(next.max(now + 1)));
                }
                pacer.spend(PACKET);
            }
            Brain::Cubic(_) if !fits => return Step::Wait(None),
            Brain::Cubic(_) => {}
        }
        self.offered += PACKET as f64;
        self.emit(now)
    }

    fn emit(&mut self, now: Nanos) -> Step {
        let number = self.next_number;
        self.next_number += 1;
        let is_first = self.in_flight.is_empty();
        if is_first {
            self.last_heard = now;
        }
        self.in_flight.insert(number, (now, PACKET));
        self.bytes_in_flight += PACKET;
        self.sent += 1;
        let at = self.at(now);
        if let Brain::Ours(controller, _) = &mut self.brain {
            controller.on_sent(at, PACKET);
        }
        let mark = self.kind == Kind::Ours && now >= self.marked + 5 * MS;
        if mark {
            self.marked = now;
        }
        Step::Send { number, mark }
    }

    /// The packets of these numbers arrived.
    pub(crate) fn on_ack(&mut self, now: Nanos, numbers: &[u64]) {
        let at = self.at(now);
        let mut newest = None;
        let was_full = self.bytes_in_flight + 2 * PACKET >= self.window();
        for number in numbers {
            let Some((sent_at, bytes)) = self.in_flight.remove(number) else {
                continue;
            };
            self.bytes_in_flight -= bytes;
            newest = newest.max(Some((*number, sent_at)));
            let sent = self.base + Duration::from_nanos(sent_at);
            let rtt = Duration::from_secs_f64(self.srtt);
            match &mut self.brain {
                Brain::Ours(controller, _) => controller.on_acked(at, sent, bytes),
                Brain::Cubic(cubic) if was_full => cubic.on_acked(at, sent, bytes, rtt),
                Brain::Cubic(_) => {}
            }
        }
        let Some((number, sent_at)) = newest else {
            return;
        };
        self.last_heard = now;
        self.largest_acked = self.largest_acked.max(number);
        let rtt = Rtt {
            latest: Duration::from_secs_f64(self.latest),
            smoothed: Duration::from_secs_f64(self.srtt),
            min: Duration::from_secs_f64(if self.min.is_finite() { self.min } else { 0.0 }),
        };
        if let Brain::Ours(controller, _) = &mut self.brain {
            controller.on_acks_end(at, self.bytes_in_flight, rtt);
        }
        if number == self.largest_acked {
            let sample = (now - sent_at) as f64 / 1e9;
            self.latest = sample;
            self.min = self.min.min(sample);
            if self.srtt == 0.0 {
                self.srtt = sample;
                self.rttvar = sample / 2.0;
            } else {
                self.rttvar += ((sample - self.srtt).abs() - self.rttvar) / 4.0;
                self.srtt += (sample - self.srtt) / 8.0;
            }
        }
        self.find_lost(now);
    }

    pub(crate) fn on_echo(&mut self, now: Nanos, sent_at: Nanos, relative_us: i64) {
        let (at, sent) = (self.at(now), self.at(sent_at));
        if let Brain::Ours(controller, _) = &mut self.brain {
            controller.on_one_way_delay(at, sent, relative_us);
        }
    }

    fn pto(&self) -> Nanos {
        if self.srtt == 0.0 {
            return SECOND / 3;
        }
        ((self.srtt + (4.0 * self.rttvar).max(0.001) + 0.005) * 1e9) as Nanos
    }

    /// When [`Self::on_timer`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        if self.in_flight.is_empty() {
            return None;
        }
        Some(self.last_heard + self.pto())
    }

    pub(crate) fn on_timer(&mut self, now: Nanos) {
        self.find_lost(now);
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.probes = 2;
            self.last_heard = now;
        }
    }

    fn find_lost(&mut self, now: Nanos) {
        if self.largest_acked == 0 {
            return;
        }
        let delay = (self.srtt.max(self.latest) * 1.5).max(0.001);
        let before = now.saturating_sub((delay * 1e9) as Nanos);
        let lost: Vec<_> = self
            .in_flight
            .range(..self.largest_acked)
            .filter(|(number, (sent_at, _))| {
                **number + 256 <= self.largest_acked || *sent_at <= before
            })
            .map(|(number, (sent_at, bytes))| (*number, *sent_at, *bytes))
            .collect();
        let (Some(first), Some(last)) = (lost.first(), lost.last()) else {
            return;
        };
        let persistent =
            last.1 - first.1 > 3 * self.pto() && last.0 - first.0 + 1 == lost.len() as u64;
        let mut bytes = 0;
        for (number, _, size) in &lost {
            self.in_flight.remove(number);
            self.bytes_in_flight -= size;
            bytes += size;
            self.lost += 1;
        }
        let (at, sent) = (self.at(now), self.at(last.1));
        match &mut self.brain {
            Brain::Ours(controller, _) => controller.on_lost(at, sent, bytes, persistent),
            Brain::Cubic(cubic) => {
                cubic.on_lost(at, sent, persistent);
            }
        }
    }
}
