//! The relay: the real core, driven as the real program drives it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_proto::ethernet::EthernetHeader;
use lanparty_proto::fragment::{self, Fragment};
use lanparty_proto::overlay::{HEADER_LEN, Header, Kind, SEALED_LEN};
use lanparty_proto::{MacAddr, PeerId};
use lanparty_relay_core::{
    Clock, Conn, Decision, Effect, Limits, NewConnection, RelayCore, RelaySecrets,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::member::exporter;
use crate::model::Model;
use crate::network::{ConnId, Network, Parcel};

/// A defect put between the core and the network, to see it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Frames go back to their sender too.
    NoReflectionCheck,
    /// Any source peer id is let through.
    NoIdCheck,
    /// Any source MAC address is let through.
    NoSourceMacCheck,
    /// Some datagrams vanish without a count.
    UncountedDrop,
}

/// One relay process; a restart makes a new one with the same secrets.
#[derive(Debug)]
pub struct Relay {
    core: RelayCore<StdRng>,
    sabotage: Option<Sabotage>,
    connections: BTreeSet<ConnId>,
    next_frame_id: u16,
    /// Whether sealed frames and messages are altered, repeated and withheld.
    pub mischief: bool,
    /// What was sealed and sent, to be sent again.
    hoard: Vec<Parcel>,
    /// Datagrams handed to this process while their connection stood.
    pub datagrams_in: u64,
}

/// Survives restarts.
pub const SECRETS: RelaySecrets = RelaySecrets {
    resume_key: [0x42; 32],
};

/// What a connection can carry, by the member it belongs to.
pub trait Paths {
    fn budget(&self, conn: ConnId) -> usize;
    fn identity(&self, member: usize) -> [u8; 32];
}

impl Relay {
    #[must_use]
    pub fn new(
        start: Instant,
        now: Instant,
        sabotage: Option<Sabotage>,
        mischief: bool,
        rng: &mut StdRng,
    ) -> Self {
        let since = now.saturating_duration_since(start);
        let clock = Clock {
            instant: now,
            unix_s: 1_800_000_000 + since.as_secs(),
        };
        let core = RelayCore::new(Limits::default(), SECRETS, clock, StdRng::from_rng(rng));
        Self {
            core,
            sabotage,
            connections: BTreeSet::new(),
            next_frame_id: 0,
            mischief,
            hoard: Vec::new(),
            datagrams_in: 0,
        }
    }

    /// Something arrives from a member.
    pub fn receive(
        &mut self,
        parcel: Parcel,
        now: Instant,
        network: &mut Network,
        rng: &mut StdRng,
        model: &mut Model,
        paths: &impl Paths,
    ) {
        match parcel {
            Parcel::ConnectToRelay { member, conn } => {
                self.connections.insert(conn);
                let remote = SocketAddr::from((
                    [198, 51, 100, u8::try_from(member % 250).unwrap_or(1)],
                    40_000,
                ));
                let identity = paths.identity(member);
                self.core.connected(
                    NewConnection {
                        conn: Conn(conn),
                        remote,
                        identity,
                        exporter: exporter(conn),
                    },
                    now,
                );
            }
            Parcel::ControlToRelay { conn, bytes } if self.connections.contains(&conn) => {
                // Streams know no message borders.
                let cut = rng.random_range(0..=bytes.len());
                self.core.control(Conn(conn), &bytes[..cut], now);
                self.core.control(Conn(conn), &bytes[cut..], now);
            }
            Parcel::DatagramToRelay { conn, bytes } if self.connections.contains(&conn) => {
                self.datagram(conn, &bytes, now, network, rng, model, paths);
            }
            Parcel::CloseToRelay { conn, code } => {
                if self.connections.remove(&conn) {
                    self.core.disconnected(Conn(conn), Some(code), now);
                }
            }
            Parcel::ControlToRelay { conn, .. } | Parcel::DatagramToRelay { conn, .. } => {
                network.send(Parcel::ResetToMember { conn }, now, rng);
            }
            Parcel::ControlToMember { .. }
            | Parcel::DatagramToMember { .. }
            | Parcel::CloseToMember { .. }
            | Parcel::ResetToMember { .. } => {}
        }
        self.effects(now, network, rng);
    }

