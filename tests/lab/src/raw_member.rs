//! A member without manners: it speaks the protocol through the real
//! transport and sends whatever a test tells it to.
//!
//! No client policy, no adapter and no answers stand between the test and the
//! relay, so what reaches the others has passed the relay and their own checks.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use aws_lc_rs::digest;
use bytes::Bytes;
use lanparty_ctrl::feature::Features;
use lanparty_ctrl::{
    Admission, CloseCode, Decoder, Feature, Hello, Incoming, KeyCard, Message, PROTOCOL_VERSION,
    Reject, Role, RoomCode, RoomId, Welcome, encode,
};
use lanparty_proto::overlay::{FrameCount, Header, Hint, Kind};
use lanparty_proto::{MacAddr, PeerId, fragment};
use lanparty_seal::RoomKey;
use lanparty_transport::{
    ClientOptions, CloseReason, ConnId, DeviceSeed, Event, FlowKey, MemberIdentity, ServerTrust,
    Transport, TransportLimits,
};

use crate::node::Node;
use crate::wait;

/// The name in the certificate that a relay makes for itself.
const SERVER_NAME: &str = "lanparty-relay.local";
/// How long a handshake or a join may take on a busy two-core machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// Below the smallest budget that a member may announce.
const FRAGMENT_LEN: usize = 1_100;
/// How long the driver sleeps where nothing happens.
const NAP: Duration = Duration::from_millis(1);

/// A connection to a relay, joined or not, driven by a thread of its own.
#[derive(Debug)]
pub struct RawMember {
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    driver: Option<JoinHandle<()>>,
    identity: MemberIdentity,
    room: RoomCode,
    name: String,
}

#[derive(Debug, Default)]
struct State {
    /// Not yet given to the transport.
    datagrams: VecDeque<Bytes>,
    control: VecDeque<Bytes>,
    /// The exporter value of the connection, once it stands.
    connected: Option<[u8; 32]>,
    said: Vec<Message>,
    received: Vec<Bytes>,
    closed: Option<CloseReason>,
    next_frame_id: u16,
}

impl RawMember {
    /// Connects from `node` and joins as a player.
    ///
    /// # Errors
    /// When the relay does not answer, or refuses.
    pub fn join(
        node: &Node,
        relay: SocketAddr,
        certificate_der: &Path,
        room: &str,
        name: &str,
        mac: MacAddr,
    ) -> Result<Self> {
        let member = Self::connect(node, relay, certificate_der, room, name)?;
        member.say(&Message::Hello(Box::new(
            member.hello(Role::Client, Some(mac))?,
        )));
        member.welcome()?;
        Ok(member)
    }

