//! A relay core with members that say what a scenario wants them to say.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use lanparty_ctrl::{
    Admission, CloseCode, Decoder, Disconnect, Feature, Hello, Incoming, KeyCard, Message,
    PROTOCOL_VERSION, PeerInfo, PeerLeft, Reject, Role, Welcome, encode, feature::Features,
};
use lanparty_obs::DropReason;
use lanparty_proto::ethernet::{EtherType, EthernetHeader};
use lanparty_proto::overlay::{FrameCount, Header, Hint, Kind};
use lanparty_proto::probe::{Probe, ProbeOp};
use lanparty_proto::{MacAddr, PeerId};
use lanparty_relay_core::{
    Clock, Conn, Counters, Decision, Effect, Limits, NewConnection, RelayCore, RelaySecrets,
    RoomsSnapshot,
};
use lanparty_seal::RoomKey;
use rand::rngs::StdRng;
use rand::{CryptoRng, RngCore, SeedableRng};

pub(crate) struct Relay {
    pub(crate) core: RelayCore<TestRng>,
    pub(crate) now: Instant,
    next_conn: u64,
    decoders: BTreeMap<Conn, Decoder>,
    /// Control messages of the core that no scenario has looked at, in order.
    pub(crate) sent: Vec<(Conn, Message)>,
    pub(crate) closed: BTreeMap<Conn, CloseCode>,
}

#[derive(Debug)]
pub(crate) enum TestRng {
    Seeded(Box<StdRng>),
    /// Says the same number for ever, so that minting must look further.
    Stuck(u32),
}

impl TestRng {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::Seeded(Box::new(StdRng::seed_from_u64(seed)))
    }
}

impl RngCore for TestRng {
    fn next_u32(&mut self) -> u32 {
        match self {
            Self::Seeded(rng) => rng.next_u32(),
            Self::Stuck(number) => *number,
        }
    }

    fn next_u64(&mut self) -> u64 {
        match self {
            Self::Seeded(rng) => rng.next_u64(),
            Self::Stuck(number) => u64::from(*number),
        }
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        match self {
            Self::Seeded(rng) => rng.fill_bytes(bytes),
            Self::Stuck(_) => bytes.fill(7),
        }
    }
}

impl CryptoRng for TestRng {}

/// A member that has joined.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) conn: Conn,
    pub(crate) welcome: Welcome,
    pub(crate) mac: MacAddr,
}

impl Guest {
    pub(crate) fn id(&self) -> PeerId {
        self.welcome.peer_id
    }
}

pub(crate) const ROOM: &str = "ROOM1";
const START_UNIX_S: u64 = 1_800_000_000;

#[expect(clippy::disallowed_methods, reason = "any moment will do")]
fn start() -> Instant {
    Instant::now()
}

pub(crate) fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

pub(crate) fn identity(n: u8) -> [u8; 32] {
    [n; 32]
}

/// What TLS would export on this connection.
pub(crate) fn exporter(conn: Conn) -> [u8; 32] {
    let mut exporter = [0; 32];
    exporter[..8].copy_from_slice(&conn.0.to_be_bytes());
    exporter
}

/// A player's Hello; the number makes its identity and its MAC address.
pub(crate) fn player(n: u8) -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        features: Features::default(),
        role: Role::Client,
        room: ROOM.parse().unwrap(),
        create: false,
        create_token: None,
        mac: Some(mac(n)),
        name: format!("player {n}").parse().unwrap(),
        datagram_budget: 1_434,
        agent: "test 0".parse().unwrap(),
        key_card: KeyCard {
            identity: identity(n),
            public_key: [0; 32],
            x25519: [n; 32],
            session: [0; 16],
            signature: [0; 64],
        },
        admission: None,
        resume: None,
    }
}

