//! One member and a relay made of a script.

use std::time::{Duration, Instant};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use bytes::Bytes;
use lanparty_client_core::{DisconnectCause, Effect, Session, SessionConfig, SessionEvent, Signer};
use lanparty_ctrl::{
    Access, CloseCode, Decoder, Incoming, KeyCard, Message, Mode, PROTOCOL_VERSION, PeerInfo,
    ResumeToken, Role, RoomId, RoomPolicy, Sealed, Welcome, encode,
};
use lanparty_obs::DropReason;
use lanparty_proto::{MacAddr, PeerId};
use lanparty_seal::RoomKey;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// What an IPv4 path of 1,500 bytes carries.
pub(crate) const BUDGET: usize = 1_434;
/// The TLS exporter value of every connection.
pub(crate) const EXPORTER: [u8; 32] = [0x55; 32];

pub(crate) struct Member {
    pub(crate) session: Session,
    pub(crate) now: Instant,
    pub(crate) events: Vec<SessionEvent>,
    /// Control messages of the connections so far.
    pub(crate) sent: Vec<Message>,
    /// What it sent to other members.
    pub(crate) sealed: Vec<Sealed>,
    pub(crate) datagrams: Vec<Bytes>,
    pub(crate) dials: Vec<Instant>,
    pub(crate) closes: Vec<CloseCode>,
    /// Frames that came out, with their senders.
    pub(crate) frames: Vec<(Vec<u8>, PeerId)>,
    decoder: Decoder,
}

pub(crate) fn peer(id: u16) -> PeerId {
    PeerId::try_from(id).unwrap()
}

pub(crate) fn mac(last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, last])
}

/// The identity key of the member whose seed is all `seed`.
pub(crate) fn signer(seed: u8) -> Signer {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let public = pair.public_key().as_ref().try_into().unwrap();
    Signer::new(public, move |bytes| {
        pair.sign(bytes).as_ref().try_into().unwrap()
    })
}

fn card() -> KeyCard {
    KeyCard {
        identity: [9; 32],
        public_key: [9; 32],
        x25519: [5; 32],
        session: [5; 16],
        signature: [0; 64],
    }
}

/// A player with this id and a MAC address that ends like it.
pub(crate) fn player_info(id: u8) -> PeerInfo {
    PeerInfo {
        peer: peer(id.into()),
        role: Role::Client,
        mac: Some(mac(id)),
        name: format!("player {id}").parse().unwrap(),
        key_card: card(),
    }
}

pub(crate) fn gateway_info(id: u8) -> PeerInfo {
    PeerInfo {
        role: Role::Gateway,
        ..player_info(id)
    }
}

pub(crate) fn welcome(id: u8, gateway: Option<u8>) -> Message {
    let mode = gateway.map_or(Mode::Players, |_| Mode::Lan);
    Message::Welcome(Box::new(Welcome {
        version: PROTOCOL_VERSION,
        mode,
        room_id: RoomId([1; 16]),
        peer_id: peer(id.into()),
        tap_mtu: 1_344,
        gateway: gateway.map(|id| peer(id.into())),
        features: Default::default(),
        resume: ResumeToken::try_from(vec![id; 8]).unwrap(),
        observed_address: "192.0.2.1:4000".parse().unwrap(),
        policy: RoomPolicy::default(),
    }))
}

impl Member {
    pub(crate) fn player(id: u8) -> Self {
        Self::new(Role::Client, id)
    }

    pub(crate) fn gateway(id: u8) -> Self {
        Self::new(Role::Gateway, id)
    }

    /// With the room key whose bytes are all `key`.
    pub(crate) fn keyed(role: Role, id: u8, key: u8) -> Self {
        Self::with(role, id, Some(RoomKey::from_bytes([key; 32])))
    }

    fn new(role: Role, id: u8) -> Self {
        Self::with(role, id, None)
    }

