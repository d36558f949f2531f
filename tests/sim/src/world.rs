//! The evening: what happens, in which order, and the books at its end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_ctrl::Role;
use lanparty_proto::overlay::{FrameCount, Header, Hint, Kind};
use lanparty_proto::{MacAddr, PeerId};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::frames;
use crate::member::{Member, Wish};
use crate::model::{Model, Seat, Sent, Violation};
use crate::network::{ConnId, Faults, Network, Parcel};
use crate::relay::{Paths, Relay, Sabotage, other_id};

/// How large an evening is.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub rooms: usize,
    pub members: usize,
    pub steps: usize,
    pub sabotage: Option<Sabotage>,
    /// Rooms with a gateway have a key, and the relay is an adversary there.
    pub keyed: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            rooms: 3,
            members: 6,
            steps: 500,
            sabotage: None,
            keyed: false,
        }
    }
}

/// What an evening showed.
#[derive(Debug, Default)]
pub struct Outcome {
    pub violations: Vec<Violation>,
    pub frames_sent: usize,
    pub frames_received: usize,
    pub hostile_datagrams: usize,
    pub relay_restarts: usize,
}

/// Time in which everybody must be back once the faults have stopped: the
/// longest redial delay of the first minute, a dial, and a join, with room
/// for a silence that has to be noticed first.
const HEAL: Duration = Duration::from_secs(60);

const HEAL_PARTS: u32 = 4;

/// Plays the evening of one seed.
#[must_use]
pub fn run(seed: u64, plan: Plan) -> Outcome {
    let mut world = World::new(seed, plan);
    for _step in 0..plan.steps {
        world.step();
        if !world.model.violations.is_empty() {
            break;
        }
    }
    if world.model.violations.is_empty() {
        world.heal();
        world.everybody_hears_everybody();
        world.relay.balance(world.now, &mut world.model);
    }
    world.outcome()
}

struct World {
    rng: StdRng,
    plan: Plan,
    start: Instant,
    now: Instant,
    network: Network,
    relay: Relay,
    /// While the relay is down, nothing answers.
    relay_is_up: bool,
    members: Vec<Member>,
    /// Which member a connection belongs to.
    owners: BTreeMap<ConnId, usize>,
    next_conn: ConnId,
    next_mark: u64,
    model: Model,
    hostile_datagrams: usize,
    relay_restarts: usize,
}

impl Paths for Directory<'_> {
    fn budget(&self, conn: ConnId) -> usize {
        let owner = self
            .owners
            .get(&conn)
            .and_then(|number| self.members.get(*number));
        owner.map_or(1_162, |member| member.budget)
    }

    fn identity(&self, member: usize) -> [u8; 32] {
        self.members.get(member).map_or([0; 32], Member::identity)
    }
}

/// What the relay's driver may look up.
struct Directory<'a> {
    owners: &'a BTreeMap<ConnId, usize>,
    members: &'a [Member],
}

