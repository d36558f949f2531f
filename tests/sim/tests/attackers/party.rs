//! A relay core, members that say what a scenario wants them to say, and a
//! link of limited speed to each of them, with the queue of the real program
//! before it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use lanparty_ctrl::{
    Admission, CloseCode, Decoder, Feature, Hello, Incoming, KeyCard, Message, PROTOCOL_VERSION,
    Reject, Role, Welcome, encode,
};
use lanparty_proto::ethernet::{EtherType, EthernetHeader};
use lanparty_proto::overlay::{FrameCount, Header, Hint, Kind};
use lanparty_proto::{MacAddr, PeerId};
use lanparty_queue::{FairQueue, FlowKey, QueueLimits};
use lanparty_relay_core::{
    Clock, Conn, Decision, Effect, Limits, NewConnection, RelayCore, RelaySecrets,
};
use lanparty_seal::RoomKey;
use rand::SeedableRng;
use rand::rngs::StdRng;

pub(crate) struct Party {
    pub(crate) core: RelayCore<StdRng>,
    pub(crate) now: Instant,
    next_conn: u64,
    decoders: BTreeMap<Conn, Decoder>,
    said: BTreeMap<Conn, Vec<Message>>,
    pub(crate) closed: BTreeMap<Conn, CloseCode>,
    links: BTreeMap<Conn, Link>,
}

/// The way from the relay to one member.
struct Link {
    queue: FairQueue<Packet>,
    bytes_per_second: u64,
    /// When the packet that is being sent has left.
    free_at: Instant,
    most_held: usize,
}

struct Packet {
    source: u16,
    sent: Instant,
    len: usize,
}

/// What came out of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) to: Conn,
    pub(crate) source: u16,
    pub(crate) delay: Duration,
    pub(crate) len: usize,
}

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

    /// A datagram of this member's, around a UDP packet or what says it is one.
    pub(crate) fn datagram(&self, to: MacAddr, hint: Hint, flow_tag: u16, len: usize) -> Vec<u8> {
        datagram(self.id(), self.mac, to, hint, flow_tag, len)
    }
}

pub(crate) fn datagram(
    source: PeerId,
    from: MacAddr,
    to: MacAddr,
    hint: Hint,
    flow_tag: u16,
    len: usize,
) -> Vec<u8> {
    let header = Header {
        kind: Kind::SealedFrame,
        hint,
        source,
        flow_tag,
        frames: FrameCount::ONE,
    };
    let ethernet = EthernetHeader {
        destination: to,
        source: from,
        ether_type: EtherType::IPV4,
    };
    let cipher = vec![0xEE; len];
    [&header.encode()[..], &[0; 6], &ethernet.encode(), &cipher].concat()
}

pub(crate) fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

pub(crate) fn key(n: u8) -> RoomKey {
    RoomKey::from_bytes([n; 32])
}

fn home(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, n))
}

fn hello(n: u8, role: Role) -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        features: vec![Feature::seal()].try_into().unwrap(),
        role,
        room: "PARTY".parse().unwrap(),
        create: role == Role::Gateway,
        create_token: None,
        mac: (role == Role::Client).then_some(mac(n)),
        name: format!("member {n}").parse().unwrap(),
        datagram_budget: 1_434,
        agent: "attacker 0".parse().unwrap(),
        key_card: KeyCard {
            identity: [n; 32],
            public_key: [0; 32],
            x25519: [0; 32],
            session: [0; 16],
            signature: [0; 64],
        },
        admission: None,
        resume: None,
    }
}

impl Party {
    #[expect(clippy::disallowed_methods, reason = "where virtual time starts")]
    pub(crate) fn new(limits: Limits) -> Self {
        let now = Instant::now();
        let clock = Clock {
            instant: now,
            unix_s: 1_800_000_000,
        };
        let secrets = RelaySecrets {
            resume_key: [0x42; 32],
        };
        Self {
            core: RelayCore::new(limits, secrets, clock, StdRng::seed_from_u64(1)),
            now,
            next_conn: 0,
            decoders: BTreeMap::new(),
            said: BTreeMap::new(),
            closed: BTreeMap::new(),
            links: BTreeMap::new(),
        }
    }

    pub(crate) fn gateway(&mut self, n: u8) -> Guest {
        let joined = self.join(home(n), &hello(n, Role::Gateway), &key(1));
        joined.expect("the host gets in")
    }

    pub(crate) fn player(&mut self, n: u8) -> Guest {
        let joined = self.join(home(n), &hello(n, Role::Client), &key(1));
        joined.expect("a player with the key gets in")
    }

    /// A player that comes back with what it got at its last join.
    pub(crate) fn player_again(&mut self, n: u8, guest: &Guest) -> Result<Guest, Reject> {
        let hello = Hello {
            resume: Some(guest.welcome.resume.clone()),
            ..hello(n, Role::Client)
        };
        self.join(home(n), &hello, &key(1))
    }