    fn with(role: Role, id: u8, key: Option<RoomKey>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "where the test's clock starts")]
        let now = Instant::now();
        let config = SessionConfig {
            role,
            room: "PARTY".parse().unwrap(),
            key,
            create_token: None,
            mac: Some(mac(id)),
            name: "Ann".parse().unwrap(),
            agent: "test 1".parse().unwrap(),
            signer: signer(id),
            policy: RoomPolicy::default(),
            access: Access::default(),
        };
        let mut member = Self {
            session: Session::new(config, StdRng::seed_from_u64(id.into()), now),
            now,
            events: Vec::new(),
            sent: Vec::new(),
            sealed: Vec::new(),
            datagrams: Vec::new(),
            dials: Vec::new(),
            closes: Vec::new(),
            frames: Vec::new(),
            decoder: Decoder::new(),
        };
        member.session.start(now);
        member.collect();
        member
    }

    /// Connected and welcomed under `id`.
    pub(crate) fn joined(mut self, id: u8) -> Self {
        self.join(id);
        self
    }

    pub(crate) fn join(&mut self, id: u8) {
        self.connect();
        self.relay(&welcome(id, None));
    }

    pub(crate) fn connect(&mut self) {
        self.session.connected(&EXPORTER, BUDGET, self.now);
        self.collect();
    }

    pub(crate) fn relay(&mut self, message: &Message) {
        self.session.control(&encode(message), self.now);
        self.collect();
    }

    pub(crate) fn introduce(&mut self, info: PeerInfo) {
        self.relay(&Message::PeerJoined(Box::new(info)));
    }

    pub(crate) fn lose(&mut self, cause: DisconnectCause) {
        self.session.disconnected(cause, self.now);
        self.collect();
    }

    /// Lets time pass, waking the session whenever it asks for it.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.collect();
        let end = self.now + time;
        while let Some(next) = self.session.next_wakeup()
            && next <= end
        {
            self.now = self.now.max(next);
            self.session.tick(self.now);
            self.collect();
        }
        self.now = end;
    }

    pub(crate) fn send(&mut self, frame: &[u8], max_datagram: usize) -> Result<(), DropReason> {
        self.send_all(&[frame.to_vec()], max_datagram)
    }

    /// Sends frames that came at one moment.
    pub(crate) fn send_all(
        &mut self,
        frames: &[Vec<u8>],
        max_datagram: usize,
    ) -> Result<(), DropReason> {
        let datagrams = &mut self.datagrams;
        let mut sink = |_, datagram| datagrams.push(datagram);
        let outcome = frames.iter().try_for_each(|frame| {
            self.session
                .outgoing(&mut frame.clone(), max_datagram, self.now, &mut sink)
        });
        self.session.flush(max_datagram, self.now, &mut sink);
        outcome
    }

    pub(crate) fn receive(&mut self, datagram: &[u8]) -> Result<(), DropReason> {
        let frames = &mut self.frames;
        let mut sink = |frame: &[u8], peer| frames.push((frame.to_vec(), peer));
        let result = self.session.incoming(datagram, BUDGET, self.now, &mut sink);
        self.collect();
        result
    }

    /// As a driver does after the control stream.
    pub(crate) fn release(&mut self) {
        let frames = &mut self.frames;
        let mut sink = |frame: &[u8], peer| frames.push((frame.to_vec(), peer));
        self.session.release(BUDGET, self.now, &mut sink);
        self.collect();
    }

    pub(crate) fn leave(&mut self) {
        self.session.leave();
        self.collect();
    }

    pub(crate) fn pings(&self) -> usize {
        let is_ping = |message: &&Message| matches!(message, Message::Ping(_));
        self.sent.iter().filter(is_ping).count()
    }

    pub(crate) fn lost(&self) -> bool {
        let is_lost = |event: &SessionEvent| matches!(event, SessionEvent::Lost { .. });
        self.events.iter().any(is_lost)
    }

    fn collect(&mut self) {
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                Effect::Dial => {
                    self.decoder = Decoder::new();
                    self.dials.push(self.now);
                }
                Effect::SendControl(bytes) => {
                    self.decoder.push(&bytes);
                    while let Ok(Some(Incoming::Message(message))) = self.decoder.next() {
                        if let Message::Sealed(sealed) = message {
                            self.sealed.push(sealed);
                        } else {
                            self.sent.push(message);
                        }
                    }
                }
                Effect::SendDatagram { bytes, .. } => self.datagrams.push(bytes),
                Effect::Close { code, .. } => self.closes.push(code),
                Effect::Event(event) => self.events.push(event),
            }
        }
    }
}