/// The same Hello from a program that has the room key, on this connection.
pub(crate) fn with_proof(hello: &Hello, key: &RoomKey, conn: Conn) -> Hello {
    let mut hello = Hello {
        features: vec![Feature::seal()].try_into().unwrap(),
        create: hello.role == Role::Gateway,
        admission: None,
        ..hello.clone()
    };
    let pair = key.admission();
    let public_key = pair.public_key();
    let spki_hash = &hello.key_card.identity;
    let message = Admission::signed_bytes(&exporter(conn), spki_hash, &public_key, &hello);
    hello.admission = Some(Admission {
        public_key,
        signature: pair.sign(&message),
    });
    hello
}

pub(crate) fn key(n: u8) -> RoomKey {
    RoomKey::from_bytes([n; 32])
}

pub(crate) fn gateway(n: u8) -> Hello {
    Hello {
        role: Role::Gateway,
        mac: None,
        name: format!("gateway {n}").parse().unwrap(),
        ..player(n)
    }
}

impl Relay {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        change(&mut limits);
        Self::start(limits, Duration::ZERO, TestRng::seeded(1))
    }

    /// A relay that starts so long after the first one, with the same secrets.
    pub(crate) fn start(limits: Limits, later: Duration, rng: TestRng) -> Self {
        let now = start() + later;
        let clock = Clock {
            instant: now,
            unix_s: START_UNIX_S + later.as_secs(),
        };
        let secrets = RelaySecrets {
            resume_key: [0x5E; 32],
        };
        Self {
            core: RelayCore::new(limits, secrets, clock, rng),
            now,
            next_conn: 0,
            decoders: BTreeMap::new(),
            sent: Vec::new(),
            closed: BTreeMap::new(),
        }
    }

    pub(crate) fn connect(&mut self, n: u8) -> Conn {
        self.connect_from(n, address(n).ip())
    }

    pub(crate) fn connect_from(&mut self, n: u8, remote: IpAddr) -> Conn {
        self.next_conn += 1;
        let conn = Conn(self.next_conn);
        let new = NewConnection {
            conn,
            remote: (remote, 40_000).into(),
            identity: identity(n),
            exporter: exporter(conn),
        };
        self.core.connected(new, self.now);
        self.collect();
        conn
    }

    pub(crate) fn say(&mut self, conn: Conn, message: &Message) {
        self.say_bytes(conn, &encode(message));
    }

    pub(crate) fn say_bytes(&mut self, conn: Conn, bytes: &[u8]) {
        self.core.control(conn, bytes, self.now);
        self.collect();
    }

    pub(crate) fn try_join(&mut self, hello: &Hello) -> Result<Guest, Reject> {
        let conn = self.connect(hello.key_card.identity[0]);
        self.greet(conn, hello)
    }

    /// Joins a keyed room, if the relay lets it.
    pub(crate) fn try_join_keyed(&mut self, hello: &Hello, key: &RoomKey) -> Result<Guest, Reject> {
        let from = address(hello.key_card.identity[0]).ip();
        self.try_join_from(from, hello, key)
    }

    pub(crate) fn try_join_from(
        &mut self,
        from: IpAddr,
        hello: &Hello,
        key: &RoomKey,
    ) -> Result<Guest, Reject> {
        let conn = self.connect_from(hello.key_card.identity[0], from);
        self.greet(conn, &with_proof(hello, key, conn))
    }

    /// Joins a keyed room and forgets what was said so far.
    pub(crate) fn join_keyed(&mut self, hello: &Hello, key: &RoomKey) -> Guest {
        let guest = self.try_join_keyed(hello, key);
        let guest = guest.expect("the join is accepted");
        self.sent.clear();
        guest
    }

    pub(crate) fn greet(&mut self, conn: Conn, hello: &Hello) -> Result<Guest, Reject> {
        self.say(conn, &Message::Hello(Box::new(hello.clone())));
        let answer = self.sent.iter().position(|(to, message)| {
            *to == conn && matches!(message, Message::Welcome(_) | Message::Reject(_))
        });
        match self.sent[answer.expect("Hello is answered")].1.clone() {
            Message::Welcome(welcome) => Ok(Guest {
                conn,
                welcome: *welcome,
                mac: hello.mac.unwrap_or_default(),
            }),
            Message::Reject(reject) => Err(reject),
            other => unreachable!("{other:?}"),
        }
    }

    /// Joins and forgets what was said so far.
    pub(crate) fn join(&mut self, hello: &Hello) -> Guest {
        let guest = self.try_join(hello).expect("the join is accepted");
        self.sent.clear();
        guest
    }

    pub(crate) fn refusal(&mut self, hello: &Hello) -> CloseCode {
        self.try_join(hello).expect_err("the join is refused").code
    }

    /// What was said to a connection since the last look.
    pub(crate) fn heard(&mut self, conn: Conn) -> Vec<Message> {
        let (own, others) = std::mem::take(&mut self.sent)
            .into_iter()
            .partition(|(to, _)| *to == conn);
        self.sent = others;
        Vec::from_iter::<Vec<(Conn, Message)>>(own)
            .into_iter()
            .map(|(_, message)| message)
            .collect()
    }

    pub(crate) fn lose(&mut self, guest: &Guest) {
        self.core.disconnected(guest.conn, None, self.now);
        self.collect();
    }

    pub(crate) fn leave(&mut self, guest: &Guest, reason: CloseCode) {
        let goodbye = Disconnect {
            reason,
            message: "bye".parse().unwrap(),
        };
        self.say(guest.conn, &Message::Disconnect(goodbye));
    }

    /// Lets time pass, waking the core whenever it asks for it.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.core.next_wakeup().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.core.tick(self.now);
            self.collect();
        }
        self.now = end;
    }

    pub(crate) fn wait_ms(&mut self, ms: u64) {
        self.wait(Duration::from_millis(ms));
    }

    /// Who gets a datagram, or why nobody does.
    pub(crate) fn datagram(&mut self, conn: Conn, bytes: &[u8]) -> Result<Vec<Conn>, DropReason> {
        let result = match self.core.datagram(conn, bytes, self.now) {
            Decision::Forward { targets, .. } => Ok(targets.to_vec()),
            Decision::Answer { .. } => Ok(vec![conn]),
            Decision::Drop(reason) => Err(reason),
        };
        self.collect();
        result
    }

    /// Sends a small UDP packet from the member's own addresses.
    pub(crate) fn send(&mut self, from: &Guest, to: MacAddr) -> Result<Vec<Conn>, DropReason> {
        self.datagram(
            from.conn,
            &in_overlay(from.id(), Kind::Frame, &udp(from.mac, to, 64)),
        )
    }

    pub(crate) fn probe(
        &mut self,
        from: &Guest,
        target: u16,
        op: ProbeOp,
    ) -> Result<Vec<Conn>, DropReason> {
        self.datagram(from.conn, &probe(from.id(), target, op))
    }

    pub(crate) fn snapshot(&self) -> RoomsSnapshot {
        self.core.snapshot(self.now, |_| None)
    }

    /// Every datagram that came in is accounted for.
    pub(crate) fn assert_balance(&self) {
        let snapshot = self.snapshot();
        let balance = |what: &str, counters: &Counters| {
            let out = counters.forwarded + counters.answered + counters.drops.total();
            assert_eq!(counters.datagrams_in, out, "{what}: {counters:?}");
        };
        balance("relay", &snapshot.relay.counters);
        for room in &snapshot.rooms {
            balance("room", &room.counters);
            for member in &room.members {
                balance("member", &member.counters);
            }
        }
    }

    fn collect(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::SendControl { conn, bytes } => {
                    assert!(!self.closed.contains_key(&conn), "said after close");
                    let decoder = self.decoders.entry(conn).or_default();
                    decoder.push(&bytes);
                    while let Some(incoming) = decoder.next().expect("the core speaks well") {
                        let Incoming::Message(message) = incoming else {
                            panic!("the core says what this version knows");
                        };
                        self.sent.push((conn, message));
                    }
                }
                Effect::Close { conn, code, .. } => {
                    assert!(self.closed.insert(conn, code).is_none(), "closed twice");
                }
            }
        }
    }
}

