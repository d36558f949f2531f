//! Every decision of the gateway about frames, without sockets.
//!
//! Frames from the LAN and from the room come in, verdicts go out; so do the
//! few frames that the gateway sends by itself ([`Bridge::poll_output`]).
//! What may cross at all is `lanparty-l2`'s policy. Who is in the room, the
//! session says. Counting and logging is the driver's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use lanparty_ctrl::timers::PEER_ID_QUARANTINE;
use lanparty_l2::bindings::{BindingEffect, Confirmation, IpBindings};
use lanparty_l2::buckets::{LAN_FLOOD_DEFAULT, LanFloodBudget};
use lanparty_l2::groups::MulticastGroups;
use lanparty_l2::mac_table::MacTable;
use lanparty_l2::{Context, Direction, HostView, Place, Rules, Spread, Subnet, arp, check, marker};
use lanparty_lan::{Origin, Target};
use lanparty_obs::DropReason;
use lanparty_os::Prefix;
use lanparty_proto::{MacAddr, PeerId};
use rand::Rng;
use rand::rngs::StdRng;

use crate::refresh::{self, RefreshSchedule};

/// Between two loop probes on the LAN.
const LOOP_PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// A switch drops what comes before its port forwards: some milliseconds after
/// link-up, or 30 s with spanning tree (IEEE 802.1D: twice a forward delay of
/// 15 s). So the players' groups are reported again after these times.
const REPORT_AGAIN_AFTER: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(3),
    Duration::from_secs(12),
    Duration::from_secs(35),
];
/// A gateway that heard no other for this long stays when a newer one comes.
const ESTABLISHED_AFTER: Duration = Duration::from_secs(12);
/// The same alarm is not raised again within this time.
const ALARM_INTERVAL: Duration = Duration::from_secs(60);

/// A player that lost its connection finds its addresses and groups again for
/// as long as the relay keeps its place. Asking the LAN anew would cost its
/// first packets.
const KEEP_DEPARTED: Duration = PEER_ID_QUARANTINE;
/// Players for whom that is kept; the earliest to leave goes first.
const MAX_DEPARTED: usize = 256;

/// What becomes of a frame from the LAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToRoom {
    /// To the room: for this player.
    Player(PeerId),
    /// To the room: for everybody.
    Everybody,
    /// It concerns nobody in the room.
    Nobody,
}

/// Something that a person must hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// A frame with this player's MAC address came in from the LAN: the
    /// player is on this LAN a second time, or somebody forges frames.
    Loop { player: PeerId, mac: MacAddr },
    /// Our own probe came back on the wire: the LAN itself has a loop.
    LanLoop,
    /// Another gateway serves this LAN and was here first; ours must go.
    SecondGateway { mac: MacAddr },
    /// Another gateway came to this LAN; it is expected to go.
    NewerGateway { mac: MacAddr },
}

/// What the bridge wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Send {
        frame: Vec<u8>,
        target: Target,
    },
    /// Send this frame into the room.
    Tell {
        frame: Vec<u8>,
    },
    Alarm(Alarm),
}

/// The gateway's decisions for one room and one LAN.
#[derive(Debug)]
pub struct Bridge {
    rules: Rules,
    host: HostView,
    players: BTreeMap<MacAddr, PeerId>,
    macs: BTreeMap<PeerId, MacAddr>,
    /// Players that have not been told yet which addresses are ours.
    strangers: BTreeSet<MacAddr>,
    /// Players who lost their connection, and until when they may return.
    departed: BTreeMap<MacAddr, Instant>,
    bindings: IpBindings,
    lan_macs: MacTable,
    flood: LanFloodBudget,
    refresh: RefreshSchedule,
    /// When the players' groups are reported again, soonest first.
    reports_due: Vec<Instant>,
    groups: MulticastGroups,
    outputs: VecDeque<Output>,
    rng: StdRng,
    since: Instant,
    has_joined: bool,
    next_loop_probe: Instant,
    nonce: [u8; 16],
    last_alarm: Option<(Alarm, Instant)>,
}

