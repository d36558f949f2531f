//! The datagram path: one decision for each datagram, at once, without an
//! allocation and without a look at anything but its headers.

use std::time::Instant;

use lanparty_ctrl::Role;
use lanparty_l2::policy::{self, Context, Direction, Place, Spread};
use lanparty_obs::DropReason;
use lanparty_proto::PeerId;
use lanparty_proto::bundle::Frames;
use lanparty_proto::ethernet::{self, EthernetHeader};
use lanparty_proto::fragment::Fragment;
use lanparty_proto::overlay::{self, FrameCount, Header, Kind};
use lanparty_proto::peer;
use lanparty_proto::probe::{Probe, ProbeOp};

use crate::connection::Conn;
use crate::decision::{ANSWER_LEN, Verdict};
use crate::limits::Limits;
use crate::room::Room;

/// How a frame finds its targets, which decides what it is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// To one member, or to a LAN host that has been heard.
    Known,
    /// To the gateway because nobody else has that address.
    Unknown,
    /// To everybody else.
    Flood,
}

/// The part of a datagram that the policy can see.
#[derive(Clone, Copy, Debug)]
enum View<'a> {
    /// One or more, as they travel.
    Frames(&'a [u8]),
    /// Of a piece of a frame, and of a sealed one, only the Ethernet header
    /// says anything for sure. The receivers apply the rest of the policy to
    /// the whole.
    Header {
        ethernet: EthernetHeader,
        /// Where what we see ends in the frame as it was before sealing.
        end: usize,
    },
}

/// Reads as much of a frame as a relay can.
fn view(kind: Kind, body: &[u8]) -> Result<View<'_>, DropReason> {
    match kind {
        Kind::Frame => Ok(View::Frames(body)),
        Kind::Fragment => piece(body, 0),
        Kind::SealedFrame => {
            let frame = body.get(overlay::SEALED_LEN..).ok_or(DropReason::Runt)?;
            let (ethernet, payload) = EthernetHeader::parse(frame).map_err(|_| DropReason::Runt)?;
            let clear_len = payload.len().checked_sub(overlay::TAG_LEN);
            let clear_len = clear_len.ok_or(DropReason::Runt)?;
            let end = ethernet::HEADER_LEN.saturating_add(clear_len);
            Ok(View::Header { ethernet, end })
        }
        Kind::SealedFragment => {
            let body = body.get(overlay::SEALED_LEN..).ok_or(DropReason::Runt)?;
            piece(body, overlay::TAG_LEN)
        }
        Kind::Probe => Err(DropReason::Probe),
    }
}

/// `tag_len`: what the end of the whole frame has that the frame before
/// sealing had not.
fn piece(body: &[u8], tag_len: usize) -> Result<View<'_>, DropReason> {
    let fragment = Fragment::parse(body).map_err(|_| DropReason::FragmentHeader)?;
    if fragment.header.relay_id_space {
        return Err(DropReason::FragmentHeader);
    }
    let (ethernet, _) = EthernetHeader::parse(fragment.ethernet).map_err(|_| DropReason::Runt)?;
    let end = fragment
        .header
        .byte_offset()
        .saturating_add(fragment.payload.len())
        .saturating_sub(tag_len)
        .saturating_add(ethernet::HEADER_LEN);
    Ok(View::Header { ethernet, end })
}

/// Checks each frame of a bundle; all go the same way, so one that may not
/// cross keeps the others back, and all are charged to the same budget.
fn check_bundle(
    body: &[u8],
    count: FrameCount,
    check: impl Fn(&[u8]) -> Result<(EthernetHeader, Spread), DropReason>,
) -> Result<(EthernetHeader, Spread), DropReason> {
    let mut copy = [0; ethernet::MAX_TAGGED_FRAME_LEN];
    let copy = copy.get_mut(..body.len()).ok_or(DropReason::Oversize)?;
    copy.copy_from_slice(body);
    let mut frames = Frames::parse(copy, count).map_err(|_| DropReason::Bundle)?;
    let first = check(frames.next().ok_or(DropReason::Bundle)?)?;
    while let Some(frame) = frames.next() {
        let (_, spread) = check(frame)?;
        if spread != first.1 {
            return Err(DropReason::Bundle);
        }
    }
    Ok(first)
}

impl Room {
    pub(crate) fn decide(
        &mut self,
        sender: PeerId,
        datagram: &[u8],
        limits: &Limits,
        now: Instant,
        targets: &mut Vec<Conn>,
    ) -> Result<Verdict, DropReason> {
        targets.clear();
        let (header, body) = Header::decode(datagram).map_err(|_| DropReason::OverlayHeader)?;
        if header.source != sender {
            return Err(DropReason::SourceId);
        }
        match (header.kind, self.keyed) {
            (Kind::Probe, _) => return self.decide_probe(header, body, limits, now, targets),
            (Kind::Frame | Kind::Fragment, true) => return Err(DropReason::ClearInSealedRoom),
            (Kind::SealedFrame | Kind::SealedFragment, false) => {
                return Err(DropReason::SealedInClearRoom);
            }
            (Kind::Frame | Kind::Fragment, false)
            | (Kind::SealedFrame | Kind::SealedFragment, true) => {}
        }
        let view = view(header.kind, body)?;
        self.decide_frame(header, view, datagram.len(), now, targets)?;
        Ok(Verdict::Forward(header))
    }

