//! Everything that one member needs to seal and open frames in its room.
//!
//! The relay is the postman of this module's messages and its adversary:
//! what it delivers counts only with its proofs, and what it withholds shows
//! in the members' heartbeats. `keyring/receive.rs` reads messages,
//! `keyring/write.rs` makes them, `keyring/frames.rs` is the way of frames.

mod frames;
mod receive;
mod write;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use lanparty_ctrl::{DisplayName, KeyCard, PeerInfo, Role, RoomId};
use lanparty_obs::diagnostics::Standing;
use lanparty_obs::drops::DropCounts;
use lanparty_proto::{MacAddr, PeerId};
use rand::{CryptoRng, Rng};

use crate::RoomKey;
use crate::body::Roster;
use crate::hold::Hold;
use crate::member::{Member, MemberId, PROVE_WITHIN};
use crate::own::OwnCard;
use crate::pace::Pace;
use crate::primitives::{labelled, sha256};
use crate::removals::{KnownRoster, Removals};
use crate::secret::Secret;
use crate::sending::Sending;
use crate::signer::Signer;

pub use frames::Opened;
pub use receive::Unbelievable;

/// Newcomers that come within this time share one step of our keys.
const JOIN_BATCH: Duration = Duration::from_millis(50);
/// Members that leave within this time share one new generation of our keys.
const LEAVE_BATCH: Duration = Duration::from_secs(1);
/// Heartbeats of each member in a small room, and what each further member
/// adds: in a room of 200 each still hears two a second and no more.
const HEARTBEAT: Duration = Duration::from_secs(10);
const HEARTBEAT_PER_MEMBER: Duration = Duration::from_millis(500);
/// Sessions that left and whose old letters are still refused one by one.
const MAX_DEPARTED: usize = 1_024;

/// Who this member is, and where.
#[derive(Clone, Debug)]
pub struct KeyringConfig {
    pub room: RoomId,
    pub key: RoomKey,
    pub signer: Signer,
    pub role: Role,
    pub mac: Option<MacAddr>,
    /// As in Hello: the others check that the relay did not change it.
    pub name: DisplayName,
}

/// What a person may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyEvent {
    /// The member did not prove that it holds the room key.
    Unverified(PeerId),
    /// It did after all.
    Verified(PeerId),
    /// The host has removed it, and the relay lists it all the same.
    Removed(PeerId),
    /// It sees other members, or another decision of the host, than we do.
    Split(PeerId),
    /// It agrees again.
    SplitEnded(PeerId),
    /// The host has made a new room key.
    RoomKeyRotated(RoomKey),
}

/// The keys of one session of one member.
#[derive(Debug)]
pub struct Keyring {
    room: RoomId,
    card_key: Secret,
    letter_key: Secret,
    signer: Signer,
    role: Role,
    mac: Option<MacAddr>,
    name: DisplayName,
    own: OwnCard,
    sending: Sending,
    members: BTreeMap<PeerId, Member>,
    /// Generations up to which letters of sessions that left are refused, with
    /// the number of our X25519 key at that time.
    departed: BTreeMap<MemberId, (u64, u32)>,
    hold: Hold,
    /// Letters arrived since frames were last released.
    may_release: bool,

    /// Whether to announce ourselves to all, and to ask them to do the same.
    announce_all: Option<bool>,
    step_at: Option<Instant>,
    rekey: Option<Rekey>,
    pace: Pace,
    events: VecDeque<KeyEvent>,

