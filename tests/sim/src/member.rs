//! One member: the real session, driven as a real program drives it.

use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use bytes::Bytes;
use lanparty_client_core::{
    DisconnectCause, Effect, Membership, Session, SessionConfig, SessionEvent, Signer,
};
use lanparty_ctrl::{Access, KeyCard, Role, RoomCode, RoomPolicy};
use lanparty_proto::{MacAddr, PeerId};
use lanparty_seal::RoomKey;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::frames;
use crate::network::{ConnId, Network, Parcel};

/// One member of one room, as long as the simulation runs.
#[derive(Debug)]
pub struct Member {
    pub number: usize,
    pub room: usize,
    pub role: Role,
    pub mac: MacAddr,
    /// What its path carries in one datagram.
    pub budget: usize,
    pub conn: Option<ConnId>,
    session: Session,
    /// Whether its room has a key.
    pub keyed: bool,
    key: Ed25519Key,
    /// False while nothing gets through to the relay.
    pub online: bool,
    pub membership: Option<Membership>,
    /// The session is over for good; a person would start the program again.
    pub ended: bool,
    /// Datagrams handed to the session, and frames that came out of it.
    pub datagrams_in: u64,
}

struct Ed25519Key {
    pair: Arc<Ed25519KeyPair>,
    public: [u8; 32],
}

impl std::fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ed25519Key(..)")
    }
}

/// What a member wants from the world after an input.
#[derive(Debug)]
pub enum Wish {
    Dial,
    Welcomed(Membership),
}

impl Member {
    /// # Panics
    /// Never: the names are valid and the seed has the right length.
    #[must_use]
    pub fn new(
        number: usize,
        room: usize,
        keyed: bool,
        role: Role,
        now: Instant,
        rng: &mut StdRng,
    ) -> Self {
        let key = Ed25519Key::from_seed(&rng.random());
        let mac = MacAddr::from_random(rng.random());
        Self {
            number,
            room,
            role,
            mac,
            // From QUIC's floor to a full IPv4 path.
            budget: [1_162, 1_214, 1_334, 1_414, 1_434][rng.random_range(0..5)],
            conn: None,
            session: session((number, room, keyed), role, mac, &key, now, rng),
            keyed,
            key,
            online: true,
            membership: None,
            ended: false,
            datagrams_in: 0,
        }
    }

    #[must_use]
    pub fn identity(&self) -> [u8; 32] {
        KeyCard::identity_of(&self.key.public)
    }

    #[must_use]
    pub fn peer(&self) -> Option<PeerId> {
        self.membership
            .as_ref()
            .map(|membership| membership.peer_id)
    }

    /// A new process on the same machine: same identity, same MAC address.
    pub fn restart(&mut self, now: Instant, network: &mut Network, rng: &mut StdRng) -> Vec<Wish> {
        self.conn = None;
        self.membership = None;
        self.ended = false;
        self.session = session(
            (self.number, self.room, self.keyed),
            self.role,
            self.mac,
            &self.key,
            now,
            rng,
        );
        self.start(now, network, rng)
    }

    pub fn start(&mut self, now: Instant, network: &mut Network, rng: &mut StdRng) -> Vec<Wish> {
        self.session.start(now);
        self.effects(now, network, rng)
    }

    pub fn connected(
        &mut self,
        conn: ConnId,
        now: Instant,
        network: &mut Network,
        rng: &mut StdRng,
    ) -> Vec<Wish> {
        self.conn = Some(conn);
        self.session.connected(&exporter(conn), self.budget, now);
        self.effects(now, network, rng)
    }

    pub fn tick(&mut self, now: Instant, network: &mut Network, rng: &mut StdRng) -> Vec<Wish> {
        self.session.tick(now);
        self.effects(now, network, rng)
    }

    #[must_use]
    pub fn next_wakeup(&self) -> Option<Instant> {
        self.session.next_wakeup()
    }

    /// Something arrives from the relay; frames go to `sink`.
    pub fn receive(
        &mut self,
        parcel: Parcel,
        now: Instant,
        network: &mut Network,
        rng: &mut StdRng,
        sink: &mut impl FnMut(&[u8], PeerId),
    ) -> Vec<Wish> {
        match parcel {
            Parcel::ControlToMember { bytes, .. } => {
                let cut = rng.random_range(0..=bytes.len());
                self.session.control(&bytes[..cut], now);
                self.session.control(&bytes[cut..], now);
                self.session.release(self.budget, now, sink);
            }
            Parcel::DatagramToMember { bytes, .. } => {
                self.datagrams_in += 1;
                let _counted = self.session.incoming(&bytes, self.budget, now, sink);
            }
            Parcel::CloseToMember { code, message, .. } => {
                self.lost(DisconnectCause::Application { code, message }, now);
            }
            Parcel::ResetToMember { .. } => self.lost(DisconnectCause::Reset, now),
            Parcel::ConnectToRelay { .. }
            | Parcel::ControlToRelay { .. }
            | Parcel::DatagramToRelay { .. }
            | Parcel::CloseToRelay { .. } => {}
        }
        self.effects(now, network, rng)
    }

