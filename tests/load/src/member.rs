//! Connections to whatever forwards datagrams, joined to a room or not.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use lanparty_ctrl::{Decoder, Incoming, Message, Role, RoomCode, encode};
use lanparty_lab::{raw_member, wait};
use lanparty_proto::PeerId;
use lanparty_proto::overlay::{FrameCount, Header, Hint, Kind};
use lanparty_transport::{
    ClientOptions, Congestion, ConnId, DeviceSeed, Event, FlowKey, MemberIdentity, ServerTrust,
    Transport, TransportLimits,
};

use crate::frame;

/// The name in the certificate that a relay makes for itself.
const SERVER_NAME: &str = "lanparty-relay.local";
const PATIENCE: Duration = Duration::from_secs(15);
/// Kept waiting on each connection: more than leaves in one turn.
const AHEAD: usize = 128 * 1_024;
/// Datagrams that are offered between two looks at the socket.
const BURST: u64 = 64;

/// Where the load goes.
#[derive(Clone, Debug)]
pub struct Destination {
    pub address: SocketAddr,
    /// The certificate, in DER.
    pub certificate: Vec<u8>,
    /// Whether it is a relay with rooms, or forwards what it is given.
    pub has_rooms: bool,
}

/// One device: a socket, and a connection for each room that it is in.
#[derive(Debug)]
pub struct Member {
    transport: Transport,
    seats: Vec<Seat>,
    received: u64,
    next: usize,
    /// Who it claims to be where nobody gives out ids.
    stranger: PeerId,
}

#[derive(Debug)]
struct Seat {
    conn: ConnId,
    is_up: bool,
    peer: Option<PeerId>,
    decoder: Decoder,
    datagram: Bytes,
}

impl Member {
    /// Connects member `number` to each of these rooms and joins it there.
    ///
    /// # Errors
    /// When the relay does not answer, or refuses.
    pub fn join(to: &Destination, number: u16, rooms: &[RoomCode]) -> Result<Self> {
        let mut seed = [7; 32];
        seed[..2].copy_from_slice(&number.to_be_bytes());
        let identity = || MemberIdentity::derive(&DeviceSeed(seed), &[0; 16]);
        let limits = TransportLimits {
            // Presses on until something is lost; ours would wait for the
            // middle, which is to be full.
            congestion: Congestion::Cubic,
            ..TransportLimits::default()
        };
        let mut transport = Transport::client(ClientOptions {
            identity: identity()?,
            trust: ServerTrust::certificate(to.certificate.clone()),
            bind: None,
            limits,
        })?;
        let mut seats = Vec::new();
        for _ in rooms {
            seats.push(Seat {
                conn: transport.connect(wait::now(), to.address, SERVER_NAME)?,
                is_up: false,
                peer: None,
                decoder: Decoder::new(),
                datagram: Bytes::new(),
            });
        }
        let mut member = Self {
            transport,
            seats,
            received: 0,
            next: 0,
            stranger: PeerId::try_from(1)?,
        };
        member.wait_for(|seat| seat.is_up)?;
        if to.has_rooms {
            let identity = identity()?;
            let name = format!("load{number}");
            for (seat, room) in member.seats.iter().zip(rooms) {
                let mac = Some(frame::mac(number));
                let hello = raw_member::hello(&identity, room, &name, Role::Client, mac)?;
                let hello = encode(&Message::Hello(Box::new(hello)));
                member.transport.send_control(seat.conn, hello)?;
            }
            member.wait_for(|seat| seat.peer.is_some())?;
        }
        Ok(member)
    }

    fn wait_for(&mut self, ready: impl Fn(&Seat) -> bool) -> Result<()> {
        let begin = wait::now();
        while !self.seats.iter().all(&ready) {
            let now = wait::now();
            if now > begin + PATIENCE {
                bail!("nobody answered, or not everybody may come in");
            }
            self.turn(now)?;
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// From now on this frame, or bundle of so many, is what it sends, in every
    /// room.
    pub fn say(&mut self, body: &[u8], frames: FrameCount) {
        for seat in &mut self.seats {
            let header = Header {
                kind: Kind::Frame,
                hint: Hint::Bulk,
                source: seat.peer.unwrap_or(self.stranger),
                flow_tag: 1,
                frames,
            };
            let datagram = [&header.encode()[..], body].concat();
            seat.datagram = Bytes::from(datagram);
        }
    }

    /// Offers up to so many datagrams, in each room in turn, and says how many.
    pub fn offer(&mut self, now: Instant, most: u64) -> u64 {
        let key = FlowKey {
            hint: Hint::Bulk,
            ..FlowKey::default()
        };
        let mut offered = 0;
        for _ in 0..self.seats.len() {
            self.next = (self.next + 1) % self.seats.len();
            let Some(seat) = self.seats.get(self.next) else {
                break;
            };
            for _ in 0..BURST.min(most - offered) {
                if self.transport.queue_bytes(seat.conn) > AHEAD {
                    break;
                }
                let datagram = seat.datagram.clone();
                self.transport.send_datagram(now, seat.conn, key, datagram);
                offered += 1;
            }
        }
        offered
    }

    /// Receives, answers and sends.
    ///
    /// # Errors
    /// When a connection has ended.
    pub fn turn(&mut self, now: Instant) -> Result<()> {
        self.transport.receive(now);
        self.transport.handle_timeouts(now);
        while let Some(event) = self.transport.poll_event() {
            self.take(event)?;
        }
        self.transport.flush(now);
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<()> {
        let conn = match event {
            Event::Datagram { .. } => {
                self.received += 1;
                return Ok(());
            }
            Event::Closed { reason, .. } => bail!("a connection ended: {reason}"),
            Event::Connected { conn, .. } | Event::Control { conn, .. } => conn,
        };
        let seat = self.seats.iter_mut().find(|seat| seat.conn == conn);
        let seat = seat.context("an unknown connection")?;
        let Event::Control { bytes, .. } = event else {
            seat.is_up = true;
            return Ok(());
        };
        seat.decoder.push(&bytes);
        while let Some(incoming) = seat.decoder.next()? {
            match incoming {
                Incoming::Message(Message::Welcome(welcome)) => seat.peer = Some(welcome.peer_id),
                Incoming::Message(Message::Reject(reject)) => bail!("refused: {reject:?}"),
                Incoming::Message(_) | Incoming::Skipped => {}
            }
        }
        Ok(())
    }

    /// Datagrams that have come, ever.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }
}