pub(crate) fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 40_000))
}

pub(crate) fn in_overlay(source: PeerId, kind: Kind, body: &[u8]) -> Vec<u8> {
    let header = Header {
        kind,
        hint: Hint::Normal,
        source,
        flow_tag: 7,
        frames: FrameCount::ONE,
    };
    [&header.encode(), body].concat()
}

/// The body of a datagram of these frames, which share an Ethernet header.
pub(crate) fn bundle(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut body = frames[0][..14].to_vec();
    for frame in frames {
        let payload = &frame[14..];
        body.extend((payload.len() as u16).to_be_bytes());
        body.extend(payload);
    }
    body
}

/// A datagram that claims to carry `count` frames.
pub(crate) fn together(source: PeerId, kind: Kind, count: usize, body: &[u8]) -> Vec<u8> {
    let datagram = in_overlay(source, kind, body);
    let (header, body) = Header::decode(&datagram).unwrap();
    let frames = (1..count).fold(FrameCount::ONE, |count, _| count.next().unwrap());
    [&Header { frames, ..header }.encode()[..], body].concat()
}

pub(crate) fn probe(source: PeerId, target: u16, op: ProbeOp) -> Vec<u8> {
    let probe = Probe {
        op,
        seq: 1,
        target,
        nonce: 42,
        send_us: 1_000,
        hold_us: 0,
    };
    in_overlay(source, Kind::Probe, &probe.encode())
}