impl Bridge {
    #[must_use]
    pub fn new(rules: Rules, mut rng: StdRng, now: Instant) -> Self {
        Self {
            rules,
            host: HostView {
                mac: MacAddr::ZERO,
                addresses: Vec::new(),
                subnets: Vec::new(),
            },
            players: BTreeMap::new(),
            macs: BTreeMap::new(),
            strangers: BTreeSet::new(),
            departed: BTreeMap::new(),
            bindings: IpBindings::new(Confirmation::Probe),
            lan_macs: MacTable::new(),
            flood: LanFloodBudget::new(LAN_FLOOD_DEFAULT, now),
            refresh: RefreshSchedule::new(refresh::INTERVAL),
            reports_due: Vec::new(),
            groups: MulticastGroups::new(),
            outputs: VecDeque::new(),
            nonce: rng.random(),
            rng,
            since: now,
            has_joined: false,
            next_loop_probe: now,
            last_alarm: None,
        }
    }

    /// The relay let this gateway into its room, which it does for one only.
    pub const fn joined(&mut self) {
        self.has_joined = true;
    }

    /// How often the switch is reminded of each player; 60 s unless set. To be
    /// called before players join.
    pub fn set_refresh_interval(&mut self, interval: Duration) {
        self.refresh = RefreshSchedule::new(interval);
    }

    /// The gateway computer's own place on the LAN, at start and whenever it
    /// changes.
    pub fn set_host(&mut self, mac: MacAddr, prefixes: &[Prefix]) {
        let addresses: Vec<IpAddr> = prefixes.iter().map(|p| p.address).collect();
        let subnets = prefixes.iter().map(|p| Subnet {
            address: p.address,
            prefix_len: p.length,
        });
        self.host = HostView {
            mac,
            subnets: subnets.collect(),
            addresses: addresses.clone(),
        };
        self.bindings.protect(addresses);
    }

    /// Decides about a frame that came off the LAN.
    ///
    /// # Errors
    /// The reason under which it is dropped.
    pub fn from_lan(
        &mut self,
        frame: &[u8],
        origin: Origin,
        now: Instant,
    ) -> Result<ToRoom, DropReason> {
        if let Some(nonce) = marker::loop_probe_nonce(frame) {
            self.loop_probe(frame, nonce, now);
            return Ok(ToRoom::Nobody);
        }
        let context = Context {
            place: Place::Gateway,
            rules: &self.rules,
            sender: None,
            members: &self.players,
            bindings: None,
            host: Some(&self.host),
            now,
        };
        let passed = match check(frame, Direction::LanToPlayer, &context) {
            Ok(passed) => passed,
            Err(reason) => {
                if reason == DropReason::MemberMacFromLan {
                    self.member_on_lan(frame, now);
                }
                return Err(reason);
            }
        };
        let class = &passed.class;
        self.bindings.observe_lan(frame, class, &self.players, now);
        let header = class.link.header;
        if origin == Origin::Wire {
            self.lan_macs.learn(header.source, now);
        }
        if !header.destination.is_multicast() {
            let player = self.players.get(&header.destination);
            return Ok(player.map_or(ToRoom::Nobody, |player| ToRoom::Player(*player)));
        }
        if self.players.is_empty() {
            return Ok(ToRoom::Nobody);
        }
        self.flood.admit(passed.spread, now)?;
        Ok(ToRoom::Everybody)
    }

    /// Decides about a frame that `source` sent into the room.
    ///
    /// # Errors
    /// The reason under which it is dropped.
    pub fn from_room(
        &mut self,
        frame: &[u8],
        source: PeerId,
        now: Instant,
    ) -> Result<Target, DropReason> {
        let sender = *self.macs.get(&source).ok_or(DropReason::SourceId)?;
        // It hears us: it knows who we are before it speaks.
        if self.strangers.remove(&sender) {
            self.introduce_host(sender);
        }
        let context = Context {
            place: Place::Gateway,
            rules: &self.rules,
            sender: Some(sender),
            members: &self.players,
            bindings: None,
            host: Some(&self.host),
            now,
        };
        let passed = self
            .bindings
            .police(frame, Direction::PlayerToLan, &context)?;
        let header = passed.class.link.header;
        if passed.spread == Spread::Membership {
            self.groups.observe(header.source, frame, &passed.class);
        }
        if header.destination.is_multicast() {
            Ok(Target::Both)
        } else if header.destination == self.host.mac {
            Ok(Target::Host)
        } else if self.players.contains_key(&header.destination) {
            // The relay delivers it; on the LAN it would only confuse the switch.
            Err(DropReason::Reflected)
        } else {
            Ok(Target::Wire)
        }
    }