    heartbeat_at: Option<Instant>,
    heartbeat: u64,
    /// When our own view of the room last changed.
    changed: Instant,
    removals: Removals,
    /// The host's roster, ready to send; ours if we are the host.
    own_roster: Option<Roster>,
    roster: Option<KnownRoster>,
    /// The room's next key, and who hears of it: only who was here when the
    /// host decided. Who comes later may be who it was decided against.
    rotation: Option<(Secret, BTreeSet<MemberId>)>,
    /// The first host that proved itself, in its latest session. Its word is
    /// the only one that counts, whoever else is listed as gateway.
    host: Option<MemberId>,
    /// Sessions that it has ended; their word is old.
    former_hosts: BTreeSet<[u8; 16]>,
    /// The member that was written to last: everybody has a turn.
    served: Option<PeerId>,
    wakeup: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Rekey {
    at: Instant,
    /// Frames use the new generation at once, not after its letters.
    at_once: bool,
}

impl Keyring {
    pub fn new(config: KeyringConfig, rng: &mut impl CryptoRng, now: Instant) -> Self {
        let KeyringConfig {
            room,
            key,
            signer,
            role,
            mac,
            name,
        } = config;
        let mut keyring = Self {
            room,
            card_key: key.card_key(),
            letter_key: key.letter_key(),
            own: OwnCard::new(&signer, role, mac, rng, now),
            signer,
            role,
            mac,
            name,
            sending: Sending::new(rng.random(), now),
            members: BTreeMap::new(),
            departed: BTreeMap::new(),
            hold: Hold::default(),
            may_release: false,
            announce_all: None,
            step_at: None,
            rekey: None,
            pace: Pace::new(now),
            events: VecDeque::new(),
            heartbeat_at: None,
            heartbeat: 0,
            changed: now,
            removals: Removals::default(),
            own_roster: None,
            roster: None,
            rotation: None,
            host: None,
            former_hosts: BTreeSet::new(),
            served: None,
            wakeup: None,
        };
        if role == Role::Gateway {
            keyring.publish_roster(now);
        }
        keyring
    }

    /// The card for Hello.
    #[must_use]
    pub const fn card(&self) -> &KeyCard {
        &self.own.card
    }

    /// The relay let us in, for the first time or again. It lists the others
    /// anew; keys begin a new generation, so that nothing is left of who was
    /// there before.
    pub fn joined(&mut self, now: Instant) {
        let present: Vec<PeerId> = self.members.keys().copied().collect();
        for peer in present {
            self.forget(peer);
        }
        self.announce_all = Some(true);
        self.rekey = Some(Rekey {
            at: now,
            at_once: true,
        });
        self.heartbeat_at = Some(now + self.heartbeat_interval());
        self.changed = now;
        self.wakeup = Some(now);
    }

    /// The relay lists a member.
    pub fn member_joined(&mut self, info: &PeerInfo, now: Instant) {
        self.forget(info.peer);
        let id = MemberId::of(&info.key_card);
        let floor = self.departed.get(&id).map_or(0, |(floor, _)| *floor);
        let mut member = Member::new(info.clone(), floor, self.sending.sealed(), now);
        member.removed = self.roster.as_ref().is_some_and(|r| r.removes(id));
        if member.removed {
            self.events.push_back(KeyEvent::Removed(info.peer));
        }
        self.members.insert(info.peer, member);
        self.wakeup = Some(now);
    }

    /// A member is gone; where the host removed it, our keys change before
    /// the next frame.
    pub fn member_left(&mut self, peer: PeerId, was_removed: bool, now: Instant) {
        // The reason is the relay's word. Where it is a lie, it can only hurry
        // a change that a real departure brings anyway.
        let was_verified = self.is_trusted(peer);
        if self.forget(peer) {
            let at = if was_removed { now } else { now + LEAVE_BATCH };
            self.plan_rekey(at, was_removed);
        }
        if was_verified {
            self.changed = now;
        }
        self.wakeup = Some(now);
    }

    /// As the host: these identities are banned, and no others.
    pub fn set_banned(&mut self, identities: impl IntoIterator<Item = [u8; 32]>, now: Instant) {
        self.removals.ban(identities);
        self.publish_roster(now);
    }

    /// As the host: this member has to go, for as long as its session lasts.
    pub fn kick(&mut self, peer: PeerId, now: Instant) {
        if let Some(member) = self.members.get(&peer) {
            self.removals.kick(member.id());
            self.publish_roster(now);
        }
    }

    /// As the host: tells every verified member the room's next key.
    pub fn rotate_to(&mut self, key: &RoomKey, now: Instant) {
        let mut present = BTreeSet::new();
        for member in self.members.values_mut() {
            let id = member.id();
            if let Some(verified) = member.trusted_mut() {
                verified.rotation_given = false;
                present.insert(id);
            }
        }
        self.rotation = Some((Secret::new(*key.as_bytes()), present));
        self.wakeup = Some(now);
    }

    #[must_use]
    pub fn standing(&self, peer: PeerId) -> Option<Standing> {
        self.members.get(&peer).map(Member::standing)
    }

    pub fn poll_event(&mut self) -> Option<KeyEvent> {
        self.events.pop_front()
    }

    /// When [`Self::poll`] has something to do.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Instant> {
        let hold = self.hold.next_wakeup();
        [self.wakeup, hold].into_iter().flatten().min()
    }

