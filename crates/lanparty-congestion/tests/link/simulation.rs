//! The event loop: some senders through one bottleneck, and their answers on
//! the way back.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::path::{Fate, Line, Link, MS, Nanos};
use crate::report::{FlowLog, Report};
use crate::sender::{Kind, Sender, Step, Work};

/// RFC 9000's acknowledgement of an ordinary receiver would be 2 and 25 ms;
/// our programs ask for these.
const ACK_EVERY: usize = 10;
const MAX_ACK_DELAY: Nanos = 5 * MS;
/// Of a timer: epoll and a busy machine.
const LATENESS: Nanos = MS / 10;
const ACK_BYTES: u64 = 90;
/// On their way at once; a rate that ran away would take all memory first.
const MOST_WINDOW: u64 = 400_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) forward: Line,
    pub(crate) back: Line,
    pub(crate) flows: Vec<(Kind, Work)>,
    pub(crate) time: Nanos,
    pub(crate) seed: u64,
    /// Microseconds that the peer's clock gains, per second.
    pub(crate) drift_ppm: f64,
    /// The peer's clock is set by this many microseconds then.
    pub(crate) clock_step: Option<(Nanos, i64)>,
    /// Bits a second that fill the way back, from then on.
    pub(crate) back_traffic: Option<(f64, Nanos)>,
    /// A stall on either host and in between, so many a second.
    pub(crate) stalls: f64,
    /// How long one is, at least and at most.
    pub(crate) stall: (Nanos, Nanos),
}

impl Scenario {
    pub(crate) fn new(
        forward: Line,
        back_delay: Nanos,
        flows: Vec<(Kind, Work)>,
        time: Nanos,
    ) -> Self {
        Self {
            forward,
            back: Line::new(1e9, back_delay, 10_000_000),
            flows,
            time,
            seed: 1,
            drift_ppm: 0.0,
            clock_step: None,
            back_traffic: None,
            stalls: 0.0,
            stall: (MS, 5 * MS),
        }
    }

    pub(crate) fn seeded(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub(crate) fn run(self) -> Report {
        Simulation::new(self).run()
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Wake(usize),
    Timer(usize),
    Data {
        flow: usize,
        number: u64,
        sent_at: Nanos,
        mark: bool,
    },
    AckTimer(usize, u64),
    Ack {
        flow: usize,
        numbers: Vec<u64>,
    },
    Echo {
        flow: usize,
        sent_at: Nanos,
        relative_us: i64,
    },
    BackTraffic,
    Stall,
    Sample,
}

#[derive(Debug, Default)]
struct Receiver {
    unacked: Vec<u64>,
    generation: u64,
}

struct Simulation {
    scenario: Scenario,
    events: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    order: u64,
    forward: Link,
    back: Link,
    senders: Vec<Sender>,
    receivers: Vec<Receiver>,
    woken: Vec<Nanos>,
    timed: Vec<Nanos>,
    frozen: [Nanos; 2],
    rng: StdRng,
    report: Report,
}

impl Simulation {
    #[expect(
        clippy::disallowed_methods,
        reason = "any moment will do as the origin"
    )]
    fn new(scenario: Scenario) -> Self {
        let base = Instant::now();
        let start = |work: &Work| match work {
            Work::Bulk(from, _) => *from,
            Work::TrickleThenBulk(..) => 0,
        };
        let senders: Vec<_> = scenario
            .flows
            .iter()
            .map(|(kind, work)| Sender::new(*kind, work.clone(), base, start(work)))
            .collect();
        let count = senders.len();
        let mut simulation = Self {
            events: BinaryHeap::new(),
            order: 0,
            forward: Link::new(scenario.forward.clone()),
            back: Link::new(scenario.back.clone()),
            senders,
            receivers: (0..count).map(|_| Receiver::default()).collect(),
            woken: vec![Nanos::MAX; count],
            timed: vec![Nanos::MAX; count],
            frozen: [0; 2],
            rng: StdRng::seed_from_u64(scenario.seed),
            report: Report {
                flows: vec![FlowLog::default(); count],
                rates: scenario.forward.rates.clone(),
                queue: Vec::new(),
                time: scenario.time,
            },
            scenario,
        };
        for flow in 0..count {
            let at = start(&simulation.scenario.flows[flow].1);
            simulation.wake(flow, at);
        }
        if let Some((_, at)) = simulation.scenario.back_traffic {
            simulation.put(at, Event::BackTraffic);
        }
        if simulation.scenario.stalls > 0.0 {
            simulation.put(0, Event::Stall);
        }
        simulation.put(0, Event::Sample);
        simulation
    }

    fn put(&mut self, at: Nanos, event: Event) {
        self.order += 1;
        self.events.push(Reverse((at, self.order, event)));
    }

    fn wake(&mut self, flow: usize, at: Nanos) {
        if at < self.woken[flow] {
            self.woken[flow] = at;
            self.put(at, Event::Wake(flow));
        }
    }

