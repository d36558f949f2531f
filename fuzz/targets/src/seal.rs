//! Two members of a room with a key, between them a relay that says anything.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use lanparty_ctrl::{PeerInfo, Role, RoomId};
use lanparty_obs::drops::DropCounts;
use lanparty_proto::overlay::FrameCount;
use lanparty_proto::{MacAddr, PeerId};
use lanparty_seal::body::Body;
use lanparty_seal::{Keyring, KeyringConfig, Opened, RoomKey, Signer};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::{epoch, take_bytes};

/// A body is what its bytes say, and nothing else has the same bytes.
pub fn body(data: &[u8]) {
    if let Ok(body) = Body::decode(data) {
        assert_eq!(body.encode(), data);
    }
}

/// Steps of an operation byte and bytes with a length: whatever the relay
/// delivers, a frame comes out only as it was sealed, and only once.
pub fn room(mut data: &[u8]) {
    let mut room = Room::new();
    while let Some((&operation, rest)) = data.split_first() {
        data = rest;
        let bytes = take_bytes(&mut data);
        match operation & 0b111 {
            0 => room.tell(bytes),
            1 => room.tell_again(bytes),
            2 => room.seal(),
            3 => room.pass_on(bytes),
            4 => room.pass(Duration::from_millis(100) * u32::from(operation >> 3)),
            5 => room.pass(Duration::from_secs(60) * u32::from(operation >> 3)),
            6 => room.list_again(),
            _ => room.open(bytes.first_chunk().copied().unwrap_or_default(), bytes),
        }
    }
}

struct Member {
    info: PeerInfo,
    keys: Keyring,
    rng: StdRng,
}

struct Room {
    now: Instant,
    sender: Member,
    receiver: Member,
    /// What the sender wrote to the receiver, and sealed.
    letters: Vec<Vec<u8>>,
    frames: Vec<([u8; 6], Vec<u8>)>,
    opened: BTreeSet<u64>,
}

impl Room {
    fn new() -> Self {
        let now = epoch();
        let mut room = Self {
            now,
            sender: member(1, Role::Gateway, now),
            receiver: member(2, Role::Client, now),
            letters: Vec::new(),
            frames: Vec::new(),
            opened: BTreeSet::new(),
        };
        let (sender, receiver) = (&mut room.sender, &mut room.receiver);
        sender.keys.joined(now);
        receiver.keys.joined(now);
        sender.keys.member_joined(&receiver.info, now);
        receiver.keys.member_joined(&sender.info, now);
        room.exchange();
        room
    }

    /// An honest relay for a moment.
    fn exchange(&mut self) {
        let mut drops = DropCounts::new();
        for _ in 0..4 {
            let (sender, receiver) = (&mut self.sender, &mut self.receiver);
            while let Some((_, body)) = sender.keys.poll(self.now, &mut sender.rng, &mut drops) {
                let _refused = receiver.keys.receive(sender.info.peer, &body, self.now);
                if self.letters.len() < 64 {
                    self.letters.push(body);
                }
            }
            while let Some((_, body)) = receiver.keys.poll(self.now, &mut receiver.rng, &mut drops)
            {
                let _refused = sender.keys.receive(receiver.info.peer, &body, self.now);
            }
        }
        while sealed_events(&mut self.sender) || sealed_events(&mut self.receiver) {}
    }

    fn tell(&mut self, body: &[u8]) {
        let from = self.sender.info.peer;
        let _refused = self.receiver.keys.receive(from, body, self.now);
    }

    /// An earlier letter, with one byte changed where that is not 0.
    fn tell_again(&mut self, bytes: &[u8]) {
        let [which, at, change] = bytes.first_chunk().copied().unwrap_or_default();
        let Some(letter) = self
            .letters
            .get(usize::from(which) % self.letters.len().max(1))
        else {
            return;
        };
        let letter = changed(letter, at, change);
        self.tell(&letter);
    }

    fn seal(&mut self) {
        let mark = self.frames.len() as u64;
        let mut frame = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0".to_vec();
        frame.extend(mark.to_be_bytes());
        let sender = &mut self.sender;
        let sealed = sender
            .keys
            .seal(sender.info.peer, FrameCount::ONE, &mut frame, self.now);
        if let Ok((header, tag)) = sealed {
            frame.extend(tag);
            self.frames.push((header, frame));
        }
    }

    /// A frame that was sealed, with one byte changed where that is not 0.
    fn pass_on(&mut self, bytes: &[u8]) {
        let [which, at, change] = bytes.first_chunk().copied().unwrap_or_default();
        let which = usize::from(which) % self.frames.len().max(1);
        if let Some((header, frame)) = self.frames.get(which).cloned() {
            self.open(header, &changed(&frame, at, change));
        }
    }

    fn open(&mut self, header: [u8; 6], frame: &[u8]) {
        let from = self.sender.info.peer;
        let mut out = Vec::new();
        let opened =
            self.receiver
                .keys
                .open(from, FrameCount::ONE, header, frame, &mut out, self.now);
        if opened == Ok(Opened::Frame) {
            self.came_out(&out);
        }
    }

    fn came_out(&mut self, frame: &[u8]) {
        let mark = frame.get(14..).and_then(|mark| mark.try_into().ok());
        let mark = u64::from_be_bytes(mark.expect("only what was sealed comes out"));
        assert!(mark < self.frames.len() as u64, "nobody sealed {mark}");
        assert!(self.opened.insert(mark), "{mark} came out twice");
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.exchange();
        let mut out = Vec::new();
        while let Some((_, _, released)) = self.receiver.keys.release(&mut out, self.now) {
            if released.is_ok() {
                self.came_out(&out.clone());
            }
        }
    }

    /// The relay says that the sender went and came back.
    fn list_again(&mut self) {
        let keys = &mut self.receiver.keys;
        keys.member_left(self.sender.info.peer, false, self.now);
        keys.member_joined(&self.sender.info, self.now);
    }
}

fn sealed_events(member: &mut Member) -> bool {
    member.keys.poll_event().is_some()
}

fn changed(bytes: &[u8], at: u8, change: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = usize::from(at) % bytes.len().max(1);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= change;
    }
    bytes
}

fn member(id: u8, role: Role, now: Instant) -> Member {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[id; 32]).expect("32 bytes are a seed");
    let public = pair.public_key().as_ref().try_into();
    let signer = Signer::new(public.expect("a key has 32 bytes"), move |message| {
        let signature = pair.sign(message);
        signature.as_ref().try_into().expect("a signature has 64")
    });
    let mut rng = StdRng::seed_from_u64(id.into());
    let config = KeyringConfig {
        room: RoomId([9; 16]),
        key: RoomKey::from_bytes([8; 32]),
        signer,
        role,
        mac: Some(MacAddr([2, 0, 0, 0, 0, id])),
        name: "member".parse().expect("a valid name"),
    };
    let keys = Keyring::new(config.clone(), &mut rng, now);
    Member {
        info: PeerInfo {
            peer: PeerId::try_from(u16::from(id)).expect("not a reserved id"),
            role,
            mac: config.mac,
            name: config.name,
            key_card: *keys.card(),
        },
        keys,
        rng,
    }
}