    fn decide_frame(
        &mut self,
        header: Header,
        view: View<'_>,
        len: usize,
        now: Instant,
        targets: &mut Vec<Conn>,
    ) -> Result<(), DropReason> {
        let sender = header.source;
        let (ethernet, spread) = self.inspect(header, view, now)?;
        let route = self.route(sender, &ethernet, now, targets)?;
        if self.gateway == Some(sender) {
            self.lan_macs.learn(ethernet.source, now);
        }
        let member = self.members.get_mut(&sender).ok_or(DropReason::NotJoined)?;
        // A frame takes so much of the LAN even where it takes two bytes of a
        // bundle.
        let padded = usize::from(header.frames.get()) * ethernet::MIN_FRAME_LEN;
        let copies = len.max(padded).saturating_mul(targets.len());
        member
            .buckets
            .admit(spread, header.frames, copies, route == Route::Unknown, now)
    }

    /// Applies the policy to what can be seen.
    ///
    /// Every fragment of a flooded frame is charged as a flood: which of them
    /// is the first is the sender's word, and each of them goes to everybody.
    fn inspect(
        &self,
        header: Header,
        view: View<'_>,
        now: Instant,
    ) -> Result<(EthernetHeader, Spread), DropReason> {
        let member = self
            .members
            .get(&header.source)
            .ok_or(DropReason::NotJoined)?;
        let (direction, sender) = match member.info.role {
            Role::Client => (Direction::PlayerToLan, member.info.mac),
            Role::Gateway => (Direction::LanToPlayer, None),
        };
        let context = Context {
            place: Place::Relay,
            rules: &self.rules,
            sender,
            members: &self.players,
            bindings: None,
            host: None,
            now,
        };
        match view {
            View::Frames(body) => {
                let check = |frame: &[u8]| {
                    let passed = policy::check(frame, direction, &context)?;
                    Ok((passed.class.link.header, passed.spread))
                };
                if header.frames == FrameCount::ONE {
                    check(body)
                } else {
                    check_bundle(body, header.frames, check)
                }
            }
            View::Header { ethernet, end } => {
                let spread = policy::check_fragment_header(&ethernet, end, direction, &context)?;
                Ok((ethernet, spread))
            }
        }
    }

    fn route(
        &self,
        sender: PeerId,
        ethernet: &EthernetHeader,
        now: Instant,
        targets: &mut Vec<Conn>,
    ) -> Result<Route, DropReason> {
        if ethernet.destination.is_multicast() {
            let others = self.members.iter().filter(|(peer, _)| **peer != sender);
            targets.extend(others.map(|(_, member)| member.conn));
            return if targets.is_empty() {
                Err(DropReason::Alone)
            } else {
                Ok(Route::Flood)
            };
        }
        let holder = self.holder(ethernet.destination);
        let (target, route) = match (holder, self.gateway) {
            (Some(holder), _) if holder == sender => return Err(DropReason::Reflected),
            (Some(holder), _) => (holder, Route::Known),
            (None, Some(gateway)) if gateway == sender => return Err(DropReason::NoSuchPeer),
            (None, Some(gateway)) if self.lan_macs.contains(ethernet.destination, now) => {
                (gateway, Route::Known)
            }
            (None, Some(gateway)) => (gateway, Route::Unknown),
            (None, None) => return Err(DropReason::NoGateway),
        };
        let target = self.members.get(&target).ok_or(DropReason::NoSuchPeer)?;
        targets.push(target.conn);
        Ok(route)
    }

    fn decide_probe(
        &mut self,
        header: Header,
        body: &[u8],
        limits: &Limits,
        now: Instant,
        targets: &mut Vec<Conn>,
    ) -> Result<Verdict, DropReason> {
        let sender = header.source;
        let probe = Probe::decode(body).map_err(|_| DropReason::Probe)?;
        let target = match (probe.target, probe.op) {
            (peer::RELAY, ProbeOp::Request) => None,
            (peer::RELAY, ProbeOp::Reply) => return Err(DropReason::Probe),
            (target, _) => PeerId::try_from(target)
                .ok()
                .filter(|&target| target != sender)
                .and_then(|target| self.members.get(&target))
                .map(|member| Some(member.conn))
                .ok_or(DropReason::Probe)?,
        };
        if !self.probes.take(sender, &probe, limits, now) {
            return Err(DropReason::Probe);
        }
        let Some(conn) = target else {
            let reply = probe.reply_to(sender, 0);
            let mut datagram = [0; ANSWER_LEN];
            let bytes = header.encode().into_iter().chain(reply.encode());
            for (to, from) in datagram.iter_mut().zip(bytes) {
                *to = from;
            }
            return Ok(Verdict::Answer(header, datagram));
        };
        targets.push(conn);
        Ok(Verdict::Forward(header))
    }
}
