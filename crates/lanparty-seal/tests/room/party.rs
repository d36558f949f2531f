//! Members with their keyrings, and a relay made of queues that keeps a copy
//! of everything.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use lanparty_ctrl::{PeerInfo, Role, RoomId};
use lanparty_obs::DropReason;
use lanparty_obs::drops::DropCounts;
use lanparty_proto::overlay::FrameCount;
use lanparty_proto::{MacAddr, PeerId};
use lanparty_seal::keyring::Unbelievable;
use lanparty_seal::{KeyEvent, Keyring, KeyringConfig, Opened, RoomKey, Signer, Standing};
use rand::SeedableRng;
use rand::rngs::StdRng;

pub(crate) const ROOM: RoomId = RoomId([7; 16]);
pub(crate) const KEY: RoomKey = RoomKey::from_bytes([0xA5; 32]);
/// The relay's part of the way, each way.
pub(crate) const LATENCY: Duration = Duration::from_millis(20);

/// A sealed frame as the relay sees it.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) source: PeerId,
    pub(crate) header: [u8; 6],
    pub(crate) frame: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) from: PeerId,
    pub(crate) to: PeerId,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) info: PeerInfo,
    pub(crate) keys: Keyring,
    rng: StdRng,
    pub(crate) events: Vec<KeyEvent>,
    pub(crate) drops: DropCounts,
    /// Payloads that came out, with their senders.
    pub(crate) heard: Vec<(PeerId, Vec<u8>)>,
}

#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) now: Instant,
    pub(crate) members: BTreeMap<PeerId, Member>,
    /// Whatever the relay delivered so far.
    pub(crate) capture: Vec<Letter>,
    /// On its way, with the time of its arrival.
    wire: Vec<(Instant, Letter)>,
    /// Whether the relay passes this on.
    pub(crate) passes: fn(&Letter) -> bool,
    next: u16,
}

pub(crate) fn peer(id: u16) -> PeerId {
    PeerId::try_from(id).unwrap()
}

pub(crate) fn signer(seed: u8) -> Signer {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let public = pair.public_key().as_ref().try_into().unwrap();
    Signer::new(public, move |message| {
        pair.sign(message).as_ref().try_into().unwrap()
    })
}

pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    [b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0", payload].concat()
}

