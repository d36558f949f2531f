//! Whole connections over a simulated line, in virtual time: real transports on
//! loopback sockets, and between them a bottleneck that holds every packet as
//! long as a home router would.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::pair::{Setup, Side, client, listen, trust};
use crate::reactor::Reactor;
use crate::{Congestion, ConnStats, FlowKey, Hint, TransportLimits};

/// One direction of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) mbit: f64,
    /// What its FIFO holds.
    pub(super) queue: Duration,
    pub(super) delay: Duration,
    /// Of a million packets, at random.
    pub(super) loss: u32,
    /// Up to so much longer on the way, at random, which reorders.
    pub(super) jitter: Duration,
}

impl Line {
    pub(super) const fn fast(delay: Duration) -> Self {
        Self {
            mbit: 1_000.0,
            queue: Duration::from_millis(50),
            delay,
            loss: 0,
            jitter: Duration::ZERO,
        }
    }

    pub(super) const fn slow(mbit: f64, delay: Duration) -> Self {
        Self {
            mbit,
            queue: Duration::from_millis(100),
            delay,
            loss: 0,
            jitter: Duration::ZERO,
        }
    }
}

/// IP and UDP headers, which the line carries too.
const HEADERS: usize = 28;
const PAYLOAD: usize = 1_300;

struct Way {
    line: Line,
    busy_until: Instant,
    /// By time of arrival.
    under_way: VecDeque<(Instant, usize, Vec<u8>)>,
    random: u64,
    /// Packets to lose from now on, whatever the line is like.
    lose_next: u32,
    /// Packets longer than this vanish.
    mtu: usize,
    bytes: u64,
    dropped: u64,
    /// How long packets waited before the bottleneck.
    waits: Vec<Duration>,
}

