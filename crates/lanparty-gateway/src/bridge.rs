//! Every decision of the gateway about frames, without sockets.
//!
//! Frames from the LAN and from the room come in, verdicts go out; so do the
//! few frames that the gateway sends by itself ([`Bridge::poll_output`]).
//! What may cross at all is `lanparty-l2`'s policy. Who is in the room is the
//! session's [`Roster`]. Counting and logging is the driver's.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use lanparty_client_core::Roster;
use lanparty_l2::bindings::{BindingEffect, Confirmation, IpBindings};
use lanparty_l2::buckets::{LAN_FLOOD_DEFAULT, LanFloodBudget};
use lanparty_l2::mac_table::MacTable;
use lanparty_l2::{
    Context, Direction, HostView, Members, Place, Rules, Spread, Subnet, arp, check, marker,
};
use lanparty_lan::{Origin, Target};
use lanparty_obs::DropReason;
use lanparty_os::Prefix;
use lanparty_proto::{MacAddr, PeerId};
use rand::Rng;
use rand::rngs::StdRng;

use crate::groups::GroupReports;
use crate::refresh::RefreshSchedule;

/// Between two loop probes on the LAN.
const LOOP_PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// A gateway that heard no other for this long stays when a newer one comes.
const ESTABLISHED_AFTER: Duration = Duration::from_secs(12);
/// The same alarm is not raised again within this time.
const ALARM_INTERVAL: Duration = Duration::from_secs(60);

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
    Send { frame: Vec<u8>, target: Target },
    Alarm(Alarm),
}

/// The gateway's decisions for one room and one LAN.
#[derive(Debug)]
pub struct Bridge {
    rules: Rules,
    host: HostView,
    bindings: IpBindings,
    lan_macs: MacTable,
    flood: LanFloodBudget,
    refresh: RefreshSchedule,
    groups: GroupReports,
    outputs: VecDeque<Output>,
    rng: StdRng,
    since: Instant,
    next_loop_probe: Instant,
    nonce: [u8; 16],
    last_alarm: Option<(Alarm, Instant)>,
}

/// The players of a roster, for the policy.
struct Players<'a>(&'a Roster);

impl Members for Players<'_> {
    fn contains_mac(&self, mac: MacAddr) -> bool {
        self.0.player_by_mac(mac).is_some()
    }
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
            bindings: IpBindings::new(Confirmation::Probe),
            lan_macs: MacTable::new(),
            flood: LanFloodBudget::new(LAN_FLOOD_DEFAULT, now),
            refresh: RefreshSchedule::default(),
            groups: GroupReports::default(),
            outputs: VecDeque::new(),
            nonce: rng.random(),
            rng,
            since: now,
            next_loop_probe: now,
            last_alarm: None,
        }
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
        roster: &Roster,
        now: Instant,
    ) -> Result<ToRoom, DropReason> {
        if let Some(nonce) = marker::loop_probe_nonce(frame) {
            self.loop_probe(frame, nonce, now);
            return Ok(ToRoom::Nobody);
        }
        let members = Players(roster);
        let context = Context {
            place: Place::Gateway,
            rules: &self.rules,
            sender: None,
            members: &members,
            bindings: None,
            host: Some(&self.host),
            now,
        };
        let passed = match check(frame, Direction::LanToPlayer, &context) {
            Ok(passed) => passed,
            Err(reason) => {
                if reason == DropReason::MemberMacFromLan {
                    self.member_on_lan(frame, roster, now);
                }
                return Err(reason);
            }
        };
        let class = &passed.class;
        self.bindings.observe_lan(frame, class, &members, now);
        let header = class.link.header;
        if origin == Origin::Wire {
            self.lan_macs.learn(header.source, now);
        }
        if !header.destination.is_multicast() {
            let player = roster.player_by_mac(header.destination);
            return Ok(player.map_or(ToRoom::Nobody, ToRoom::Player));
        }
        if roster.players().next().is_none() {
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
        roster: &Roster,
        now: Instant,
    ) -> Result<Target, DropReason> {
        let sender = roster.get(source).ok_or(DropReason::SourceId)?;
        let members = Players(roster);
        let context = Context {
            place: Place::Gateway,
            rules: &self.rules,
            sender: sender.mac,
            members: &members,
            bindings: None,
            host: Some(&self.host),
            now,
        };
        let passed = self
            .bindings
            .police(frame, Direction::PlayerToLan, &context)?;
        let header = passed.class.link.header;
        if passed.spread == Spread::Membership {
            self.groups.learn(header.source, frame);
        }
        if header.destination.is_multicast() {
            Ok(Target::Both)
        } else if header.destination == self.host.mac {
            Ok(Target::Host)
        } else if roster.player_by_mac(header.destination).is_some() {
            // The relay delivers it; on the LAN it would only confuse the switch.
            Err(DropReason::Reflected)
        } else {
            Ok(Target::Wire)
        }
    }

    pub fn player_joined(&mut self, mac: MacAddr, now: Instant) {
        self.refresh.add(mac, now, &mut self.rng);
    }

    pub fn player_left(&mut self, mac: MacAddr) {
        self.refresh.remove(mac);
        self.groups.forget(mac);
        self.bindings.forget_player(mac);
    }

    /// The cable is in again: the switch has forgotten the players.
    pub fn link_up(&mut self, now: Instant) {
        self.refresh.restart(now, &mut self.rng);
        for report in self.groups.iter() {
            self.outputs.push_back(Output::Send {
                frame: report.to_vec(),
                target: Target::Wire,
            });
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
        while let Some(player) = self.refresh.poll(now, &mut self.rng) {
            if !self.lan_macs.contains(player, now) {
                let frame = marker::refresh_frame(player, self.host.mac).to_vec();
                let target = Target::Wire;
                self.outputs.push_back(Output::Send { frame, target });
            }
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
        let own = [self.bindings.next_wakeup(), self.refresh.next_wakeup()];
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

    /// Our nonce, marked with how long we have been here: of two gateways the
    /// one with the lower nonce stays, and that must not be the newcomer.
    fn standing(&self, now: Instant) -> [u8; 16] {
        let [_, rest @ ..] = self.nonce;
        let established = now.saturating_duration_since(self.since) >= ESTABLISHED_AFTER;
        let mut nonce = [u8::from(!established); 16];
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

    fn member_on_lan(&mut self, frame: &[u8], roster: &Roster, now: Instant) {
        let Some(mac) = source_of(frame) else { return };
        // Keeps refreshes away from the address for as long as it is remembered.
        self.lan_macs.learn(mac, now);
        if let Some(player) = roster.player_by_mac(mac) {
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