    /// Connects from `node` and says nothing. The name makes the identity.
    ///
    /// # Errors
    /// When the relay does not answer.
    pub fn connect(
        node: &Node,
        relay: SocketAddr,
        certificate_der: &Path,
        room: &str,
        name: &str,
    ) -> Result<Self> {
        let room: RoomCode = room.parse().context("odd room code")?;
        let mut seed = [0; 32];
        seed.copy_from_slice(digest::digest(&digest::SHA256, name.as_bytes()).as_ref());
        let room_id = RoomId::derive(&room, None);
        let derive = || MemberIdentity::derive(&DeviceSeed(seed), &room_id.0);
        let certificate = std::fs::read(certificate_der)
            .with_context(|| format!("cannot read {}", certificate_der.display()))?;
        let options = ClientOptions {
            identity: derive()?,
            trust: ServerTrust::certificate(certificate),
            bind: None,
            limits: TransportLimits::default(),
        };
        // The socket stays in the namespace in which it was opened.
        let mut transport = node.inside(|| Ok(Transport::client(options)?))?;
        let conn = transport.connect(wait::now(), relay, SERVER_NAME)?;
        let state = Arc::new(Mutex::new(State::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let driver = thread::spawn({
            let (state, stop) = (state.clone(), stop.clone());
            move || drive(transport, conn, &state, &stop)
        });
        let member = Self {
            state,
            stop,
            driver: Some(driver),
            identity: derive()?,
            room,
            name: name.to_owned(),
        };
        wait::until(&format!("{name} to reach the relay"), PATIENCE, || {
            member.lock().connected.map(drop)
        })?;
        Ok(member)
    }

    /// A correct Hello, for a test to spoil.
    ///
    /// # Errors
    /// When the name is not one that a member may have.
    pub fn hello(&self, role: Role, mac: Option<MacAddr>) -> Result<Hello> {
        hello(&self.identity, &self.room, &self.name, role, mac)
    }

    /// The same from a member that holds the room key, bound to this
    /// connection.
    ///
    /// # Errors
    /// As [`Self::hello`].
    pub fn keyed_hello(&self, role: Role, mac: Option<MacAddr>, key: &RoomKey) -> Result<Hello> {
        let mut hello = self.hello(role, mac)?;
        hello.features.push(Feature::seal())?;
        let exporter = self.lock().connected.context("not connected")?;
        let pair = key.admission();
        let public_key = pair.public_key();
        let spki_hash = &hello.key_card.identity;
        let message = Admission::signed_bytes(&exporter, spki_hash, &public_key, &hello);
        hello.admission = Some(Admission {
            public_key,
            signature: pair.sign(&message),
        });
        Ok(hello)
    }

    /// Waits for the relay's Welcome.
    ///
    /// # Errors
    /// When it refuses, or does not answer.
    pub fn welcome(&self) -> Result<Welcome> {
        let answer = || {
            let welcome = self.said_matching(|message| {
                if let Message::Welcome(welcome) = message {
                    return Some((**welcome).clone());
                }
                None
            });
            match (welcome, self.reject(), self.closed()) {
                (Some(welcome), _, _) => Some(Ok(welcome)),
                (None, Some(reject), _) => Some(Err(format!("{reject:?}"))),
                (None, None, closed) => closed.map(|reason| Err(reason.to_string())),
            }
        };
        wait::until(&format!("{} to be welcomed", self.name), PATIENCE, answer)?
            .map_err(|refusal| anyhow::anyhow!("{} was refused: {refusal}", self.name))
    }

    /// The relay's refusal, if it has come.
    #[must_use]
    pub fn reject(&self) -> Option<Reject> {
        self.said_matching(|message| {
            if let Message::Reject(reject) = message {
                return Some(reject.clone());
            }
            None
        })
    }

    /// The id that the relay gave to this member.
    ///
    /// # Errors
    /// As [`Self::welcome`].
    pub fn peer_id(&self) -> Result<PeerId> {
        Ok(self.welcome()?.peer_id)
    }

    /// Sends an Ethernet frame, in fragments where it is too long for one
    /// datagram.
    ///
    /// # Errors
    /// When this member has not joined.
    pub fn send_frame(&self, frame: &[u8]) -> Result<()> {
        let header = Header {
            kind: Kind::Frame,
            hint: Hint::Sparse,
            source: self.peer_id()?,
            flow_tag: 1,
            frames: FrameCount::ONE,
        };
        let mut datagram = header.encode().to_vec();
        datagram.extend(frame);
        if datagram.len() <= FRAGMENT_LEN {
            self.send_datagram(&datagram);
            return Ok(());
        }
        let frame_id = {
            let mut state = self.lock();
            state.next_frame_id = state.next_frame_id.wrapping_add(1);
            state.next_frame_id
        };
        for piece in fragment::split(&datagram, FRAGMENT_LEN, frame_id, false)? {
            let mut fragment = Vec::with_capacity(piece.len());
            piece.write_to(&mut fragment);
            self.send_datagram(&fragment);
        }
        Ok(())
    }

    /// Sends these bytes as one datagram.
    pub fn send_datagram(&self, datagram: &[u8]) {
        self.lock()
            .datagrams
            .push_back(Bytes::copy_from_slice(datagram));
    }

    /// Sends these bytes on the control stream, whatever they are.
    pub fn send_control(&self, bytes: &[u8]) {
        self.lock().control.push_back(Bytes::copy_from_slice(bytes));
    }

    /// Sends a message on the control stream.
    pub fn say(&self, message: &Message) {
        self.send_control(&encode(message));
    }

    /// The datagrams that came since the last call.
    pub fn received(&self) -> Vec<Bytes> {
        std::mem::take(&mut self.lock().received)
    }

    /// The first message of the relay for which `wanted` has an answer.
    pub fn said_matching<T>(&self, wanted: impl FnMut(&Message) -> Option<T>) -> Option<T> {
        self.lock().said.iter().find_map(wanted)
    }

    /// How the connection ended, if it did.
    #[must_use]
    pub fn closed(&self) -> Option<CloseReason> {
        self.lock().closed.clone()
    }

    /// Waits until the relay has closed the connection.
    ///
    /// # Errors
    /// When it has not within `limit`, or when it ended in another way.
    pub fn closed_with(&self, limit: Duration) -> Result<(CloseCode, String)> {
        let what = format!("the relay to close the connection of {}", self.name);
        let reason = wait::until(&what, limit, || self.closed())?;
        let CloseReason::Application { code, message } = reason else {
            bail!("the connection of {} ended otherwise: {reason}", self.name);
        };
        let code = CloseCode::from_u64(code).with_context(|| format!("unknown code {code}"))?;
        Ok((code, message))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RawMember {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(driver) = self.driver.take() {
            let _it_panicked = driver.join();
        }
    }
}

/// A correct Hello of a member that says nothing of an earlier session.
///
/// # Errors
/// When the name is not one that a member may have.
pub fn hello(
    identity: &MemberIdentity,
    room: &RoomCode,
    name: &str,
    role: Role,
    mac: Option<MacAddr>,
) -> Result<Hello> {
    let mut key_card = KeyCard {
        identity: identity.identity().0,
        public_key: identity.public_key(),
        x25519: [9; 32],
        session: [7; 16],
        signature: [0; 64],
    };
    key_card.signature = identity.sign(&key_card.signed_bytes(mac, role));
    Ok(Hello {
        version: PROTOCOL_VERSION,
        features: Features::default(),
        role,
        room: room.clone(),
        create: false,
        create_token: None,
        mac,
        name: name.parse().context("odd name")?,
        datagram_budget: lanparty_proto::mtu::MIN_DATAGRAM_BUDGET,
        agent: "raw member".parse().context("odd agent")?,
        key_card,
        admission: None,
        resume: None,
    })
}

fn drive(mut transport: Transport, conn: ConnId, state: &Mutex<State>, stop: &AtomicBool) {
    let mut decoder = Decoder::new();
    while !stop.load(Ordering::Relaxed) {
        let now = wait::now();
        transport.receive(now);
        transport.handle_timeouts(now);
        {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(event) = transport.poll_event() {
                state.take(event, &mut decoder);
            }
            while let Some(bytes) = state.control.pop_front() {
                let _the_relay_reads_slowly = transport.send_control(conn, bytes);
            }
            while let Some(bytes) = state.datagrams.pop_front() {
                transport.send_datagram(now, conn, FlowKey::default(), bytes);
            }
        }
        transport.flush(now);
        thread::sleep(NAP);
    }
    transport.close(wait::now(), conn, CloseCode::Normal.into(), "");
    transport.flush(wait::now());
}

impl State {
    fn take(&mut self, event: Event, decoder: &mut Decoder) {
        match event {
            Event::Connected { exporter, .. } => self.connected = Some(exporter),
            Event::Control { bytes, .. } => {
                decoder.push(&bytes);
                while let Ok(Some(incoming)) = decoder.next() {
                    if let Incoming::Message(message) = incoming {
                        self.said.push(message);
                    }
                }
            }
            Event::Datagram { bytes, .. } => self.received.push(bytes),
            Event::Closed { reason, .. } => self.closed = Some(reason),
        }
    }
}