    /// One guess, from anywhere.
    pub(crate) fn guess(&mut self, from: IpAddr, key: &RoomKey) -> Result<Guest, Reject> {
        self.join(from, &hello(99, Role::Client), key)
    }

    fn join(&mut self, from: IpAddr, hello: &Hello, key: &RoomKey) -> Result<Guest, Reject> {
        self.next_conn += 1;
        let conn = Conn(self.next_conn);
        let mut exporter = [0; 32];
        exporter[..8].copy_from_slice(&conn.0.to_be_bytes());
        let new = NewConnection {
            conn,
            remote: (from, 40_000).into(),
            identity: hello.key_card.identity,
            exporter,
        };
        self.core.connected(new, self.now);
        let mut hello = hello.clone();
        let pair = key.admission();
        let public_key = pair.public_key();
        let spki_hash = &hello.key_card.identity;
        let message = Admission::signed_bytes(&exporter, spki_hash, &public_key, &hello);
        hello.admission = Some(Admission {
            public_key,
            signature: pair.sign(&message),
        });
        let mac = hello.mac.unwrap_or_default();
        self.say(conn, &Message::Hello(Box::new(hello)));
        let answer = self
            .heard(conn)
            .into_iter()
            .find_map(|message| match message {
                Message::Welcome(welcome) => Some(Ok(Guest {
                    conn,
                    welcome: *welcome,
                    mac,
                })),
                Message::Reject(reject) => Some(Err(reject)),
                _ => None,
            });
        answer.expect("Hello is answered")
    }

    pub(crate) fn say(&mut self, conn: Conn, message: &Message) {
        self.core.control(conn, &encode(message), self.now);
        self.effects();
    }

    pub(crate) fn heard(&mut self, conn: Conn) -> Vec<Message> {
        self.said.remove(&conn).unwrap_or_default()
    }

    pub(crate) fn lose(&mut self, guest: &Guest) {
        self.core.disconnected(guest.conn, None, self.now);
        self.effects();
    }

    /// Gives a member a link of this speed; without one nothing is delivered.
    pub(crate) fn connect_link(&mut self, guest: &Guest, bytes_per_second: u64) {
        let link = Link {
            queue: FairQueue::new(QueueLimits::default()),
            bytes_per_second,
            free_at: self.now,
            most_held: 0,
        };
        self.links.insert(guest.conn, link);
    }

    /// The most that the queue before this link has held, in bytes.
    pub(crate) fn most_held(&self, guest: &Guest) -> usize {
        self.links[&guest.conn].most_held
    }

    /// A member's datagram reaches the relay; true where it went anywhere.
    pub(crate) fn send(&mut self, from: &Guest, bytes: &[u8]) -> bool {
        let sent = self.now;
        let decision = self.core.datagram(from.conn, bytes, sent);
        let Decision::Forward { targets, header } = decision else {
            self.effects();
            return false;
        };
        let key = FlowKey {
            source: header.source.get(),
            tag: header.flow_tag,
            hint: header.hint,
            part_of: None,
        };
        for target in targets {
            if let Some(link) = self.links.get_mut(target) {
                let packet = Packet {
                    source: key.source,
                    sent,
                    len: bytes.len(),
                };
                link.queue.push(sent, key, bytes.len(), packet);
                link.most_held = link.most_held.max(link.queue.bytes());
            }
        }
        true
    }

    /// Lets time pass; the links send what they can.
    pub(crate) fn pass(&mut self, time: Duration, arrived: &mut impl FnMut(Arrival)) {
        let end = self.now + time;
        for (&to, link) in &mut self.links {
            while link.bytes_per_second > 0 && link.free_at <= end {
                let at = link.free_at.max(self.now);
                let Some(packet) = link.queue.pop(at) else {
                    link.free_at = end;
                    break;
                };
                let nanos = packet.len as u64 * 1_000_000_000 / link.bytes_per_second;
                link.free_at = at + Duration::from_nanos(nanos);
                arrived(Arrival {
                    to,
                    source: packet.source,
                    delay: link.free_at.saturating_duration_since(packet.sent),
                    len: packet.len,
                });
            }
        }
        self.now = end;
        if self.core.next_wakeup().is_some_and(|at| at <= end) {
            self.core.tick(end);
            self.effects();
        }
    }

    fn effects(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::SendControl { conn, bytes } => {
                    let decoder = self.decoders.entry(conn).or_default();
                    decoder.push(&bytes);
                    while let Some(Incoming::Message(message)) = decoder.next().unwrap() {
                        self.said.entry(conn).or_default().push(message);
                    }
                }
                Effect::Close { conn, code, .. } => {
                    self.closed.insert(conn, code);
                    self.decoders.remove(&conn);
                    self.said.remove(&conn);
                }
            }
        }
    }
}
