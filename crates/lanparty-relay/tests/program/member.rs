//! A member without an adapter: the transport, and what a test tells it to say.

use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_ctrl::{
    Decoder, Hello, Incoming, KeyCard, Message, PROTOCOL_VERSION, ResumeToken, Role, RoomCode,
    RoomId, Welcome, encode, feature::Features,
};
use lanparty_proto::overlay::{FrameCount, Header, Hint, Kind};
use lanparty_proto::{MacAddr, PeerId};
use lanparty_transport::{
    ClientOptions, CloseReason, ConnId, DeviceSeed, Event, FlowKey, MemberIdentity, ServerTrust,
    Transport, TransportLimits,
};

use crate::relay::Home;

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Member {
    transport: Transport,
    conn: ConnId,
    decoder: Decoder,
    pub(crate) said: Vec<Message>,
    pub(crate) datagrams: VecDeque<Bytes>,
    pub(crate) closed: Option<CloseReason>,
}

impl Member {
    /// Connects and says Hello; the number makes its identity and MAC address.
    pub(crate) fn join(home: &Home, relay: SocketAddr, n: u8, resume: Option<ResumeToken>) -> Self {
        let certificate = fs::read(home.certificate()).unwrap();
        let trust = ServerTrust::Certificates(vec![certificate.into()]);
        Self::join_trusting(trust, relay, n, resume)
    }

    pub(crate) fn join_trusting(
        trust: ServerTrust,
        relay: SocketAddr,
        n: u8,
        resume: Option<ResumeToken>,
    ) -> Self {
        let (identity, hello) = greeting(n, resume);
        let mut member = Self::dial(trust, relay, identity);
        let hello = encode(&Message::Hello(Box::new(hello)));
        member.transport.send_control(member.conn, hello).unwrap();
        member
    }

    /// Connects and says nothing.
    pub(crate) fn connect(home: &Home, relay: SocketAddr) -> Self {
        let certificate = fs::read(home.certificate()).unwrap();
        let trust = ServerTrust::Certificates(vec![certificate.into()]);
        Self::dial(trust, relay, greeting(9, None).0)
    }

    fn dial(trust: ServerTrust, relay: SocketAddr, identity: MemberIdentity) -> Self {
        let mut transport = Transport::client(ClientOptions {
            identity,
            trust,
            bind: None,
            limits: TransportLimits::default(),
        })
        .unwrap();
        let conn = transport
            .connect(Instant::now(), relay, "lanparty-relay.local")
            .unwrap();
        Self {
            transport,
            conn,
            decoder: Decoder::new(),
            said: Vec::new(),
            datagrams: VecDeque::new(),
            closed: None,
        }
    }

    /// One turn of the loop.
    pub(crate) fn turn(&mut self) {
        let now = Instant::now();
        self.transport.receive(now);
        self.transport.handle_timeouts(now);
        while let Some(event) = self.transport.poll_event() {
            match event {
                Event::Connected { .. } => {}
                Event::Control { bytes, .. } => {
                    self.decoder.push(&bytes);
                    while let Some(incoming) = self.decoder.next().unwrap() {
                        if let Incoming::Message(message) = incoming {
                            self.said.push(message);
                        }
                    }
                }
                Event::Datagram { bytes, .. } => self.datagrams.push_back(bytes),
                Event::Closed { reason, .. } => self.closed = Some(reason),
            }
        }
        self.transport.flush(now);
    }

    pub(crate) fn welcome(&mut self) -> Welcome {
        until("a Welcome", &mut [self], |members| {
            members[0].said.iter().find_map(|message| match message {
                Message::Welcome(welcome) => Some((**welcome).clone()),
                _ => None,
            })
        })
    }

    /// Says bytes on the control stream that need not be a message.
    pub(crate) fn say(&mut self, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let bytes = [&length, body].concat();
        self.transport
            .send_control(self.conn, bytes.into())
            .unwrap();
    }

    pub(crate) fn leave(&mut self, words: &str) {
        let now = Instant::now();
        self.transport.close(now, self.conn, 0, words);
        self.transport.flush(now);
    }

    pub(crate) fn send(&mut self, datagram: Vec<u8>) {
        let key = FlowKey::default();
        self.transport
            .send_datagram(Instant::now(), self.conn, key, datagram.into());
    }
}

/// Who the member with this number is, and how it says Hello.
pub(crate) fn greeting(n: u8, resume: Option<ResumeToken>) -> (MemberIdentity, Hello) {
    let room: RoomCode = "ROOM1".parse().unwrap();
    let room_id = RoomId::derive(&room, None);
    let identity = MemberIdentity::derive(&DeviceSeed([n; 32]), &room_id.0).unwrap();
    let role = Role::Client;
    let mac = Some(mac(n));
    let mut key_card = KeyCard {
        identity: identity.identity().0,
        public_key: identity.public_key(),
        x25519: [n; 32],
        session: [n; 16],
        signature: [0; 64],
    };
    key_card.signature = identity.sign(&key_card.signed_bytes(mac, role));
    let hello = Hello {
        version: PROTOCOL_VERSION,
        features: Features::default(),
        role,
        room,
        create: false,
        create_token: None,
        mac,
        name: format!("player {n}").parse().unwrap(),
        datagram_budget: 1_162,
        agent: "test 0".parse().unwrap(),
        key_card,
        admission: None,
        resume,
    };
    (identity, hello)
}

/// Turns all members until there is an answer.
pub(crate) fn until<T>(
    what: &str,
    members: &mut [&mut Member],
    mut answer: impl FnMut(&mut [&mut Member]) -> Option<T>,
) -> T {
    let begin = Instant::now();
    loop {
        for member in &mut *members {
            member.turn();
        }
        if let Some(answer) = answer(members) {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "no {what} came");
        thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

/// A Wake-on-LAN frame, the simplest that crosses by default.
pub(crate) fn magic_packet(source: PeerId, from: MacAddr, to: MacAddr) -> Vec<u8> {
    let header = Header {
        kind: Kind::Frame,
        hint: Hint::Sparse,
        source,
        flow_tag: 3,
        frames: FrameCount::ONE,
    };
    let mut datagram = header.encode().to_vec();
    datagram.extend(to.octets());
    datagram.extend(from.octets());
    datagram.extend([0x08, 0x42]);
    datagram.extend([0xFF; 6]);
    for _ in 0..16 {
        datagram.extend(to.octets());
    }
    datagram
}