impl Way {
    fn new(line: Line, now: Instant) -> Self {
        Self {
            line,
            busy_until: now,
            under_way: VecDeque::new(),
            random: 0x9E37_79B9_7F4A_7C15,
            lose_next: 0,
            mtu: usize::MAX,
            bytes: 0,
            dropped: 0,
            waits: Vec::new(),
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn enter(&mut self, now: Instant, from: usize, packet: Vec<u8>) {
        let wait = self.busy_until.saturating_duration_since(now);
        let is_lost = self.random(1_000_000) < u64::from(self.line.loss);
        if wait > self.line.queue || self.lose_next > 0 || packet.len() > self.mtu {
            self.lose_next = self.lose_next.saturating_sub(1);
            self.dropped += 1;
            return;
        }
        let bits = ((packet.len() + HEADERS) * 8) as f64;
        self.busy_until = now + wait + Duration::from_secs_f64(bits / self.line.mbit / 1e6);
        self.waits.push(wait);
        self.bytes += (packet.len() + HEADERS) as u64;
        if is_lost {
            self.dropped += 1;
            return;
        }
        let jitter = self.line.jitter.as_nanos() as u64;
        let jitter = Duration::from_nanos(self.random(jitter.max(1)));
        let arrives = self.busy_until + self.line.delay + jitter;
        let at = self
            .under_way
            .partition_point(|&(before, _, _)| before <= arrives);
        self.under_way.insert(at, (arrives, from, packet));
    }

    fn next(&self) -> Option<Instant> {
        self.under_way.front().map(|&(at, _, _)| at)
    }
}

/// A client with what it sends, and its end of the line.
struct Sender {
    side: Side,
    near: UdpSocket,
    far: UdpSocket,
    address: SocketAddr,
    number: u8,
    bulk: bool,
    received: u64,
}

/// Some clients, a server, and one line between.
pub(super) struct World {
    pub(super) now: Instant,
    begin: Instant,
    server: Side,
    senders: Vec<Sender>,
    up: Way,
    down: Way,
    /// When the sparse flow sends next, and what it sent.
    sparse: Option<Instant>,
    /// When the flood sends next, and how far apart its datagrams are.
    flood: Option<(Instant, Duration)>,
    latencies: Vec<Duration>,
}

/// What happened since [`World::measure_from_here`].
#[derive(Debug)]
pub(super) struct Outcome {
    /// Part of the line's rate that was used.
    pub(super) use_of_line: f64,
    pub(super) wait_p50: Duration,
    pub(super) wait_p99: Duration,
    /// From the program to the other program, without the line's own delay.
    pub(super) sparse_p99: Duration,
    pub(super) sparse_count: usize,
    /// Bytes of the bulk's datagrams that arrived, of what the line carries.
    pub(super) goodput: f64,
    pub(super) dropped: u64,
    /// Each client's part of the goodput.
    pub(super) shares: Vec<f64>,
    pub(super) stats: ConnStats,
}

impl World {
    pub(super) fn new(up: Line, down: Line, clients: &[Congestion]) -> Self {
        let now = Reactor::new().unwrap().now();
        let limits = |congestion| TransportLimits {
            congestion,
            ..TransportLimits::default()
        };
        let server = Side::new(listen(&Setup {
            server_limits: limits(*clients.first().unwrap()),
            ..Setup::default()
        }));
        let address = server.transport.local_address();
        let senders = clients
            .iter()
            .enumerate()
            .map(|(number, &congestion)| Sender::new(number as u8, address, &limits(congestion)));
        let mut world = Self {
            now,
            begin: now,
            senders: senders.collect(),
            server,
            up: Way::new(up, now),
            down: Way::new(down, now),
            sparse: None,
            flood: None,
            latencies: Vec::new(),
        };
        for at in 0..clients.len() {
            let near = world.senders[at].near.local_addr().unwrap();
            let transport = &mut world.senders[at].side.transport;
            transport.connect(now, near, "localhost").unwrap();
            world.run_until("the client is connected", |world| {
                !world.senders[at].side.connected.is_empty()
                    && world.server.connected.len() == at + 1
            });
        }
        // Path MTU discovery.
        world.run(Duration::from_secs(1));
        world
    }

    /// From now on this client always has more to send.
    pub(super) fn start_bulk(&mut self, client: usize) {
        self.senders[client].bulk = true;
    }

    pub(super) fn stop_bulk(&mut self, client: usize) {
        self.senders[client].bulk = false;
    }

    /// Datagrams that no longer fit are cut in two, as frames are.
    pub(super) fn cut_in_halves(&mut self) {
        for sender in &mut self.senders {
            let transport = &mut sender.side.transport;
            transport.set_splitter(Box::new(|bytes, _, pieces| {
                let head = bytes.slice(..2);
                let (first, second) = bytes.split_at(bytes.len() / 2);
                pieces.push(Bytes::copy_from_slice(first));
                pieces.push([&head, second].concat().into());
            }));
        }
    }

    /// The first client sends 64 bytes every 15 ms beside.
    pub(super) fn start_sparse(&mut self) {
        self.sparse = Some(self.now);
    }

    /// The first client sends a full datagram this often, heard of or not.
    pub(super) fn start_flood(&mut self, every: Duration) {
        self.flood = Some((self.now, every));
    }

    pub(super) fn lose_next(&mut self, packets: u32) {
        self.up.lose_next = packets;
    }

    pub(super) fn set_path_mtu(&mut self, bytes: usize) {
        self.up.mtu = bytes;
    }

    pub(super) fn stats(&mut self) -> ConnStats {
        let side = &mut self.senders[0].side;
        let conn = side.conn();
        side.transport.stats(conn).unwrap()
    }

    /// Turns in which a side had anything to do, to tell a storm of wakeups.
    pub(super) fn run_counted(&mut self, time: Duration) -> u64 {
        let end = self.now + time;
        let mut turns = 0;
        while self.now < end {
            self.turn();
            turns += 1;
            let next = self.next().map_or(end, |next| next.min(end));
            self.now = self.now.max(next);
        }
        turns
    }

    pub(super) fn run(&mut self, time: Duration) {
        self.run_counted(time);
    }

    fn run_until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let end = self.now + Duration::from_secs(20);
        while !done(self) {
            assert!(self.now < end, "still waiting until {what}");
            self.turn();
            let next = self.next().map_or(end, |next| next.min(end));
            self.now = self.now.max(next);
        }
    }

    pub(super) fn measure_from_here(&mut self) {
        self.begin = self.now;
        (self.up.bytes, self.up.dropped) = (0, 0);
        self.up.waits.clear();
        self.latencies.clear();
        for sender in &mut self.senders {
            sender.received = 0;
        }
    }

    pub(super) fn outcome(&mut self) -> Outcome {
        let capacity = self.up.line.mbit * 1e6 / 8.0 * (self.now - self.begin).as_secs_f64();
        let received: u64 = self.senders.iter().map(|sender| sender.received).sum();
        let percentile = |values: &mut Vec<Duration>, part: usize| {
            values.sort_unstable();
            let at = values.len() * part / 100;
            values.get(at).copied().unwrap_or_default()
        };
        Outcome {
            use_of_line: self.up.bytes as f64 / capacity,
            wait_p50: percentile(&mut self.up.waits, 50),
            wait_p99: percentile(&mut self.up.waits, 99),
            sparse_p99: percentile(&mut self.latencies, 99),
            sparse_count: self.latencies.len(),
            goodput: received as f64 / capacity,
            dropped: self.up.dropped,
            shares: self
                .senders
                .iter()
                .map(|sender| sender.received as f64 / received as f64)
                .collect(),
            stats: self.stats(),
        }
    }

    fn turn(&mut self) {
        let now = self.now;
        for sender in &mut self.senders {
            sender.fill(now);
        }
        if let Some(at) = self.sparse
            && at <= now
        {
            let micros = (now - self.begin).as_micros() as u64;
            let bytes = [&[0x12][..], &micros.to_be_bytes(), &[0; 55]].concat();
            self.senders[0].send(now, 9, Hint::Sparse, Bytes::from(bytes));
            self.sparse = Some(at + Duration::from_millis(15));
        }
        while let Some((at, every)) = self.flood
            && at <= now
        {
            let sender = &mut self.senders[0];
            let bytes = Bytes::from([&[0x11, sender.number][..], &[0; 1_198]].concat());
            sender.send(now, 1, Hint::Bulk, bytes);
            self.flood = Some((at + every, every));
        }
        while self.up.next().is_some_and(|at| at <= now)
            && let Some((_, from, packet)) = self.up.under_way.pop_front()
        {
            let to = self.server.transport.local_address();
            self.senders[from].far.send_to(&packet, to).unwrap();
        }
        while self.down.next().is_some_and(|at| at <= now)
            && let Some((_, from, packet)) = self.down.under_way.pop_front()
        {
            let sender = &self.senders[from];
            sender.near.send_to(&packet, sender.address).unwrap();
        }
        self.server.turn(now);
        self.take_arrived();
        let mut buffer = [0; 2_048];
        for (from, sender) in self.senders.iter_mut().enumerate() {
            sender.side.turn(now);
            while let Ok((len, address)) = sender.near.recv_from(&mut buffer) {
                sender.address = address;
                self.up.enter(now, from, buffer[..len].to_vec());
            }
            while let Ok((len, _)) = sender.far.recv_from(&mut buffer) {
                self.down.enter(now, from, buffer[..len].to_vec());
            }
        }
    }

    fn take_arrived(&mut self) {
        for bytes in self.server.datagrams.drain(..) {
            if bytes[0] == 0x12 {
                let sent = u64::from_be_bytes(bytes[1..9].try_into().unwrap());
                let took = (self.now - self.begin).checked_sub(Duration::from_micros(sent));
                if let Some(took) = took {
                    let delay = self.up.line.delay;
                    self.latencies.push(took.saturating_sub(delay));
                }
            } else {
                let from = usize::from(bytes[1]);
                self.senders[from].received += (bytes.len() + HEADERS) as u64;
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        let sides = self.senders.iter().map(|sender| &sender.side);
        sides
            .chain([&self.server])
            .filter_map(|side| side.transport.next_timeout())
            .chain(self.up.next())
            .chain(self.down.next())
            .chain(self.sparse)
            .chain(self.flood.map(|(at, _)| at))
            .min()
    }
}

impl Sender {
    fn new(number: u8, server: SocketAddr, limits: &TransportLimits) -> Self {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
            socket
        };
        Self {
            side: Side::new(client(trust(), limits)),
            near: socket(),
            far: socket(),
            address: server,
            number,
            bulk: false,
            received: 0,
        }
    }

    fn send(&mut self, now: Instant, tag: u16, hint: Hint, bytes: Bytes) {
        let key = FlowKey {
            source: 1,
            tag,
            hint,
            ..FlowKey::default()
        };
        let conn = self.side.conn();
        self.side.transport.send_datagram(now, conn, key, bytes);
    }

    fn fill(&mut self, now: Instant) {
        if !self.bulk {
            return;
        }
        let conn = self.side.conn();
        while self.side.transport.queue_bytes(conn) < 60_000 {
            let mut bytes = vec![0; PAYLOAD];
            bytes[0] = 0x11;
            bytes[1] = self.number;
            self.send(now, 1, Hint::Bulk, Bytes::from(bytes));
        }
    }
}
