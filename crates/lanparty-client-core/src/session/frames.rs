//! The way of a frame through a session, and of the probes beside it.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use lanparty_ctrl::PeerInfo;
use lanparty_l2::link;
use lanparty_obs::DropReason;
use lanparty_obs::drops::DropCounts;
use lanparty_obs::stats::TunnelCounters;
use lanparty_proto::PeerId;
use lanparty_proto::bundle::Frames;
use lanparty_proto::ethernet::{self, EtherType};
use lanparty_proto::fragment::Fragment;
use lanparty_proto::overlay::{self, FrameCount, Header, Kind};
use lanparty_proto::probe::Probe;
use lanparty_queue::{FlowKey, Hint};
use lanparty_seal::Opened;

use super::{Session, State};
use crate::effect::Effect;
use crate::mss;
use crate::player::{PlayerPolicy, Rewrite};
use crate::roster::Roster;
use crate::tunnel::{self, Path, SEAL_LEN, Tunnel};

impl Session {
    /// Sends a frame into the room, at the latest with [`Self::flush`]: until
    /// then small frames of a flow wait for each other.
    ///
    /// A player's frame passes the policy first; a gateway's has passed its
    /// bridge already. TCP handshakes are made to ask for segments that fit
    /// one datagram of `max_datagram` bytes, which is what the path carries
    /// now.
    ///
    /// # Errors
    /// Why the frame was dropped; it is counted in [`Self::drops`] already. What
    /// goes wrong later, such as a key that has run out, is counted there only.
    pub fn outgoing(
        &mut self,
        frame: &mut [u8],
        max_datagram: usize,
        now: Instant,
        sink: &mut impl FnMut(FlowKey, Bytes),
    ) -> Result<(), DropReason> {
        let result = self.try_outgoing(frame, max_datagram, now, sink);
        result.inspect_err(|reason| self.tunnel.drops.add(*reason))
    }

    /// Sends what still waits. The driver calls it when it has no more frames
    /// to send at this moment.
    pub fn flush(
        &mut self,
        max_datagram: usize,
        now: Instant,
        sink: &mut impl FnMut(FlowKey, Bytes),
    ) {
        let path = self.path(max_datagram, now);
        self.tunnel.flush(self.keys.as_mut(), path, sink);
    }

    /// Takes a datagram from the relay; `sink` gets the frames that it carries
    /// or completes, once a player's policy has passed them, and who sent them.
    ///
    /// # Errors
    /// Why it was dropped; it is counted in [`Self::drops`] already, as are the
    /// frames of a bundle that the policy refuses one by one.
    pub fn incoming(
        &mut self,
        datagram: &[u8],
        max_datagram: usize,
        now: Instant,
        sink: &mut impl FnMut(&[u8], PeerId),
    ) -> Result<(), DropReason> {
        let result = self.try_incoming(datagram, max_datagram, now, sink);
        result.inspect_err(|reason| self.tunnel.drops.add(*reason))
    }

    fn try_outgoing(
        &mut self,
        frame: &mut [u8],
        max_datagram: usize,
        now: Instant,
        sink: &mut impl FnMut(FlowKey, Bytes),
    ) -> Result<(), DropReason> {
        let own = self.own_id().ok_or(DropReason::NotReady)?;
        let frame = without_priority_tag(frame);
        let flow = match &self.player {
            Some(player) => {
                let class = player.check_outgoing(frame, &self.roster, now)?;
                self.flows.of_class(&class, frame.len())
            }
            None => self.flows.of_frame(frame),
        };
        mss::clamp(frame, self.clear_budget(max_datagram));
        let header = Header {
            kind: match &self.keys {
                Some(_) => Kind::SealedFrame,
                None => Kind::Frame,
            },
            hint: flow.hint,
            source: own,
            flow_tag: flow.tag,
            frames: FrameCount::ONE,
        };
        let path = self.path(max_datagram, now);
        let keys = self.keys.as_mut();
        self.tunnel
            .send(frame, header, flow.spread, keys, path, sink)
    }

    /// A bundle is no longer than the longest frame of any adapter in the
    /// room, so that it is cut on no path that carries those whole.
    fn path(&self, max_datagram: usize, now: Instant) -> Path {
        let seal_len = if self.keys.is_some() { SEAL_LEN } else { 0 };
        let longest_frame = self.membership.as_ref().map_or(0, |membership| {
            ethernet::HEADER_LEN + usize::from(membership.tap_mtu)
        });
        Path {
            max_datagram,
            max_bundle: max_datagram.min(overlay::HEADER_LEN + seal_len + longest_frame),
            now,
        }
    }