impl Party {
    pub(crate) fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "where the test's clock starts")]
        let now = Instant::now();
        Self {
            now,
            members: BTreeMap::new(),
            capture: Vec::new(),
            wire: Vec::new(),
            passes: |_| true,
            next: 1,
        }
    }

    /// A party of this many players that know each other.
    pub(crate) fn of(players: u16) -> Self {
        let mut party = Self::new();
        for _ in 0..players {
            party.join(Role::Client, KEY);
        }
        party.pass(Duration::from_secs(3));
        party
    }

    /// A new member with an identity of its own.
    pub(crate) fn join(&mut self, role: Role, key: RoomKey) -> PeerId {
        let seed = self.next.to_be_bytes()[1];
        self.join_as(seed, role, key)
    }

    pub(crate) fn join_as(&mut self, seed: u8, role: Role, key: RoomKey) -> PeerId {
        let id = self.next;
        self.next += 1;
        let mac = MacAddr([2, 0, 0, 0, 0, seed]);
        let mut rng = StdRng::seed_from_u64(id.into());
        let name = format!("player {id}").parse().unwrap();
        let config = KeyringConfig {
            room: ROOM,
            key,
            signer: signer(seed),
            role,
            mac: Some(mac),
            name,
        };
        let keys = Keyring::new(config.clone(), &mut rng, self.now);
        let info = PeerInfo {
            peer: peer(id),
            role,
            mac: config.mac,
            name: config.name,
            key_card: *keys.card(),
        };
        let member = Member {
            info,
            keys,
            rng,
            events: Vec::new(),
            drops: DropCounts::new(),
            heard: Vec::new(),
        };
        self.enter(member);
        peer(id)
    }

    /// The relay lets a member in, for the first time or again.
    pub(crate) fn enter(&mut self, mut member: Member) {
        member.keys.joined(self.now);
        for other in self.members.values_mut() {
            other.keys.member_joined(&member.info, self.now);
            member.keys.member_joined(&other.info, self.now);
        }
        self.members.insert(member.info.peer, member);
        self.settle();
    }

    pub(crate) fn leave(&mut self, peer: PeerId, was_removed: bool) -> Member {
        let gone = self.members.remove(&peer).unwrap();
        for other in self.members.values_mut() {
            other.keys.member_left(peer, was_removed, self.now);
        }
        self.settle();
        gone
    }

    pub(crate) fn member(&mut self, peer: PeerId) -> &mut Member {
        self.members.get_mut(&peer).unwrap()
    }

    pub(crate) fn standing(&self, of: PeerId, at: PeerId) -> Option<Standing> {
        self.members[&at].keys.standing(of)
    }

    /// Lets time pass, waking members and delivering letters when due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let wakeups = self.members.values().filter_map(|m| m.keys.next_wakeup());
            let arrivals = self.wire.iter().map(|(at, _)| *at);
            let Some(next) = wakeups.chain(arrivals).min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            let (due, later) = std::mem::take(&mut self.wire)
                .into_iter()
                .partition(|(at, _)| *at <= self.now);
            self.wire = later;
            for (_, letter) in due {
                let _ = self.deliver(&letter);
            }
        }
        self.now = end;
    }

    /// Hands a letter to its reader, as the relay pleases.
    pub(crate) fn deliver(&mut self, letter: &Letter) -> Result<(), Unbelievable> {
        let now = self.now;
        let Some(member) = self.members.get_mut(&letter.to) else {
            return Ok(());
        };
        let result = member.keys.receive(letter.from, &letter.body, now);
        member.release(now);
        result
    }

    /// Puts what the members have to say onto the wire.
    fn settle(&mut self) {
        let everyone: Vec<PeerId> = self.members.keys().copied().collect();
        for from in &everyone {
            let now = self.now;
            let member = self.members.get_mut(from).unwrap();
            while let Some((to, body)) = member.keys.poll(now, &mut member.rng, &mut member.drops) {
                let targets = everyone.iter().filter(|id| *id != from);
                for to in targets.filter(|id| to.is_none_or(|to| to == **id)) {
                    let letter = Letter {
                        from: *from,
                        to: *to,
                        body: body.clone(),
                    };
                    if (self.passes)(&letter) {
                        self.wire.push((now + 2 * LATENCY, letter.clone()));
                    }
                    self.capture.push(letter);
                }
            }
            while let Some(event) = member.keys.poll_event() {
                member.events.push(event);
            }
        }
    }

    pub(crate) fn seal(&mut self, from: PeerId, payload: &[u8]) -> Sealed {
        let now = self.now;
        let mut bytes = frame(payload);
        let member = self.member(from);
        let sealed = member.keys.seal(from, FrameCount::ONE, &mut bytes, now);
        let (header, tag) = sealed.unwrap();
        bytes.extend(tag);
        Sealed {
            source: from,
            header,
            frame: bytes,
        }
    }

    pub(crate) fn open(&mut self, at: PeerId, sealed: &Sealed) -> Result<Opened, DropReason> {
        let now = self.now;
        self.member(at).open(sealed, now)
    }

    /// Whether every member reads every other.
    pub(crate) fn converses(&mut self) -> Result<(), String> {
        let everyone: Vec<PeerId> = self.members.keys().copied().collect();
        for &from in &everyone {
            let sealed = self.seal(from, b"hello");
            for &at in everyone.iter().filter(|at| **at != from) {
                let opened = self.open(at, &sealed);
                if opened != Ok(Opened::Frame) {
                    return Err(format!("{at:?} cannot read {from:?}: {opened:?}"));
                }
            }
        }
        Ok(())
    }
}

impl Member {
    pub(crate) fn open(&mut self, sealed: &Sealed, now: Instant) -> Result<Opened, DropReason> {
        let mut out = Vec::new();
        let Sealed { source, header, .. } = *sealed;
        let one = FrameCount::ONE;
        let result = self
            .keys
            .open(source, one, header, &sealed.frame, &mut out, now);
        if result == Ok(Opened::Frame) {
            self.heard.push((sealed.source, out.split_off(14)));
        }
        result
    }

    fn release(&mut self, now: Instant) {
        let mut out = Vec::new();
        while let Some((from, _, result)) = self.keys.release(&mut out, now) {
            match result {
                Ok(()) => self.heard.push((from, out[14..].to_vec())),
                Err(reason) => self.drops.add(reason),
            }
        }
    }
}
