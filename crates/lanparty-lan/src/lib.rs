//! The gateway's side of the wire.
//!
//! This crate puts frames onto the party's LAN and takes those off it that
//! concern the players: on a wired interface through a packet socket, with a
//! path of its own to the gateway computer itself, or as a port of a Linux
//! bridge. Superframes, unfinished checksums and stripped VLAN tags stay in
//! here; everybody above sees the frames that were on the cable.
//!
//! Decides nothing about frames: what may cross is `lanparty-l2`'s business.
//! The only frames that never come out are our own and those for nobody.
//!
//! Nothing outlives the process: the promiscuous mode is a membership of the
//! socket, the TAPs are not persistent and the BPF link is a descriptor.

mod error;
pub mod fake;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::Lan;

use std::fmt;
use std::io;

use lanparty_obs::DropReason;
use lanparty_os::Prefix;
use lanparty_proto::MacAddr;

pub use error::{LanError, Refusal};

#[derive(Clone, Debug)]
pub struct LanOptions {
    /// A wired interface, or a Linux bridge.
    pub interface: String,
    /// Whether frames are handed to the kernel joined where they can be, which
    /// is much cheaper, or each alone.
    pub offload: bool,
}

/// Where a frame entered the LAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Some other machine.
    Wire,
    /// The gateway computer itself.
    Host,
}

/// Whom a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The machines on the cable: any unicast address but the host's.
    Wire,
    /// The gateway computer: its own address.
    Host,
    /// Everybody: broadcast and multicast.
    Both,
}

/// What comes off the LAN.
#[derive(Debug)]
pub enum FromLan<'a> {
    /// One finished frame, its VLAN tag in place.
    Frame { frame: &'a mut [u8], origin: Origin },
    /// Something had to be dropped; the caller counts it.
    Dropped(DropReason),
}

/// What a call of [`LanPort::receive`] may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What the kernel hands over as one: a frame, or a superframe of up to 64 KB.
    pub packets: usize,
    /// The packet that goes beyond it is the last.
    pub bytes: usize,
}

impl Budget {
    const fn is_spent(self) -> bool {
        self.packets == 0 || self.bytes == 0
    }

    const fn spend(&mut self, bytes: usize) {
        self.packets = self.packets.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// How a call of [`LanPort::receive`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Nothing more to read; wait until the descriptor is readable.
    Drained,
    /// The budget is used up and there may be more.
    More,
}

/// What [`LanPort::link_events`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The cable is in again: the switch has forgotten the players' ports and
    /// groups.
    Up,
    Down,
    /// The interface is gone for good; open it again when it returns.
    Gone,
    /// [`LanPort::addresses`] or [`LanPort::mac`] changed.
    AddressesChanged,
}

/// Whether players and the gateway computer itself reach each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostReach {
    Reachable,
    Unreachable(HostUnreachable),
}

/// Why players cannot reach the gateway computer itself; all else works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostUnreachable {
    /// TCX programs came with Linux 6.6.
    KernelTooOld,
    NotPermitted,
    Failed(String),
}

/// What crossed since the interface was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LanCounters {
    /// Frames from the LAN, after segmentation.
    pub frames_in: u64,
    /// Frames to the LAN, before coalescing.
    pub frames_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// What the kernel handed over; far fewer than `frames_in` where it joins
    /// frames.
    pub packets_in: u64,
    /// What was handed to the kernel; far fewer than `frames_out` where
    /// coalescing works.
    pub packets_out: u64,
}

/// The operations that a gateway needs; [`Lan`] and [`fake::FakeLan`] have them.
pub trait LanPort {
    /// Reads about as much as `budget` allows and passes each frame on.
    ///
    /// # Errors
    /// When the descriptor is unusable; an interface that is down is not.
    fn receive(
        &mut self,
        budget: Budget,
        sink: &mut dyn FnMut(FromLan<'_>),
    ) -> io::Result<Received>;

    /// Takes one frame with complete checksums. It may wait for
    /// [`LanPort::flush`], so that frames of one flow are handed over together.
    fn send(&mut self, frame: &[u8], target: Target);

    /// Writes what [`LanPort::send`] held back. Returns how many frames were
    /// refused since the last call (count [`DropReason::LanWrite`]).
    fn flush(&mut self) -> u64;

    /// Whose unicast frames are wanted from now on. Broadcast, multicast and
    /// all ARP, for whomever, come in any case.
    ///
    /// # Errors
    /// When the kernel refuses the filter; the old one then stays.
    fn set_members(&mut self, members: &[MacAddr]) -> io::Result<()>;

    /// The gateway computer's own address on the LAN.
    fn mac(&self) -> MacAddr;

    /// The gateway computer's own IP addresses on the LAN.
    fn addresses(&self) -> &[Prefix];

    fn is_link_up(&self) -> bool;

    fn host_reach(&self) -> &HostReach;

    /// Reads news about the interface without waiting.
    ///
    /// # Errors
    /// When the descriptor is unusable.
    fn link_events(&mut self, sink: &mut dyn FnMut(LinkEvent)) -> io::Result<()>;

    /// Frames that the kernel dropped since the last call because they were
    /// not read in time (count [`DropReason::LanOverflow`]).
    fn overflowed(&mut self) -> u64;

    fn counters(&self) -> LanCounters;
}

impl fmt::Display for HostUnreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("players cannot reach this computer itself, only the rest of the LAN: ")?;
        match self {
            Self::KernelTooOld => f.write_str(
                "that needs Linux 6.6 or later; until then, run game servers on another machine",
            ),
            Self::NotPermitted => f.write_str(
                "that needs CAP_NET_ADMIN and CAP_BPF; run as root or grant them to the program",
            ),
            Self::Failed(detail) => f.write_str(detail),
        }
    }
}