    /// The path to this member broke; the idle timeout has found out.
    pub fn lost(&mut self, conn: ConnId, now: Instant, network: &mut Network, rng: &mut StdRng) {
        if self.connections.remove(&conn) {
            self.core.disconnected(Conn(conn), None, now);
            self.effects(now, network, rng);
        }
    }

    pub fn tick(&mut self, now: Instant, network: &mut Network, rng: &mut StdRng) {
        self.core.tick(now);
        self.effects(now, network, rng);
    }

    #[must_use]
    pub fn next_wakeup(&self) -> Option<Instant> {
        self.core.next_wakeup()
    }

    /// Invariant I11 for this process: everything that came in is accounted
    /// for.
    pub fn balance(&self, now: Instant, model: &mut Model) {
        let counters = self.core.snapshot(now, |_| None).relay.counters;
        let out = counters.forwarded + counters.answered + counters.drops.total();
        if counters.datagrams_in != self.datagrams_in || counters.datagrams_in != out {
            model.violated(
                "I11",
                format!(
                    "{} datagrams came in, {} were counted, {out} are accounted for",
                    self.datagrams_in, counters.datagrams_in
                ),
            );
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of the world that a datagram touches"
    )]
    fn datagram(
        &mut self,
        conn: ConnId,
        bytes: &Bytes,
        now: Instant,
        network: &mut Network,
        rng: &mut StdRng,
        model: &mut Model,
        paths: &impl Paths,
    ) {
        self.datagrams_in += 1;
        if self.sabotage == Some(Sabotage::UncountedDrop) && rng.random_bool(0.02) {
            return;
        }
        let shown = self.shown_to_core(conn, bytes, model);
        match self.core.datagram(Conn(conn), &shown, now) {
            Decision::Forward { targets, .. } => {
                let mut targets: Vec<ConnId> = targets.iter().map(|target| target.0).collect();
                if self.sabotage == Some(Sabotage::NoReflectionCheck) {
                    targets.push(conn);
                }
                let Ok((header, body)) = Header::decode(bytes) else {
                    return;
                };
                for target in targets {
                    model.forwarded(conn, target, header.source, source_mac(header.kind, body));
                    let sealed = matches!(header.kind, Kind::SealedFrame | Kind::SealedFragment);
                    for bytes in self.fit(bytes, paths.budget(target)) {
                        let conn = target;
                        let parcel = Parcel::DatagramToMember { conn, bytes };
                        self.pass_on(parcel, sealed, now, network, rng);
                    }
                }
            }
            Decision::Answer { datagram, .. } => {
                let bytes = Bytes::copy_from_slice(&datagram);
                network.send(Parcel::DatagramToMember { conn, bytes }, now, rng);
            }
            Decision::Drop(_) => {}
        }
    }

    /// Sends what the core decided to send; where it is sealed, a relay that is
    /// an adversary does what it likes.
    fn pass_on(
        &mut self,
        parcel: Parcel,
        sealed: bool,
        now: Instant,
        network: &mut Network,
        rng: &mut StdRng,
    ) {
        if !(sealed && self.mischief) {
            return network.send(parcel, now, rng);
        }
        if self.hoard.len() < HOARD {
            self.hoard.push(parcel.clone());
        } else {
            let at = rng.random_range(0..HOARD);
            self.hoard[at] = parcel.clone();
        }
        match rng.random_range(0..100) {
            0..5 => {}
            5..15 => {
                network.send(parcel.clone(), now, rng);
                let again = self.hoard[rng.random_range(0..self.hoard.len())].clone();
                network.send(again, now, rng);
            }
            15..25 => network.send(altered(parcel, rng), now, rng),
            _ => network.send(parcel, now, rng),
        }
    }

    /// What the real driver does for a target whose path is narrower.
    fn fit(&mut self, bytes: &Bytes, budget: usize) -> Vec<Bytes> {
        if bytes.len() <= budget {
            return vec![bytes.clone()];
        }
        self.next_frame_id = self.next_frame_id.wrapping_add(1);
        let Ok(pieces) = fragment::split(bytes, budget, self.next_frame_id, true) else {
            return Vec::new();
        };
        pieces
            .map(|piece| {
                let mut bytes = Vec::with_capacity(piece.len());
                piece.write_to(&mut bytes);
                bytes.into()
            })
            .collect()
    }