    /// Does what is due and returns the next message: to one member, or to
    /// all. To be called after each input until nothing comes.
    pub fn poll(
        &mut self,
        now: Instant,
        rng: &mut impl CryptoRng,
        drops: &mut DropCounts,
    ) -> Option<(Option<PeerId>, Vec<u8>)> {
        self.hold.expire(now, drops);
        if self.wakeup.is_none_or(|at| now < at) {
            return None;
        }
        self.advance(now, rng);
        let ready = self.pace.ready_at(now);
        if ready > now {
            self.wakeup = Some(ready.min(self.next_deadline(now)));
            return None;
        }
        if let Some(message) = self.write_next(now, rng) {
            self.pace.take(now);
            return Some(message);
        }
        if !self.members.values().any(|member| self.owes_key(member)) {
            self.sending.handed_out(now);
        }
        self.wakeup = Some(self.next_deadline(now));
        None
    }

    fn advance(&mut self, now: Instant, rng: &mut impl CryptoRng) {
        if self.own.forget(now) {
            let number = self.own.number;
            self.departed.retain(|_, (_, then)| *then >= number);
        }
        if self.own.renew(&self.signer, self.role, self.mac, rng, now) {
            self.announce_all.get_or_insert(false);
        }
        if self.sending.tick(now) {
            self.plan_rekey(now, false);
        }
        if self.step_at.take_if(|at| *at <= now).is_some() {
            if !self.sending.step(now) {
                self.plan_rekey(now, true);
            }
            for member in self.members.values_mut() {
                if let Some(verified) = member.trusted_mut() {
                    verified.entitled = true;
                }
            }
        }
        // One planned generation after the other: where members come and go all
        // the time, none would ever be handed out otherwise.
        let hands_out = self.sending.hands_out();
        let is_due = |rekey: &mut Rekey| rekey.at <= now && (rekey.at_once || !hands_out);
        if let Some(rekey) = self.rekey.take_if(is_due) {
            self.sending.begin(rng.random(), rekey.at_once, now);
        }
        let silence = self.silence();
        for (peer, member) in &mut self.members {
            member.receiving.tick(now);
            if let Some(verified) = member.trusted_mut()
                && !verified.told_split
                && verified.agreed + silence <= now
            {
                verified.told_split = true;
                self.events.push_back(KeyEvent::Split(*peer));
            }
            let unproven = member.verified.is_none() && !member.told_unverified;
            if unproven && member.listed + PROVE_WITHIN <= now {
                member.told_unverified = true;
                if !member.removed {
                    self.events.push_back(KeyEvent::Unverified(*peer));
                }
            }
        }
    }

    /// When something is due of itself.
    fn next_deadline(&self, now: Instant) -> Instant {
        let silence = self.silence();
        let members = self.members.values().flat_map(|member| {
            let unproven = member.verified.is_none() && !member.told_unverified;
            let prove = unproven.then_some(member.listed + PROVE_WITHIN);
            let ask = member.ask.filter(|_| !member.removed).map(|(at, _)| at);
            let agree = member.trusted().filter(|verified| !verified.told_split);
            let silent = agree.map(|verified| verified.agreed + silence);
            [prove, ask, silent, member.receiving.next_wakeup()]
        });
        [
            Some(self.own.next_wakeup()),
            self.sending.next_wakeup(),
            self.step_at,
            self.rekey
                .filter(|rekey| rekey.at_once || !self.sending.hands_out())
                .map(|rekey| rekey.at),
            self.heartbeat_at,
        ]
        .into_iter()
        .chain(members)
        .flatten()
        .min()
        .unwrap_or(now + HEARTBEAT)
    }

    /// Forgets a member but for what keeps its old letters out. Returns
    /// whether it had any of our keys.
    fn forget(&mut self, peer: PeerId) -> bool {
        let Some(member) = self.members.remove(&peer) else {
            return false;
        };
        let number = self.own.number;
        if member.receiving.floor() > 0 {
            let floor = member.receiving.floor();
            self.departed.insert(member.id(), (floor, number));
        }
        if self.departed.len() > MAX_DEPARTED {
            // Old letters were sealed to old keys: forgetting a key of our own
            // is as good as remembering them all.
            self.own.renew_now(member.listed);
        }
        member.verified.is_some_and(|verified| verified.given > 0)
    }

