//! A LAN for tests of what stands above it.

use std::collections::{BTreeSet, VecDeque};
use std::io;

use lanparty_obs::DropReason;
use lanparty_os::Prefix;
use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{EtherType, EthernetHeader};

use crate::{
    Budget, FromLan, HostReach, LanCounters, LanPort, LinkEvent, Origin, Received, Target,
};

/// Filters like the kernel does; tests feed it and look at what was sent.
#[derive(Debug)]
pub struct FakeLan {
    /// Frames on their way to [`LanPort::receive`].
    incoming: VecDeque<Incoming>,
    /// Frames that were flushed, oldest first.
    pub sent: Vec<(Vec<u8>, Target)>,
    waiting: Vec<(Vec<u8>, Target)>,
    members: BTreeSet<MacAddr>,
    events: VecDeque<LinkEvent>,
    mac: MacAddr,
    addresses: Vec<Prefix>,
    is_link_up: bool,
    host_reach: HostReach,
    counters: LanCounters,
}

#[derive(Debug)]
enum Incoming {
    Frame(Vec<u8>, Origin),
    Dropped(DropReason),
}

impl FakeLan {
    #[must_use]
    pub fn new(mac: MacAddr, addresses: Vec<Prefix>) -> Self {
        Self {
            incoming: VecDeque::new(),
            sent: Vec::new(),
            waiting: Vec::new(),
            members: BTreeSet::new(),
            events: VecDeque::new(),
            mac,
            addresses,
            is_link_up: true,
            host_reach: HostReach::Reachable,
            counters: LanCounters::default(),
        }
    }

    /// A machine of the LAN, or the host, sends a frame.
    pub fn put(&mut self, frame: &[u8], origin: Origin) {
        let wanted = EthernetHeader::parse(frame).is_ok_and(|(header, _)| {
            header.destination.is_multicast()
                || header.ether_type == EtherType::ARP
                || self.members.contains(&header.destination)
        });
        if wanted {
            self.incoming
                .push_back(Incoming::Frame(frame.to_vec(), origin));
        }
    }

    /// The next thing to come off the LAN is a drop.
    pub fn put_drop(&mut self, reason: DropReason) {
        self.incoming.push_back(Incoming::Dropped(reason));
    }

    /// Pulls the cable or plugs it in.
    pub fn set_link(&mut self, up: bool) {
        if up != self.is_link_up {
            self.is_link_up = up;
            self.events
                .push_back(if up { LinkEvent::Up } else { LinkEvent::Down });
        }
    }

    pub fn set_host_reach(&mut self, reach: HostReach) {
        self.host_reach = reach;
    }
}

impl LanPort for FakeLan {
    fn receive(
        &mut self,
        mut budget: Budget,
        sink: &mut dyn FnMut(FromLan<'_>),
    ) -> io::Result<Received> {
        while !budget.is_spent() {
            match self.incoming.pop_front() {
                None => return Ok(Received::Drained),
                Some(Incoming::Dropped(reason)) => {
                    budget.spend(0);
                    sink(FromLan::Dropped(reason));
                }
                Some(Incoming::Frame(mut frame, origin)) => {
                    budget.spend(frame.len());
                    self.counters.packets_in += 1;
                    self.counters.frames_in += 1;
                    self.counters.bytes_in += frame.len() as u64;
                    sink(FromLan::Frame {
                        frame: &mut frame,
                        origin,
                    });
                }
            }
        }
        Ok(Received::More)
    }

    fn send(&mut self, frame: &[u8], target: Target) {
        self.counters.frames_out += 1;
        self.counters.bytes_out += frame.len() as u64;
        self.waiting.push((frame.to_vec(), target));
    }

    fn flush(&mut self) -> u64 {
        self.counters.packets_out += self.waiting.len() as u64;
        self.sent.append(&mut self.waiting);
        0
    }

    fn set_members(&mut self, members: &[MacAddr]) -> io::Result<()> {
        self.members = members.iter().copied().collect();
        Ok(())
    }

    fn mac(&self) -> MacAddr {
        self.mac
    }

    fn addresses(&self) -> &[Prefix] {
        &self.addresses
    }

    fn is_link_up(&self) -> bool {
        self.is_link_up
    }

    fn host_reach(&self) -> &HostReach {
        &self.host_reach
    }

    fn link_events(&mut self, sink: &mut dyn FnMut(LinkEvent)) -> io::Result<()> {
        self.events.drain(..).for_each(sink);
        Ok(())
    }

    fn overflowed(&mut self) -> u64 {
        0
    }

    fn counters(&self) -> LanCounters {
        self.counters
    }
}