    /// A player is in the room; to be called before its first frame.
    pub fn player_joined(&mut self, player: PeerId, mac: MacAddr, now: Instant) {
        self.players.insert(mac, player);
        self.macs.insert(player, mac);
        self.strangers.insert(mac);
        self.refresh.add(mac, now, &mut self.rng);
        // Its machine noticed nothing and will not report by itself.
        if self.departed.remove(&mac).is_some() {
            self.report_groups(mac, now);
        }
    }

    /// A player left; where not `for_good`, it may return soon.
    pub fn player_left(&mut self, player: PeerId, for_good: bool, now: Instant) {
        let Some(mac) = self.macs.remove(&player) else {
            return;
        };
        self.players.remove(&mac);
        self.strangers.remove(&mac);
        self.refresh.remove(mac);
        if for_good {
            self.bindings.forget_player(mac);
            self.groups.forget_player(mac);
            return;
        }
        self.departed.insert(mac, now + KEEP_DEPARTED);
        self.forget_departed(now);
    }

    /// Forgets those whose time is up, and the earliest where they are too many.
    fn forget_departed(&mut self, now: Instant) {
        let is_full = self.departed.len() > MAX_DEPARTED;
        let earliest = self.departed.values().min().copied();
        let surplus = earliest.filter(|_| is_full);
        let (bindings, groups) = (&mut self.bindings, &mut self.groups);
        self.departed.retain(|mac, until| {
            let keep = *until > now && Some(*until) != surplus;
            if !keep {
                bindings.forget_player(*mac);
                groups.forget_player(*mac);
            }
            keep
        });
    }

    /// Tells a player which addresses are this computer's. What one player
    /// says to another never passes us, so a player that has not heard from
    /// this computer could not tell when a fellow player poses as it.
    fn introduce_host(&mut self, player: MacAddr) {
        for address in &self.host.addresses {
            if let IpAddr::V4(address) = address {
                let frame = arp::announcement_frame(player, self.host.mac, *address).to_vec();
                self.outputs.push_back(Output::Tell { frame });
            }
        }
    }

    #[must_use]
    pub fn player_count(&self) -> usize {
        self.players.len()
    }

    /// The MAC addresses of the players in the room.
    pub fn player_macs(&self) -> impl Iterator<Item = MacAddr> {
        self.players.keys().copied()
    }

    /// The cable is in again: the switch has forgotten the players.
    pub fn link_up(&mut self, now: Instant) {
        self.refresh.restart(now, &mut self.rng);
        self.reports_due = REPORT_AGAIN_AFTER.map(|after| now + after).to_vec();
        self.report_all_groups(now);
    }

    fn report_all_groups(&mut self, now: Instant) {
        let players: Vec<MacAddr> = self.player_macs().collect();
        for player in players {
            self.report_groups(player, now);
        }
    }

    fn report_groups(&mut self, player: MacAddr, now: Instant) {
        let mut v4 = None;
        let mut link_local = None;
        for address in self.bindings.addresses_of(player, now) {
            match address {
                IpAddr::V4(address) => v4 = Some(address),
                IpAddr::V6(address) if address.is_unicast_link_local() => {
                    link_local = Some(address);
                }
                IpAddr::V6(_) => {}
            }
        }
        for frame in self.groups.report_frames(player, v4, link_local) {
            let target = Target::Wire;
            self.outputs.push_back(Output::Send { frame, target });
        }
    }