    fn run(mut self) -> Report {
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            if now > self.scenario.time {
                break;
            }
            let host = match event {
                Event::Wake(_) | Event::Timer(_) | Event::Ack { .. } | Event::Echo { .. } => 0,
                Event::Data { .. } | Event::AckTimer(..) => 1,
                Event::BackTraffic | Event::Stall | Event::Sample => 2,
            };
            if let Some(until) = self.frozen.get(host)
                && *until > now
            {
                let until = *until;
                self.put(until, event);
                continue;
            }
            self.handle(now, event);
        }
        for (flow, sender) in self.senders.iter().enumerate() {
            self.report.flows[flow].lost = sender.lost;
            self.report.flows[flow].sent = sender.sent;
        }
        self.report
    }

    fn handle(&mut self, now: Nanos, event: Event) {
        match event {
            Event::Wake(flow) => {
                // A stall moves a wake-up; an earlier one makes it superfluous.
                if self.woken[flow] <= now {
                    self.woken[flow] = Nanos::MAX;
                    self.pump(now, flow);
                }
            }
            Event::Timer(flow) => {
                self.timed[flow] = Nanos::MAX;
                self.senders[flow].on_timer(now);
                self.pump(now, flow);
            }
            Event::Data {
                flow,
                number,
                sent_at,
                mark,
            } => {
                self.receive(now, flow, number, sent_at, mark);
            }
            Event::AckTimer(flow, generation) => {
                if self.receivers[flow].generation == generation {
                    self.acknowledge(now, flow);
                }
            }
            Event::Ack { flow, numbers } => {
                self.senders[flow].on_ack(now, &numbers);
                self.pump(now, flow);
            }
            Event::Echo {
                flow,
                sent_at,
                relative_us,
            } => {
                self.senders[flow].on_echo(now, sent_at, relative_us);
                self.pump(now, flow);
            }
            Event::BackTraffic => {
                let (rate, _) = self.scenario.back_traffic.expect("was started");
                let _ = self.back.send(now, 1_500, &mut self.rng);
                self.put(now + (1_500.0 * 8e9 / rate) as Nanos, Event::BackTraffic);
            }
            Event::Stall => {
                let (least, most) = self.scenario.stall;
                let time = self.rng.random_range(least..most);
                match self.rng.random_range(0..3) {
                    2 => self.forward.stall(now, time),
                    host => self.frozen[host] = now + time,
                }
                let gap = 2e9 / self.scenario.stalls * self.rng.random::<f64>();
                self.put(now + gap as Nanos, Event::Stall);
            }
            Event::Sample => {
                self.report.queue.push((now, self.forward.queue(now)));
                for (log, sender) in self.report.flows.iter_mut().zip(&self.senders) {
                    log.competing += u64::from(sender.is_competing());
                }
                self.put(now + MS, Event::Sample);
            }
        }
    }

    fn pump(&mut self, now: Nanos, flow: usize) {
        let window = self.senders[flow].window();
        assert!(window < MOST_WINDOW, "at {now} ns: {:?}", self.scenario);
        loop {
            match self.senders[flow].step(now) {
                Step::Send { number, mark } => {
                    let bytes = crate::sender::PACKET;
                    match self.forward.send(now, bytes, &mut self.rng) {
                        Fate::Dropped => {}
                        Fate::Arrives { queued, at } => {
                            self.report.flows[flow].delays.push((now, queued));
                            self.put(
                                at,
                                Event::Data {
                                    flow,
                                    number,
                                    sent_at: now,
                                    mark,
                                },
                            );
                        }
                    }
                }
                Step::Wait(next) => {
                    if let Some(next) = next {
                        let late = self.rng.random_range(0..LATENESS);
                        self.wake(flow, next + late);
                    }
                    break;
                }
            }
        }
        if let Some(deadline) = self.senders[flow].deadline() {
            let deadline = deadline.max(now + 1);
            if self.timed[flow] == Nanos::MAX {
                self.timed[flow] = deadline;
                self.put(deadline, Event::Timer(flow));
            }
        }
    }

    fn receive(&mut self, now: Nanos, flow: usize, number: u64, sent_at: Nanos, mark: bool) {
        let bytes = crate::sender::PACKET;
        self.report.flows[flow].arrivals.push((now, bytes));
        if mark {
            let mut clock = now as f64 / 1e3 * (1.0 + self.scenario.drift_ppm * 1e-6) + 7.7e9;
            if let Some((at, step)) = self.scenario.clock_step
                && now >= at
            {
                clock += step as f64;
            }
            let relative_us = clock as i64 - (sent_at / 1_000) as i64;
            if let Fate::Arrives { at, .. } = self.back.send(now, ACK_BYTES, &mut self.rng) {
                self.put(
                    at,
                    Event::Echo {
                        flow,
                        sent_at,
                        relative_us,
                    },
                );
            }
        }
        let receiver = &mut self.receivers[flow];
        receiver.unacked.push(number);
        if receiver.unacked.len() >= ACK_EVERY {
            self.acknowledge(now, flow);
        } else if receiver.unacked.len() == 1 {
            let generation = receiver.generation;
            self.put(now + MAX_ACK_DELAY, Event::AckTimer(flow, generation));
        }
    }

    fn acknowledge(&mut self, now: Nanos, flow: usize) {
        let receiver = &mut self.receivers[flow];
        receiver.generation += 1;
        let generation = receiver.generation;
        let numbers = std::mem::take(&mut receiver.unacked);
        if let Fate::Arrives { at, .. } = self.back.send(now, ACK_BYTES, &mut self.rng) {
            self.put(at, Event::Ack { flow, numbers });
        } else {
            // The next acknowledgement names them too.
            self.receivers[flow].unacked = numbers;
            self.put(now + MAX_ACK_DELAY, Event::AckTimer(flow, generation));
        }
    }
}
