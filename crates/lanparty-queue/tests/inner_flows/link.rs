//! A bottleneck behind a fair queue, under virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use lanparty_queue::{FairQueue, FlowKey, QueueLimits};

use crate::tcp::{Micros, Tcp};

/// What QUIC, UDP and IPv4 add to a datagram at the bottleneck; the queue
/// reckons with about the same.
const OUTER: usize = 64;

/// Who sends into the queue.
#[derive(Debug)]
pub(crate) enum Source {
    Tcp {
        tcp: Tcp,
        rtt: Micros,
    },
    /// A datagram every so often, come what may.
    Clock {
        every: Micros,
    },
    /// The same with another tag each time.
    Spray {
        every: Micros,
    },
}

#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) key: FlowKey,
    pub(crate) len: usize,
    pub(crate) source: Source,
    /// Waiting times of what left, with the moment, service not included.
    pub(crate) waits: Vec<(Micros, Micros)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Begin(usize),
    Served(usize, u64),
    Acked(usize, u64),
    Clock(usize),
    Timeout(usize),
}

#[derive(Debug)]
struct Packet {
    flow: usize,
    number: u64,
    len: usize,
    pushed: Micros,
}

#[derive(Debug)]
pub(crate) struct Link {
    begin: Instant,
    now: Micros,
    /// Bytes a second.
    rate: u64,
    queue: FairQueue<Packet>,
    busy: bool,
    /// Moment and bytes of each departure.
    departures: Vec<(Micros, usize)>,
    pub(crate) flows: Vec<Flow>,
    events: BinaryHeap<Reverse<(Micros, u64, Event)>>,
    order: u64,
    dither: u64,
}

impl Link {
    pub(crate) fn new(bits_per_second: u64, limits: QueueLimits) -> Self {
        #[expect(clippy::disallowed_methods, reason = "where the virtual clock starts")]
        let begin = Instant::now();
        let rate = bits_per_second / 8;
        let mut queue = FairQueue::new(limits);
        queue.set_rate(Some(rate));
        Self {
            begin,
            now: 0,
            rate,
            queue,
            busy: false,
            departures: Vec::new(),
            flows: Vec::new(),
            events: BinaryHeap::new(),
            order: 0,
            dither: 1,
        }
    }

    pub(crate) fn add(&mut self, key: FlowKey, len: usize, source: Source, at: Micros) -> usize {
        let index = self.flows.len();
        self.flows.push(Flow {
            key,
            len,
            source,
            waits: Vec::new(),
        });
        self.schedule(at, Event::Begin(index));
        index
    }

    pub(crate) fn run(&mut self, until: Micros) {
        while let Some(&Reverse((at, _, event))) = self.events.peek()
            && at <= until
        {
            self.events.pop();
            self.now = at;
            self.handle(event);
            self.serve();
        }
        self.now = until;
    }

    /// Of the line's rate, what was used since `from`.
    pub(crate) fn utilisation(&self, from: Micros) -> f64 {
        let bytes: usize = self
            .departures
            .iter()
            .filter(|(at, _)| *at >= from)
            .map(|(_, bytes)| bytes)
            .sum();
        bytes as f64 * 1e6 / (self.rate * (self.now - from)) as f64
    }

    /// Bytes that left of this flow since `from`.
    pub(crate) fn bytes(&self, index: usize, from: Micros) -> u64 {
        let flow = &self.flows[index];
        let left = flow.waits.iter().filter(|(at, _)| *at >= from).count();
        (left * (flow.len + OUTER)) as u64
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Begin(index) => match &self.flows[index].source {
                Source::Tcp { .. } => {
                    self.pump(index);
                    self.arm(index);
                }
                Source::Clock { .. } | Source::Spray { .. } => self.handle(Event::Clock(index)),
            },
            Event::Served(index, number) => {
                self.busy = false;
                if let Source::Tcp { rtt, .. } = self.flows[index].source {
                    self.schedule(self.now + rtt, Event::Acked(index, number));
                }
            }
            Event::Acked(index, number) => {
                let now = self.now;
                if let Source::Tcp { tcp, .. } = &mut self.flows[index].source {
                    tcp.acked(number, now);
                }
                self.pump(index);
            }
            Event::Clock(index) => {
                let source = &self.flows[index].source;
                if let Source::Clock { every } | Source::Spray { every } = *source {
                    self.push(index, 0);
                    // A clock that ticks with the packets would see one phase.
                    self.dither = self
                        .dither
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let dither = (self.dither >> 33) % (every / 4).max(1);
                    let next = self.now + every - every / 8 + dither;
                    self.schedule(next, Event::Clock(index));
                }
            }
            Event::Timeout(index) => {
                let now = self.now;
                if let Source::Tcp { tcp, .. } = &mut self.flows[index].source
                    && tcp.timeout().is_some_and(|timeout| timeout <= now)
                {
                    tcp.timed_out(now);
                    self.pump(index);
                }
                self.arm(index);
            }
        }
    }

    fn pump(&mut self, index: usize) {
        let now = self.now;
        while let Source::Tcp { tcp, .. } = &mut self.flows[index].source
            && let Some(number) = tcp.send(now)
        {
            self.push(index, number);
        }
    }

    fn arm(&mut self, index: usize) {
        if let Source::Tcp { tcp, .. } = &self.flows[index].source {
            let at = tcp.timeout().unwrap_or(self.now + 100_000);
            self.schedule(at.max(self.now + 1), Event::Timeout(index));
        }
    }

    fn push(&mut self, index: usize, number: u64) {
        let flow = &mut self.flows[index];
        let packet = Packet {
            flow: index,
            number,
            len: flow.len,
            pushed: self.now,
        };
        if let Source::Spray { .. } = flow.source {
            flow.key.tag = flow.key.tag.wrapping_add(1);
        }
        let (key, len) = (flow.key, flow.len);
        self.queue.push(self.clock(), key, len, packet);
    }

    fn serve(&mut self) {
        if self.busy {
            return;
        }
        let Some(packet) = self.queue.pop(self.clock()) else {
            return;
        };
        self.busy = true;
        let bytes = packet.len + OUTER;
        let done = self.now + bytes as u64 * 1_000_000 / self.rate;
        self.departures.push((done, bytes));
        let wait = self.now - packet.pushed;
        self.flows[packet.flow].waits.push((self.now, wait));
        self.schedule(done, Event::Served(packet.flow, packet.number));
    }

    fn schedule(&mut self, at: Micros, event: Event) {
        self.order += 1;
        self.events.push(Reverse((at, self.order, event)));
    }

    fn clock(&self) -> Instant {
        self.begin + Duration::from_micros(self.now)
    }
}

impl Flow {
    /// The waiting time that this share of what left since `from` was within.
    pub(crate) fn wait(&self, share: f64, from: Micros) -> Duration {
        let mut waits: Vec<Micros> = self
            .waits
            .iter()
            .filter(|(at, _)| *at >= from)
            .map(|(_, wait)| *wait)
            .collect();
        waits.sort_unstable();
        let at = ((waits.len() as f64 * share).ceil() as usize).max(1) - 1;
        Duration::from_micros(waits.get(at).copied().unwrap_or_default())
    }
}