    fn lost(&mut self, cause: DisconnectCause, now: Instant) {
        self.conn = None;
        self.membership = None;
        self.session.disconnected(cause, now);
    }

    /// Sends frames of one moment as the program would, policy and all.
    pub fn send_frames(
        &mut self,
        frames: Vec<Vec<u8>>,
        now: Instant,
        network: &mut Network,
        rng: &mut StdRng,
    ) {
        let Some(conn) = self.conn else { return };
        let online = self.online;
        let mut datagrams = Vec::new();
        let mut sink = |_, bytes| datagrams.push(bytes);
        for mut frame in frames {
            let _counted = self
                .session
                .outgoing(&mut frame, self.budget, now, &mut sink);
        }
        self.session.flush(self.budget, now, &mut sink);
        for bytes in datagrams {
            if online {
                network.send(Parcel::DatagramToRelay { conn, bytes }, now, rng);
            }
        }
    }

    /// Sends bytes that no honest program would.
    pub fn send_raw(&self, bytes: Bytes, now: Instant, network: &mut Network, rng: &mut StdRng) {
        if let (Some(conn), true) = (self.conn, self.online) {
            network.send(Parcel::DatagramToRelay { conn, bytes }, now, rng);
        }
    }

    /// A frame of this member's, with a mark.
    #[must_use]
    pub fn frame_to(&self, destination: MacAddr, mark: u64, len: usize) -> Vec<u8> {
        frames::marked(self.mac, destination, mark, len)
    }

    fn effects(&mut self, now: Instant, network: &mut Network, rng: &mut StdRng) -> Vec<Wish> {
        let mut wishes = Vec::new();
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                Effect::Dial => {
                    self.conn = None;
                    self.membership = None;
                    wishes.push(Wish::Dial);
                }
                Effect::SendControl(bytes) => {
                    if let Some(conn) = self.conn {
                        network.send(Parcel::ControlToRelay { conn, bytes }, now, rng);
                    }
                }
                Effect::SendDatagram { bytes, .. } => self.send_raw(bytes, now, network, rng),
                Effect::Close { code, .. } => {
                    if let (Some(conn), true) = (self.conn.take(), self.online) {
                        network.send(
                            Parcel::CloseToRelay {
                                conn,
                                code: code.into(),
                            },
                            now,
                            rng,
                        );
                    }
                    self.membership = None;
                }
                Effect::Event(SessionEvent::Joined(membership)) => {
                    self.membership = Some((*membership).clone());
                    wishes.push(Wish::Welcomed(*membership));
                }
                Effect::Event(SessionEvent::Lost { .. }) => self.membership = None,
                Effect::Event(SessionEvent::Ended(_)) => {
                    self.membership = None;
                    self.ended = true;
                }
                Effect::Event(_) => {}
            }
        }
        wishes
    }
}

/// What TLS would export on this connection: the same on both ends, and
/// different on every other one.
#[must_use]
pub fn exporter(conn: ConnId) -> [u8; 32] {
    let mut exporter = [0; 32];
    if let Some(field) = exporter.first_chunk_mut() {
        *field = conn.to_be_bytes();
    }
    exporter
}

impl Ed25519Key {
    fn from_seed(seed: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are a seed");
        let public = pair
            .public_key()
            .as_ref()
            .try_into()
            .expect("the key has 32 bytes");
        Self {
            pair: Arc::new(pair),
            public,
        }
    }
}

fn session(
    (number, room, keyed): (usize, usize, bool),
    role: Role,
    mac: MacAddr,
    key: &Ed25519Key,
    now: Instant,
    rng: &mut StdRng,
) -> Session {
    let code: RoomCode = format!("ROOM{room}").parse().expect("a valid room code");
    let registered = Some(mac);
    let pair = Arc::clone(&key.pair);
    let signer = Signer::new(key.public, move |bytes| {
        pair.sign(bytes)
            .as_ref()
            .try_into()
            .expect("a signature has 64 bytes")
    });
    let config = SessionConfig {
        role,
        room: code,
        key: keyed.then(|| RoomKey::from_bytes([0x5E; 32])),
        create_token: None,
        mac: registered,
        name: format!("member{number}").parse().expect("a valid name"),
        agent: "sim".parse().expect("a valid name"),
        signer,
        policy: RoomPolicy::default(),
        access: Access::default(),
    };
    Session::new(config, StdRng::from_rng(rng), now)
}
