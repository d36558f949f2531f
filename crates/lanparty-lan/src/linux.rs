//! The LAN through the Linux kernel.

mod batch;
mod bridge_port;
mod filter;
mod host_path;
mod inspect;
mod packet_socket;
mod sys;
mod tap_writer;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use lanparty_os::Prefix;
use lanparty_os::netlink::{Change, Link, Monitor, Netlink};
use lanparty_proto::MacAddr;

use self::batch::Sent;
use self::bridge_port::BridgePort;
use self::host_path::HostPath;
use self::packet_socket::PacketSocket;
use crate::{
    Budget, FromLan, HostReach, LanCounters, LanError, LanOptions, LanPort, LinkEvent, Received,
    Target,
};

/// Marks the frames that this process itself put onto the wire or into the
/// local stack. The upper half is ours by choice ("LP"); it leaves out the
/// bits by which firewalls of container engines decide.
const MARK_BASE: u32 = 0x4C50_0000;

/// The gateway's LAN, open until dropped.
#[derive(Debug)]
pub struct Lan {
    name: String,
    index: u32,
    mac: MacAddr,
    addresses: Vec<Prefix>,
    is_link_up: bool,
    host_reach: HostReach,
    port: Port,
    netlink: Netlink,
    monitor: Monitor,
    counters: LanCounters,
    refused: u64,
}

#[derive(Debug)]
enum Port {
    Wire {
        socket: PacketSocket,
        host: Option<HostPath>,
    },
    Bridge(BridgePort),
}

impl Lan {
    /// Opens a wired interface or, as a port of it, a bridge. Afterwards no
    /// capability is needed any more.
    ///
    /// # Errors
    /// [`LanError`] says why not; [`LanError::user_hint`] what to do.
    pub fn open(options: &LanOptions) -> Result<Self, LanError> {
        // Before the state is read, so that no change of it is missed.
        let monitor = Monitor::open()?;
        let mut netlink = Netlink::open()?;
        let inspected = inspect::inspect(&mut netlink, &options.interface)?;
        let link = inspected.link;
        let (port, host_reach) = if inspected.is_bridge {
            let port = BridgePort::open(&mut netlink, &link, options.offload)?;
            (Port::Bridge(port), HostReach::Reachable)
        } else {
            Self::open_wire(&mut netlink, &link, options.offload)?
        };
        let mut lan = Self {
            name: link.name,
            index: link.index,
            mac: link.mac.unwrap_or(MacAddr::ZERO),
            addresses: Vec::new(),
            is_link_up: link.is_up && (link.has_carrier || inspected.is_bridge),
            host_reach,
            port,
            netlink,
            monitor,
            counters: LanCounters::default(),
            refused: 0,
        };
        lan.addresses = lan.list_addresses()?;
        Ok(lan)
    }

    fn open_wire(
        netlink: &mut Netlink,
        link: &Link,
        offload: bool,
    ) -> Result<(Port, HostReach), LanError> {
        // The process id keeps two gateways of one network namespace apart.
        let mark = MARK_BASE | (std::process::id() & 0xFF);
        let socket = PacketSocket::open(link.index, mark, offload)?;
        let (host, reach) = match HostPath::open(netlink, link, mark, offload) {
            Ok(host) => (Some(host), HostReach::Reachable),
            Err(reason) => {
                socket.ignore_host().map_err(|source| LanError::System {
                    operation: "leave out this computer's own frames",
                    source,
                })?;
                (None, HostReach::Unreachable(reason))
            }
        };
        Ok((Port::Wire { socket, host }, reach))
    }

    #[must_use]
    pub fn interface(&self) -> &str {
        &self.name
    }

    /// Readable when [`LanPort::receive`] has something.
    #[must_use]
    pub fn frames_fd(&self) -> BorrowedFd<'_> {
        match &self.port {
            Port::Wire { socket, .. } => socket.as_fd(),
            Port::Bridge(port) => port.as_fd(),
        }
    }

    /// Readable when [`LanPort::link_events`] has something.
    #[must_use]
    pub fn link_fd(&self) -> BorrowedFd<'_> {
        self.monitor.as_fd()
    }

    fn list_addresses(&mut self) -> Result<Vec<Prefix>, lanparty_os::netlink::NetlinkError> {
        let mut addresses: Vec<Prefix> = self
            .netlink
            .addresses_of(self.index)?
            .into_iter()
            .map(|address| address.prefix)
            .collect();
        addresses.sort_unstable();
        Ok(addresses)
    }

    fn note(&mut self, sent: Sent) {
        self.counters.packets_out += sent.packets;
        self.refused += sent.refused_frames;
    }

    fn update_link(&mut self, link: &Link, sink: &mut dyn FnMut(LinkEvent)) {
        let is_bridge = matches!(self.port, Port::Bridge(_));
        let is_up = link.is_up && (link.has_carrier || is_bridge);
        if is_up != self.is_link_up {
            self.is_link_up = is_up;
            sink(if is_up {
                LinkEvent::Up
            } else {
                LinkEvent::Down
            });
        }
        if let Some(mac) = link.mac
            && mac != self.mac
        {
            self.mac = mac;
            sink(LinkEvent::AddressesChanged);
        }
    }
}