impl World {
    fn new(seed: u64, plan: Plan) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let start = epoch();
        let faults = Faults {
            loss: rng.random_range(0.0..0.2),
            duplicates: rng.random_range(0.0..0.05),
            delay: Duration::from_millis(rng.random_range(1..200)),
        };
        let mut world = Self {
            relay: Relay::new(start, start, plan.sabotage, plan.keyed, &mut rng),
            relay_is_up: true,
            network: Network::new(faults),
            members: (0..plan.members)
                .map(|number| {
                    let room = number % plan.rooms;
                    // The first member of every other room is its gateway.
                    let role = if number < plan.rooms && room.is_multiple_of(2) {
                        Role::Gateway
                    } else {
                        Role::Client
                    };
                    let keyed = plan.keyed && room.is_multiple_of(2);
                    Member::new(number, room, keyed, role, start, &mut rng)
                })
                .collect(),
            rng,
            plan,
            start,
            now: start,
            owners: BTreeMap::new(),
            next_conn: 1,
            next_mark: 1,
            model: Model::default(),
            hostile_datagrams: 0,
            relay_restarts: 0,
        };
        for number in 0..plan.members {
            let wishes = world.members[number].start(world.now, &mut world.network, &mut world.rng);
            world.fulfil(number, wishes);
        }
        world
    }

    /// One thing happens, then some time passes.
    fn step(&mut self) {
        let number = self.rng.random_range(0..self.members.len());
        match self.rng.random_range(0..100) {
            0..60 => self.send_frames(number),
            60..80 => self.send_hostile(number),
            80..84 => self.toggle_line(number),
            84..87 => self.lose_connection(number),
            87..90 => self.restart_member(number),
            90 => self.restart_relay(),
            91 => self.relay_is_up = !self.relay_is_up,
            _ => {}
        }
        let pause = match self.rng.random_range(0..10) {
            0 => Duration::from_secs(self.rng.random_range(1..8)),
            _ => Duration::from_millis(self.rng.random_range(0..50)),
        };
        self.pass(pause);
    }

    fn send_frames(&mut self, number: usize) {
        let destination = self.some_destination(number);
        if self.rng.random() {
            let len = self.rng.random_range(frames::MIN_LEN..=1_358);
            self.send_marked(number, destination, len);
        } else {
            let count = self.rng.random_range(2..20);
            let len = self.rng.random_range(frames::MIN_LEN..200);
            let frames = (0..count).map(|_| self.mark(number, destination, len).1);
            let frames = frames.collect();
            let member = &mut self.members[number];
            member.send_frames(frames, self.now, &mut self.network, &mut self.rng);
        }
    }

    /// Sends a frame that the model will look for; returns its mark.
    fn send_marked(&mut self, number: usize, destination: MacAddr, len: usize) -> u64 {
        let (mark, frame) = self.mark(number, destination, len);
        let member = &mut self.members[number];
        member.send_frames(vec![frame], self.now, &mut self.network, &mut self.rng);
        mark
    }

    /// A frame that the model will look for, and its mark.
    fn mark(&mut self, number: usize, destination: MacAddr, len: usize) -> (u64, Vec<u8>) {
        let mark = self.next_mark;
        self.next_mark += 1;
        let member = &mut self.members[number];
        let frame = member.frame_to(destination, mark, len);
        let sent = Sent {
            room: member.room,
            sender: number,
            destination,
            frame: frame.clone(),
            forbidden: false,
            once: member.keyed,
            received_by: Vec::new(),
        };
        self.model.sent.insert(mark, sent);
        (mark, frame)
    }

    fn some_destination(&mut self, number: usize) -> MacAddr {
        match self.rng.random_range(0..4) {
            0 => MacAddr::BROADCAST,
            1 => MacAddr([0x01, 0x00, 0x5E, 0x01, 0x02, 0x03]),
            2 => MacAddr::from_random(self.rng.random()),
            _ => {
                let other = self.rng.random_range(0..self.members.len());
                if other == number {
                    MacAddr::BROADCAST
                } else {
                    self.members[other].mac
                }
            }
        }
    }

    /// A member turns hostile and speaks to the relay without its program.
    fn send_hostile(&mut self, number: usize) {
        let Some(own) = self.members[number].peer() else {
            return;
        };
        self.hostile_datagrams += 1;
        let mark = self.next_mark;
        self.next_mark += 1;
        let destination = self.some_destination(number);
        let member = &self.members[number];
        let mut source = own.get();
        let mut source_mac = member.mac;
        let mut garbage = None;
        match self.rng.random_range(0..4) {
            0 => source = self.somebody_elses_id(number, own),
            1 => source_mac = self.somebody_elses_mac(number),
            2 => {
                let len = self.rng.random_range(0..200);
                garbage = Some((0..len).map(|_| self.rng.random()).collect::<Vec<u8>>());
            }
            _ => source_mac = MacAddr([0x03, 0, 0, 0, 0, 1]),
        }
        let member = &self.members[number];
        let frame = frames::marked(source_mac, destination, mark, 200);
        // A gateway speaks for a whole LAN, and whether a member's address is
        // taken depends on who is in the room when the frame arrives.
        let may_pass =
            member.role == Role::Gateway && source == own.get() && !source_mac.is_multicast();
        let sent = Sent {
            room: member.room,
            sender: number,
            destination,
            frame: frame.clone(),
            forbidden: !may_pass || member.keyed,
            once: member.keyed,
            received_by: Vec::new(),
        };
        let mut bytes = Header {
            kind: Kind::Frame,
            hint: Hint::Normal,
            source: own,
            flow_tag: 7,
            frames: FrameCount::ONE,
        }
        .encode()
        .to_vec();
        bytes[2..4].copy_from_slice(&source.to_be_bytes());
        bytes.extend(&frame);
        let bytes = garbage.unwrap_or_else(|| {
            self.model.sent.insert(mark, sent);
            bytes
        });
        self.members[number].send_raw(
            Bytes::from(bytes),
            self.now,
            &mut self.network,
            &mut self.rng,
        );
    }

    /// Preferably of a member of the same room, where a forgery would work.
    fn somebody_elses_id(&mut self, number: usize, own: PeerId) -> u16 {
        let room = self.members[number].room;
        let neighbours: Vec<u16> = self
            .members
            .iter()
            .filter(|member| member.room == room && member.number != number)
            .filter_map(|member| member.peer().map(PeerId::get))
            .collect();
        if neighbours.is_empty() || self.rng.random_bool(0.3) {
            return other_id(own, &mut self.rng);
        }
        neighbours[self.rng.random_range(0..neighbours.len())]
    }

    fn somebody_elses_mac(&mut self, number: usize) -> MacAddr {
        let other = (number + self.rng.random_range(1..self.members.len())) % self.members.len();
        self.members[other].mac
    }

    fn toggle_line(&mut self, number: usize) {
        let member = &mut self.members[number];
        member.online = !member.online;
    }

    fn lose_connection(&mut self, number: usize) {
        if let Some(conn) = self.members[number].conn {
            self.relay
                .lost(conn, self.now, &mut self.network, &mut self.rng);
        }
    }

    fn restart_member(&mut self, number: usize) {
        let wishes = self.members[number].restart(self.now, &mut self.network, &mut self.rng);
        self.fulfil(number, wishes);
    }

    fn restart_relay(&mut self) {
        self.relay.balance(self.now, &mut self.model);
        self.relay_restarts += 1;
        let (sabotage, mischief) = (self.plan.sabotage, self.plan.keyed);
        self.relay = Relay::new(self.start, self.now, sabotage, mischief, &mut self.rng);
    }

    /// Lets time pass, with everything that happens meanwhile.
    fn pass(&mut self, pause: Duration) {
        let until = self.now + pause;
        loop {
            let next = [
                self.network.next_arrival(),
                self.relay_wakeup(),
                self.members_wakeup(),
            ]
            .into_iter()
            .flatten()
            .min()
            .filter(|at| *at <= until);
            let Some(at) = next else { break };
            self.now = self.now.max(at);
            while let Some((_, parcel)) = self.network.receive(self.now) {
                self.deliver(parcel);
            }
            if self.relay_wakeup().is_some_and(|at| at <= self.now) {
                self.relay.tick(self.now, &mut self.network, &mut self.rng);
            }
            for number in 0..self.members.len() {
                if self.members[number]
                    .next_wakeup()
                    .is_some_and(|at| at <= self.now)
                {
                    let wishes =
                        self.members[number].tick(self.now, &mut self.network, &mut self.rng);
                    self.fulfil(number, wishes);
                }
            }
        }
        self.now = until;
    }

    fn relay_wakeup(&self) -> Option<Instant> {
        self.relay.next_wakeup().filter(|_| self.relay_is_up)
    }

    fn members_wakeup(&self) -> Option<Instant> {
        self.members.iter().filter_map(Member::next_wakeup).min()
    }

    fn deliver(&mut self, parcel: Parcel) {
        let conn = match &parcel {
            Parcel::ConnectToRelay { .. }
            | Parcel::ControlToRelay { .. }
            | Parcel::DatagramToRelay { .. }
            | Parcel::CloseToRelay { .. } => return self.deliver_to_relay(parcel),
            Parcel::ControlToMember { conn, .. }
            | Parcel::DatagramToMember { conn, .. }
            | Parcel::CloseToMember { conn, .. }
            | Parcel::ResetToMember { conn } => *conn,
        };
        let Some(&number) = self.owners.get(&conn) else {
            return;
        };
        let member = &mut self.members[number];
        if member.conn != Some(conn) {
            return;
        }
        if !member.online || self.network.is_blocked(&parcel, self.now) {
            return self.network.hold(parcel, self.now);
        }
        let room = member.room;
        let model = &mut self.model;
        let wishes = member.receive(
            parcel,
            self.now,
            &mut self.network,
            &mut self.rng,
            &mut |frame, _| {
                model.received(number, room, frames::mark_of(frame), frame);
            },
        );
        self.fulfil(number, wishes);
    }

    fn deliver_to_relay(&mut self, parcel: Parcel) {
        if let Parcel::ControlToRelay { conn, .. } = &parcel {
            let owner = self.owners.get(conn).map(|number| &self.members[*number]);
            if owner.is_none_or(|owner| owner.conn != Some(*conn)) {
                return;
            }
            let offline = owner.is_some_and(|owner| !owner.online);
            if offline || self.network.is_blocked(&parcel, self.now) {
                return self.network.hold(parcel, self.now);
            }
        }
        if !self.relay_is_up {
            return self.network.hold(parcel, self.now);
        }
        if let Parcel::ConnectToRelay {
            member: number,
            conn,
        } = parcel
        {
            let directory = Directory {
                owners: &self.owners,
                members: &self.members,
            };
            self.relay.receive(
                parcel,
                self.now,
                &mut self.network,
                &mut self.rng,
                &mut self.model,
                &directory,
            );
            let member = &mut self.members[number];
            if member.online && self.owners.get(&conn) == Some(&number) {
                let wishes = member.connected(conn, self.now, &mut self.network, &mut self.rng);
                self.fulfil(number, wishes);
            }
            return;
        }
        let directory = Directory {
            owners: &self.owners,
            members: &self.members,
        };
        self.relay.receive(
            parcel,
            self.now,
            &mut self.network,
            &mut self.rng,
            &mut self.model,
            &directory,
        );
    }

    fn fulfil(&mut self, number: usize, wishes: Vec<Wish>) {
        for wish in wishes {
            match wish {
                Wish::Dial => {
                    self.owners.retain(|_, owner| *owner != number);
                    let conn = self.next_conn;
                    self.next_conn += 1;
                    self.owners.insert(conn, number);
                    if self.members[number].online {
                        let parcel = Parcel::ConnectToRelay {
                            member: number,
                            conn,
                        };
                        self.network.send(parcel, self.now, &mut self.rng);
                    }
                }
                Wish::Welcomed(membership) => {
                    let member = &self.members[number];
                    let Some(conn) = member.conn else { continue };
                    let mac = (member.role == Role::Client).then_some(member.mac);
                    let seat = Seat {
                        member: number,
                        room: member.room,
                        peer: membership.peer_id,
                        mac,
                    };
                    self.model.seats.insert(conn, seat);
                }
            }
        }
    }

    /// The faults stop and everybody gets time to come back.
    fn heal(&mut self) {
        self.network.faults = Faults::NONE;
        self.relay_is_up = true;
        for member in &mut self.members {
            member.online = true;
        }
        self.relay.mischief = false;
        // Whoever came to a room with a key before its host tries again.
        for _ in 0..HEAL_PARTS {
            for number in 0..self.members.len() {
                if self.members[number].ended {
                    self.restart_member(number);
                }
            }
            self.pass(HEAL / HEAL_PARTS);
        }
    }

    fn everybody_hears_everybody(&mut self) {
        let mut marks = Vec::new();
        for number in 0..self.members.len() {
            marks.push((number, self.send_marked(number, MacAddr::BROADCAST, 300)));
            self.pass(Duration::from_millis(200));
        }
        self.pass(Duration::from_secs(2));
        for (number, mark) in marks {
            let room = self.members[number].room;
            let neighbours = self
                .members
                .iter()
                .filter(|other| other.room == room && other.number != number);
            let heard = self
                .model
                .sent
                .get(&mark)
                .map(|sent| sent.received_by.clone())
                .unwrap_or_default();
            let deaf: Vec<usize> = neighbours
                .map(|other| other.number)
                .filter(|other| !heard.contains(other))
                .collect();
            if !deaf.is_empty() {
                self.model.violated(
                    "I10",
                    format!("after healing, {deaf:?} do not hear {number}"),
                );
            }
        }
    }

    fn outcome(self) -> Outcome {
        Outcome {
            frames_sent: self.model.sent.len(),
            frames_received: self
                .model
                .sent
                .values()
                .map(|sent| sent.received_by.len())
                .sum(),
            violations: self.model.violations,
            hostile_datagrams: self.hostile_datagrams,
            relay_restarts: self.relay_restarts,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "where virtual time starts; it never advances by itself"
)]
fn epoch() -> Instant {
    Instant::now()
}