    fn try_incoming(
        &mut self,
        datagram: &[u8],
        max_datagram: usize,
        now: Instant,
        sink: &mut impl FnMut(&[u8], PeerId),
    ) -> Result<(), DropReason> {
        let own = self.own_id().ok_or(DropReason::NotReady)?;
        self.heard(now);
        let budget = self.clear_budget(max_datagram);
        let (header, body) = Header::decode(datagram).map_err(|_| DropReason::OverlayHeader)?;
        let source = header.source;
        let sender = self.roster.get(source).ok_or(DropReason::SourceId)?;
        let Tunnel {
            counters,
            drops,
            reassembler,
            ..
        } = &mut self.tunnel;
        let sealed = match (header.kind, &self.keys) {
            (Kind::Frame | Kind::Fragment, None) => false,
            (Kind::SealedFrame | Kind::SealedFragment, Some(_)) => true,
            (Kind::Frame | Kind::Fragment, Some(_)) => {
                return Err(DropReason::ClearInSealedRoom);
            }
            (Kind::SealedFrame | Kind::SealedFragment, None) => {
                return Err(DropReason::SealedInClearRoom);
            }
            (Kind::Probe, _) => {
                let probe = Probe::decode(body).map_err(|_| DropReason::Probe)?;
                if probe.target != own.get() {
                    return Err(DropReason::Probe);
                }
                return self.probe(source, probe, own, now);
            }
        };
        counters.datagrams_in += 1;
        let (seal, body) = if sealed {
            let (seal, body) = body.split_first_chunk().ok_or(DropReason::OverlayHeader)?;
            (Some(*seal), body)
        } else {
            (None, body)
        };
        let whole: &[u8] = match header.kind {
            Kind::Fragment | Kind::SealedFragment => {
                counters.fragments_in += 1;
                let fragment = Fragment::parse(body).map_err(|_| DropReason::FragmentHeader)?;
                match reassembler.push(source, header.frames, seal, fragment, now, drops)? {
                    Some(whole) => whole,
                    None => return Ok(()),
                }
            }
            Kind::Frame | Kind::SealedFrame | Kind::Probe => body,
        };
        let mut inward = Inward {
            sender,
            roster: &self.roster,
            player: &mut self.player,
            scratch: &mut self.scratch,
            effects: &mut self.effects,
            counters,
            drops,
        };
        match (seal, &mut self.keys) {
            (Some(seal), Some(keys)) => {
                match keys.open(source, header.frames, seal, whole, &mut self.opened, now)? {
                    Opened::Frame => {}
                    Opened::Held => return Ok(()),
                }
            }
            _ if header.frames == FrameCount::ONE => {
                return inward.deliver(whole, budget, now, sink);
            }
            // A bundle is taken apart where it lies, and a datagram is not
            // ours to write to.
            _ => {
                self.opened.clear();
                self.opened.extend_from_slice(whole);
            }
        }
        inward.deliver_all(&mut self.opened, header.frames, budget, now, sink)
    }

    /// Hands over frames that came before their key, once that has come. The
    /// driver calls it after [`Self::control`].
    pub fn release(
        &mut self,
        max_datagram: usize,
        now: Instant,
        sink: &mut impl FnMut(&[u8], PeerId),
    ) {
        let budget = self.clear_budget(max_datagram);
        while let Some(keys) = &mut self.keys
            && let Some((source, frames, opened)) = keys.release(&mut self.opened, now)
        {
            let sender = self.roster.get(source).ok_or(DropReason::SourceId);
            let delivered = opened.and(sender).and_then(|sender| {
                Inward {
                    sender,
                    roster: &self.roster,
                    player: &mut self.player,
                    scratch: &mut self.scratch,
                    effects: &mut self.effects,
                    counters: &mut self.tunnel.counters,
                    drops: &mut self.tunnel.drops,
                }
                .deliver_all(&mut self.opened, frames, budget, now, sink)
            });
            if let Err(reason) = delivered {
                self.tunnel.drops.add(reason);
            }
        }
    }