impl LanPort for Lan {
    fn receive(
        &mut self,
        budget: Budget,
        sink: &mut dyn FnMut(FromLan<'_>),
    ) -> io::Result<Received> {
        let Self {
            port,
            counters,
            mac,
            ..
        } = self;
        let mut packets_in = 0;
        let mut counted = |from_lan: FromLan<'_>| {
            if let FromLan::Frame { frame, .. } = &from_lan {
                counters.frames_in += 1;
                counters.bytes_in += frame.len() as u64;
            }
            sink(from_lan);
        };
        let received = match port {
            Port::Wire { socket, .. } => socket.receive(budget, &mut packets_in, &mut counted),
            Port::Bridge(port) => port.receive(budget, *mac, &mut packets_in, &mut counted),
        };
        self.counters.packets_in += packets_in;
        received
    }

    fn send(&mut self, frame: &[u8], target: Target) {
        self.counters.frames_out += 1;
        self.counters.bytes_out += frame.len() as u64;
        let sent = match &mut self.port {
            Port::Wire { socket, host } => {
                let to_wire = match target {
                    Target::Wire | Target::Both => socket.send(frame),
                    Target::Host => Sent::default(),
                };
                let to_host = match (target, host) {
                    (Target::Host | Target::Both, Some(host)) => host.writer.send(frame),
                    (Target::Host, None) => Sent {
                        refused_frames: 1,
                        ..Sent::default()
                    },
                    (Target::Wire, _) | (Target::Both, None) => Sent::default(),
                };
                to_wire + to_host
            }
            Port::Bridge(port) => port.send(frame),
        };
        self.note(sent);
    }

    fn flush(&mut self) -> u64 {
        let sent = match &mut self.port {
            Port::Wire { socket, host } => {
                let to_wire = socket.flush();
                host.as_mut()
                    .map_or(to_wire, |host| to_wire + host.writer.flush())
            }
            Port::Bridge(port) => port.flush(),
        };
        self.note(sent);
        std::mem::take(&mut self.refused)
    }

    fn set_members(&mut self, members: &[MacAddr]) -> io::Result<()> {
        match &self.port {
            Port::Wire { socket, .. } => socket.set_members(members),
            Port::Bridge(port) => port.set_members(members),
        }
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
        let mut changes = Vec::new();
        self.monitor.read(|change| changes.push(change))?;
        let mut look_again = false;
        for change in changes {
            match change {
                Change::Link(link) if link.index == self.index => self.update_link(&link, sink),
                Change::LinkGone { index } if index == self.index => {
                    self.is_link_up = false;
                    sink(LinkEvent::Gone);
                }
                Change::Addresses => look_again = true,
                Change::Missed => {
                    look_again = true;
                    let link = self
                        .netlink
                        .link_by_index(self.index)
                        .map_err(io::Error::other)?;
                    match link {
                        Some(link) => self.update_link(&link, sink),
                        None => sink(LinkEvent::Gone),
                    }
                }
                Change::Link(_) | Change::LinkGone { .. } | Change::Routes => {}
            }
        }
        if look_again {
            let addresses = self.list_addresses().map_err(io::Error::other)?;
            if addresses != self.addresses {
                self.addresses = addresses;
                sink(LinkEvent::AddressesChanged);
            }
        }
        Ok(())
    }

    fn overflowed(&mut self) -> u64 {
        match &self.port {
            Port::Wire { socket, .. } => socket.overflowed(),
            // The kernel counts a TAP's full queue and its filter as one, so
            // there is nothing true to say.
            Port::Bridge(_) => 0,
        }
    }

    fn counters(&self) -> LanCounters {
        self.counters
    }
}