    /// Hides from the core what a sabotaged check would have looked at.
    fn shown_to_core(&self, conn: ConnId, bytes: &Bytes, model: &Model) -> Vec<u8> {
        let mut shown = bytes.to_vec();
        let Some(seat) = model.seats.get(&conn) else {
            return shown;
        };
        match self.sabotage {
            Some(Sabotage::NoIdCheck) => {
                if let Some(field) = shown.get_mut(2..4) {
                    field.copy_from_slice(&seat.peer.get().to_be_bytes());
                }
            }
            Some(Sabotage::NoSourceMacCheck) => {
                let at = match Header::decode(bytes) {
                    Ok((header, _)) if header.kind == Kind::Frame => HEADER_LEN + 6,
                    _ => return shown,
                };
                if let (Some(mac), Some(field)) = (seat.mac, shown.get_mut(at..at + 6)) {
                    field.copy_from_slice(&mac.octets());
                }
            }
            Some(Sabotage::NoReflectionCheck | Sabotage::UncountedDrop) | None => {}
        }
        shown
    }

    fn effects(&mut self, now: Instant, network: &mut Network, rng: &mut StdRng) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::SendControl {
                    conn: Conn(conn),
                    bytes,
                } => {
                    let sealed = bytes.windows(SEALED.len()).any(|window| window == SEALED);
                    let parcel = Parcel::ControlToMember { conn, bytes };
                    self.pass_on(parcel, sealed, now, network, rng);
                }
                Effect::Close {
                    conn: Conn(conn),
                    code,
                    message,
                } => {
                    self.connections.remove(&conn);
                    network.send(
                        Parcel::CloseToMember {
                            conn,
                            code: code.into(),
                            message,
                        },
                        now,
                        rng,
                    );
                }
            }
        }
    }
}

/// How much a hostile relay keeps.
const HOARD: usize = 200;
const SEALED: &[u8] = br#""type":"sealed""#;

/// A datagram or the body of a message with one bit turned over.
fn altered(parcel: Parcel, rng: &mut StdRng) -> Parcel {
    match parcel {
        Parcel::DatagramToMember { conn, bytes } => {
            let mut bytes = bytes.to_vec();
            // Behind the base header, which only the relay itself vouches for.
            let at = rng.random_range(HEADER_LEN..bytes.len());
            bytes[at] ^= 1 << rng.random_range(0..8);
            let bytes = bytes.into();
            Parcel::DatagramToMember { conn, bytes }
        }
        Parcel::ControlToMember { conn, bytes } => {
            let mut bytes = bytes.to_vec();
            let digits: Vec<usize> = hex_body(&bytes).collect();
            if let Some(&at) = digits.get(rng.random_range(0..digits.len().max(1))) {
                bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            }
            let bytes = bytes.into();
            Parcel::ControlToMember { conn, bytes }
        }
        other @ (Parcel::ConnectToRelay { .. }
        | Parcel::ControlToRelay { .. }
        | Parcel::DatagramToRelay { .. }
        | Parcel::CloseToRelay { .. }
        | Parcel::CloseToMember { .. }
        | Parcel::ResetToMember { .. }) => other,
    }
}

/// Where the digits of the body stand in a sealed message.
fn hex_body(bytes: &[u8]) -> impl Iterator<Item = usize> + use<> {
    const BODY: &[u8] = br#""body":""#;
    let start = bytes.windows(BODY.len()).position(|window| window == BODY);
    let start = start.map_or(bytes.len(), |at| at + BODY.len());
    let digits = bytes[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit());
    start..start + digits.count()
}

fn source_mac(kind: Kind, body: &[u8]) -> Option<MacAddr> {
    let ethernet = match kind {
        Kind::Frame => body,
        Kind::Fragment => Fragment::parse(body).ok()?.ethernet,
        Kind::SealedFrame => body.get(SEALED_LEN..)?,
        Kind::SealedFragment => Fragment::parse(body.get(SEALED_LEN..)?).ok()?.ethernet,
        Kind::Probe => return None,
    };
    EthernetHeader::parse(ethernet)
        .ok()
        .map(|(header, _)| header.source)
}

/// How long a relay needs to notice that a member's path is gone.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Looks like a peer id that no relay minted for this sender.
#[must_use]
pub fn other_id(own: PeerId, rng: &mut StdRng) -> u16 {
    let mut id: u16 = rng.random();
    while id == own.get() {
        id = rng.random();
    }
    id
}