    /// What one datagram carries beside a seal.
    const fn clear_budget(&self, max_datagram: usize) -> usize {
        if self.keys.is_some() {
            max_datagram.saturating_sub(SEAL_LEN)
        } else {
            max_datagram
        }
    }

    fn probe(
        &mut self,
        source: PeerId,
        probe: Probe,
        own: PeerId,
        now: Instant,
    ) -> Result<(), DropReason> {
        if let Some(reply) = self.probes.receive(source, probe, now)? {
            self.send_probe(own, reply);
        }
        Ok(())
    }

    pub(super) fn send_probes(&mut self, now: Instant) {
        let Some(own) = self.own_id() else { return };
        while let Some(request) = self.probes.poll(now, &mut self.rng) {
            self.send_probe(own, request);
        }
    }

    fn send_probe(&mut self, own: PeerId, probe: Probe) {
        let header = Header {
            kind: Kind::Probe,
            hint: Hint::Sparse,
            source: own,
            flow_tag: 0,
            frames: FrameCount::ONE,
        };
        let bytes = [&header.encode()[..], &probe.encode()].concat().into();
        let key = FlowKey {
            source: own.get(),
            tag: 0,
            hint: Hint::Sparse,
            part_of: None,
        };
        self.effects.push_back(Effect::SendDatagram { key, bytes });
    }

    fn own_id(&self) -> Option<PeerId> {
        match (&self.state, &self.membership) {
            (State::Joined(_), Some(membership)) => Some(membership.peer_id),
            _ => None,
        }
    }
}

/// The last part of a frame's way in, whole and clear.
struct Inward<'a> {
    sender: &'a PeerInfo,
    roster: &'a Roster,
    player: &'a mut Option<PlayerPolicy>,
    scratch: &'a mut Vec<u8>,
    effects: &'a mut VecDeque<Effect>,
    counters: &'a mut TunnelCounters,
    drops: &'a mut DropCounts,
}

impl Inward<'_> {
    /// Delivers what travelled together; what a policy says of one frame means
    /// nothing for the next.
    fn deliver_all(
        &mut self,
        bytes: &mut [u8],
        count: FrameCount,
        budget: usize,
        now: Instant,
        sink: &mut impl FnMut(&[u8], PeerId),
    ) -> Result<(), DropReason> {
        if count == FrameCount::ONE {
            return self.deliver(bytes, budget, now, sink);
        }
        let mut frames = Frames::parse(bytes, count).map_err(|_| DropReason::Bundle)?;
        while let Some(frame) = frames.next() {
            if let Err(reason) = self.deliver(frame, budget, now, sink) {
                self.drops.add(reason);
            }
        }
        Ok(())
    }

    fn deliver(
        &mut self,
        frame: &[u8],
        budget: usize,
        now: Instant,
        sink: &mut impl FnMut(&[u8], PeerId),
    ) -> Result<(), DropReason> {
        let rewrite = match &mut *self.player {
            Some(player) => player.check_incoming(frame, self.sender, self.roster, now)?,
            None if is_priority_tagged(frame) => Rewrite::PriorityTag,
            None => Rewrite::None,
        };
        let frame = if rewrite != Rewrite::None || mss::is_handshake(frame) {
            let scratch = &mut *self.scratch;
            scratch.clear();
            scratch.extend_from_slice(frame);
            link::strip_priority_tag(scratch);
            if let Some(player) = &mut *self.player {
                let result = player.rewrite(scratch, rewrite);
                if let Some(news) = player.take_news() {
                    self.effects.push_back(Effect::Event(news.into()));
                }
                result?;
            }
            mss::clamp(scratch, budget);
            scratch
        } else {
            frame
        };
        tunnel::count_in(self.counters, frame);
        sink(frame, self.sender.peer);
        Ok(())
    }
}

/// The frame without a priority tag (VID 0), which receivers behind the tunnel
/// would not all understand. The addresses move over the tag.
fn without_priority_tag(frame: &mut [u8]) -> &mut [u8] {
    if is_priority_tagged(frame) {
        frame.copy_within(0..12, 4);
        frame.get_mut(4..).unwrap_or_default()
    } else {
        frame
    }
}

fn is_priority_tagged(frame: &[u8]) -> bool {
    let [a, b] = EtherType::VLAN.0.to_be_bytes();
    matches!(frame.get(12..16), Some(&[x, y, control, 0]) if [x, y] == [a, b] && control & 0x0F == 0)
}