pub(crate) fn ethernet(
    from: MacAddr,
    to: MacAddr,
    ether_type: EtherType,
    payload: &[u8],
) -> Vec<u8> {
    let header = EthernetHeader {
        destination: to,
        source: from,
        ether_type,
    };
    [&header.encode(), payload].concat()
}

/// A frame with a UDP packet between the addresses that belong to two MACs.
pub(crate) fn udp(from: MacAddr, to: MacAddr, payload_len: usize) -> Vec<u8> {
    udp_ports(from, to, 27_015, 27_015, &vec![0xA5; payload_len])
}

pub(crate) fn udp_ports(
    from: MacAddr,
    to: MacAddr,
    source: u16,
    destination: u16,
    payload: &[u8],
) -> Vec<u8> {
    let ip_of = |mac: MacAddr| match mac.octets() {
        _ if mac.is_multicast() => [255; 4],
        [.., last] => [10, 0, 0, last],
    };
    let udp_len = u16::try_from(8 + payload.len()).unwrap();
    let mut ip = vec![0x45, 0];
    ip.extend((20 + udp_len).to_be_bytes());
    ip.extend([0, 1, 0, 0, 64, 17, 0, 0]);
    ip.extend(ip_of(from));
    ip.extend(ip_of(to));
    let sum: u32 = ip
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let checksum = !(((sum & 0xFFFF) + (sum >> 16)) as u16);
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    ip.extend(source.to_be_bytes());
    ip.extend(destination.to_be_bytes());
    ip.extend(udp_len.to_be_bytes());
    ip.extend([0, 0]);
    ip.extend(payload);
    ethernet(from, to, EtherType::IPV4, &ip)
}

pub(crate) fn joined(messages: &[Message]) -> Vec<&PeerInfo> {
    messages
        .iter()
        .filter_map(|message| match message {
            Message::PeerJoined(info) => Some(&**info),
            _ => None,
        })
        .collect()
}

pub(crate) fn left(messages: &[Message]) -> Vec<PeerLeft> {
    messages
        .iter()
        .filter_map(|message| match message {
            Message::PeerLeft(left) => Some(*left),
            _ => None,
        })
        .collect()
}
