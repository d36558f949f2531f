//! The network between members and relay: late, lossy, and in order only
//! where QUIC makes it so.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;

/// A connection's number; never used twice.
pub type ConnId = u64;

/// Something on its way.
#[derive(Clone, Debug)]
pub enum Parcel {
    ConnectToRelay {
        member: usize,
        conn: ConnId,
    },
    ControlToRelay {
        conn: ConnId,
        bytes: Bytes,
    },
    DatagramToRelay {
        conn: ConnId,
        bytes: Bytes,
    },
    /// The member closed the connection with this code.
    CloseToRelay {
        conn: ConnId,
        code: u64,
    },
    ControlToMember {
        conn: ConnId,
        bytes: Bytes,
    },
    DatagramToMember {
        conn: ConnId,
        bytes: Bytes,
    },
    CloseToMember {
        conn: ConnId,
        code: u64,
        message: String,
    },
    /// The relay has no memory of this connection.
    ResetToMember {
        conn: ConnId,
    },
}

/// How bad the network is at the moment.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Share of datagrams that vanish.
    pub loss: f64,
    /// Share of datagrams that arrive twice.
    pub duplicates: f64,
    /// Delay is uniform up to this, so datagrams overtake each other.
    pub delay: Duration,
}

impl Faults {
    pub const NONE: Self = Self {
        loss: 0.0,
        duplicates: 0.0,
        delay: Duration::from_millis(20),
    };
}

/// Parcels by their time of arrival.
#[derive(Debug)]
pub struct Network {
    pub faults: Faults,
    parcels: BTreeMap<(Instant, u64), Parcel>,
    sequence: u64,
    /// Control streams arrive in order, so nothing may arrive before what was
    /// sent on the same stream earlier.
    stream_times: BTreeMap<(ConnId, bool), Instant>,
    /// Until when a stream waits for the repetition of what an outage
    /// swallowed; nothing behind it may overtake.
    blocked: BTreeMap<(ConnId, bool), Instant>,
    /// Datagrams that the network lost or doubled; part of the books.
    pub lost: u64,
    pub doubled: u64,
}

impl Network {
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self {
            faults,
            parcels: BTreeMap::new(),
            sequence: 0,
            stream_times: BTreeMap::new(),
            blocked: BTreeMap::new(),
            lost: 0,
            doubled: 0,
        }
    }

    /// Sends something; datagrams suffer the faults, streams only the delay.
    pub fn send(&mut self, parcel: Parcel, now: Instant, rng: &mut StdRng) {
        let arrival = now + Duration::from_millis(1) + self.faults.delay.mul_f64(rng.random());
        if matches!(
            parcel,
            Parcel::DatagramToRelay { .. } | Parcel::DatagramToMember { .. }
        ) {
            if rng.random_bool(self.faults.loss) {
                self.lost += 1;
                return;
            }
            if rng.random_bool(self.faults.duplicates) {
                self.doubled += 1;
                let again = arrival + self.faults.delay.mul_f64(rng.random());
                self.enqueue(parcel.clone(), again);
            }
            self.enqueue(parcel, arrival);
            return;
        }
        let stream = stream_of(&parcel);
        let earliest = self.stream_times.get(&stream).copied().unwrap_or(arrival);
        let arrival = arrival.max(earliest);
        self.stream_times.insert(stream, arrival);
        self.enqueue(parcel, arrival);
    }

    /// Sends again later what could not be delivered, if it is part of a
    /// stream: QUIC repeats it for as long as the connection lives.
    pub fn hold(&mut self, parcel: Parcel, now: Instant) {
        if !is_control(&parcel) {
            return;
        }
        let stream = stream_of(&parcel);
        let waiting = self
            .blocked
            .get(&stream)
            .copied()
            .filter(|until| *until > now);
        let arrival = waiting.unwrap_or(now + RETRANSMIT);
        self.blocked.insert(stream, arrival);
        let newest = self.stream_times.entry(stream).or_insert(arrival);
        *newest = (*newest).max(arrival);
        self.enqueue(parcel, arrival);
    }

    /// True where something sent earlier on the same stream is still held.
    #[must_use]
    pub fn is_blocked(&self, parcel: &Parcel, now: Instant) -> bool {
        is_control(parcel)
            && self
                .blocked
                .get(&stream_of(parcel))
                .is_some_and(|until| *until > now)
    }

    /// The next parcel that has arrived by `now`, and when it did.
    pub fn receive(&mut self, now: Instant) -> Option<(Instant, Parcel)> {
        let (&(arrival, _), _) = self.parcels.first_key_value()?;
        if arrival > now {
            return None;
        }
        self.parcels
            .pop_first()
            .map(|((arrival, _), parcel)| (arrival, parcel))
    }

    #[must_use]
    pub fn next_arrival(&self) -> Option<Instant> {
        self.parcels
            .first_key_value()
            .map(|((arrival, _), _)| *arrival)
    }

    fn enqueue(&mut self, parcel: Parcel, arrival: Instant) {
        self.sequence += 1;
        self.parcels.insert((arrival, self.sequence), parcel);
    }
}

/// After how long a stream's bytes are tried again.
const RETRANSMIT: Duration = Duration::from_millis(300);

const fn is_control(parcel: &Parcel) -> bool {
    matches!(
        parcel,
        Parcel::ControlToRelay { .. } | Parcel::ControlToMember { .. }
    )
}

const fn stream_of(parcel: &Parcel) -> (ConnId, bool) {
    match parcel {
        Parcel::ConnectToRelay { conn, .. }
        | Parcel::ControlToRelay { conn, .. }
        | Parcel::DatagramToRelay { conn, .. }
        | Parcel::CloseToRelay { conn, .. } => (*conn, true),
        Parcel::ControlToMember { conn, .. }
        | Parcel::DatagramToMember { conn, .. }
        | Parcel::CloseToMember { conn, .. }
        | Parcel::ResetToMember { conn } => (*conn, false),
    }
}