    /// The IP addresses that a player holds on the LAN.
    pub fn addresses_of(&self, player: MacAddr, now: Instant) -> impl Iterator<Item = IpAddr> {
        self.bindings.addresses_of(player, now)
    }

    /// LAN addresses seen lately.
    #[must_use]
    pub fn known_macs(&self) -> usize {
        self.lan_macs.len()
    }

    /// Does what is due; see [`Self::next_wakeup`].
    pub fn tick(&mut self, now: Instant) {
        self.bindings.tick(now);
        self.forget_departed(now);
        while let Some(player) = self.refresh.poll(now, &mut self.rng) {
            if !self.lan_macs.contains(player, now) {
                let frame = marker::refresh_frame(player, self.host.mac).to_vec();
                let target = Target::Wire;
                self.outputs.push_back(Output::Send { frame, target });
            }
            self.introduce_host(player);
        }
        if self.reports_due.first().is_some_and(|due| *due <= now) {
            self.reports_due.retain(|due| *due > now);
            self.report_all_groups(now);
        }
        if self.next_loop_probe <= now {
            self.next_loop_probe = now + LOOP_PROBE_INTERVAL;
            let frame = marker::loop_probe_frame(self.host.mac, self.standing(now)).to_vec();
            let target = Target::Wire;
            self.outputs.push_back(Output::Send { frame, target });
        }
    }

    #[must_use]
    pub fn next_wakeup(&self) -> Option<Instant> {
        let own = [
            self.bindings.next_wakeup(),
            self.refresh.next_wakeup(),
            self.reports_due.first().copied(),
        ];
        let next = own.into_iter().flatten().min();
        Some(next.map_or(self.next_loop_probe, |at| at.min(self.next_loop_probe)))
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        while let Some(BindingEffect::SendProbe(address)) = self.bindings.poll_effect() {
            let frame = arp::probe_frame(self.host.mac, address).to_vec();
            let target = Target::Wire;
            self.outputs.push_back(Output::Send { frame, target });
        }
        self.outputs.pop_front()
    }

    /// Our nonce, marked with our standing: of two gateways the one with the
    /// lower nonce stays, and that must not be a newcomer, nor one that its
    /// relay has not let in.
    fn standing(&self, now: Instant) -> [u8; 16] {
        let [_, rest @ ..] = self.nonce;
        let is_newcomer = now.saturating_duration_since(self.since) < ESTABLISHED_AFTER;
        let mut nonce = [u8::from(is_newcomer) + u8::from(!self.has_joined); 16];
        for (to, from) in nonce.iter_mut().skip(1).zip(rest) {
            *to = from;
        }
        nonce
    }

    fn loop_probe(&mut self, frame: &[u8], theirs: [u8; 16], now: Instant) {
        let ours = self.standing(now);
        let [_, our_id @ ..] = ours;
        let [_, their_id @ ..] = theirs;
        let mac = source_of(frame).unwrap_or_default();
        self.alarm(
            if our_id == their_id {
                Alarm::LanLoop
            } else if theirs < ours {
                Alarm::SecondGateway { mac }
            } else {
                Alarm::NewerGateway { mac }
            },
            now,
        );
    }

    fn member_on_lan(&mut self, frame: &[u8], now: Instant) {
        let Some(mac) = source_of(frame) else { return };
        // Keeps refreshes away from the address for as long as it is remembered.
        self.lan_macs.learn(mac, now);
        if let Some(&player) = self.players.get(&mac) {
            self.alarm(Alarm::Loop { player, mac }, now);
        }
    }

    fn alarm(&mut self, alarm: Alarm, now: Instant) {
        let again = self.last_alarm.is_some_and(|(last, at)| {
            last == alarm && now.saturating_duration_since(at) < ALARM_INTERVAL
        });
        if !again {
            self.last_alarm = Some((alarm, now));
            self.outputs.push_back(Output::Alarm(alarm));
        }
    }
}

fn source_of(frame: &[u8]) -> Option<MacAddr> {
    let octets: [u8; 6] = frame.get(6..12)?.try_into().ok()?;
    Some(MacAddr(octets))
}

#[cfg(test)]
mod tests;