    fn is_trusted(&self, peer: PeerId) -> bool {
        let member = self.members.get(&peer);
        member.is_some_and(|member| member.trusted().is_some())
    }

    fn plan_rekey(&mut self, at: Instant, at_once: bool) {
        let planned = self.rekey.get_or_insert(Rekey { at, at_once });
        planned.at = planned.at.min(at);
        planned.at_once |= at_once;
    }

    fn publish_roster(&mut self, now: Instant) {
        let host = MemberId::of(&self.own.card);
        let roster = self.removals.publish(self.room, host, &self.signer);
        self.roster = Some(KnownRoster::new(self.room, host, &roster));
        self.own_roster = Some(roster);
        self.apply_roster(now);
    }

    /// Cuts off whom the roster names.
    fn apply_roster(&mut self, now: Instant) {
        let Some(roster) = &self.roster else { return };
        let mut cut_off = false;
        for (peer, member) in &mut self.members {
            let removed = roster.removes(member.id());
            if removed && !member.removed {
                self.events.push_back(KeyEvent::Removed(*peer));
                cut_off |= member.verified.take().is_some_and(|v| v.given > 0);
            }
            member.removed = removed;
        }
        if cut_off {
            self.plan_rekey(now, true);
        }
        self.changed = now;
        self.wakeup = Some(now);
    }

    fn heartbeat_interval(&self) -> Duration {
        let others = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        HEARTBEAT + HEARTBEAT_PER_MEMBER.saturating_mul(others)
    }

    /// A member that has not agreed with us for this long sees another room, or
    /// the relay keeps its heartbeats from us.
    fn silence(&self) -> Duration {
        self.heartbeat_interval() * 3 + receive::SETTLE
    }

    /// The verified members as one value, ourselves among them.
    fn members_hash(&self) -> [u8; 32] {
        let others = self.members.values().filter(|m| m.trusted().is_some());
        let own = MemberId::of(&self.own.card);
        let mut ids: Vec<MemberId> = others.map(Member::id).chain([own]).collect();
        ids.sort_unstable();
        let mut fields: Vec<&[u8]> = Vec::with_capacity(ids.len() * 2);
        for id in &ids {
            fields.extend([&id.identity[..], &id.session[..]]);
        }
        sha256(&labelled("lanparty/1 members", &fields))
    }

    fn roster_state(&self) -> (u64, [u8; 32]) {
        let roster = self.roster.as_ref();
        roster.map_or((0, [0; 32]), |roster| (roster.version, roster.hash))
    }

    fn announce_mac_input(&self, info: &PeerInfo, card: &KeyCard, number: u32) -> Vec<u8> {
        announce_bytes(self.room, number, card, info.mac, info.role, &info.name)
    }
}

/// What the code of an announcement covers.
fn announce_bytes(
    room: RoomId,
    number: u32,
    card: &KeyCard,
    mac: Option<MacAddr>,
    role: Role,
    name: &DisplayName,
) -> Vec<u8> {
    let name = name.as_str().as_bytes();
    let name_len = u16::try_from(name.len()).unwrap_or(u16::MAX);
    labelled(
        "lanparty/1 announcement",
        &[
            &room.0,
            &number.to_be_bytes(),
            &card.signed_bytes(mac, role),
            &card.signature,
            &name_len.to_be_bytes(),
            name,
        ],
    )
}

/// What a letter says openly.
fn letter_info(purpose: &str, room: RoomId, from: MemberId, to: MemberId, epoch: u64) -> Vec<u8> {
    labelled(
        purpose,
        &[
            &room.0,
            &from.identity,
            &from.session,
            &to.identity,
            &to.session,
            &epoch.to_be_bytes(),
        ],
    )
}

const KEY_LETTER: &str = "lanparty/1 sender key";
const ROTATION_LETTER: &str = "lanparty/1 next room key";

/// What the signature of a heartbeat covers.
fn heartbeat_bytes(room: RoomId, from: MemberId, heartbeat: &crate::body::Heartbeat) -> Vec<u8> {
    labelled(
        "lanparty/1 heartbeat",
        &[
            &room.0,
            &from.identity,
            &from.session,
            &heartbeat.counter.to_be_bytes(),
            &heartbeat.generation.to_be_bytes(),
            &heartbeat.roster_version.to_be_bytes(),
            &heartbeat.roster,
            &heartbeat.members,
        ],
    )
}
