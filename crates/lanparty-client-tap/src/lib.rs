//! The Ethernet adapter that games see on a player's machine.
//!
//! This crate owns the TAP device: it opens it, gives it the player's MAC
//! address, moves whole Ethernet frames in and out in batches and hides
//! superframes and unfinished checksums from everybody above. It decides
//! nothing about frames and never touches addresses or routes.
//!
//! On Linux the device lives exactly as long as the [`Tap`]: whatever ends the
//! process takes the adapter, its addresses and its routes with it. Windows
//! keeps its adapters, so what is changed there is in the crash journal.

#![forbid(unsafe_code)]

mod error;
pub mod fake;

pub mod windows;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::Tap;
#[cfg(windows)]
pub use windows::Tap;
#[cfg(not(any(target_os = "linux", windows)))]
mod stub;
#[cfg(not(any(target_os = "linux", windows)))]
pub use stub::Tap;

use std::io;

use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;

pub use error::TapError;

/// What the adapter is to be when it appears.
#[derive(Clone, Debug)]
pub struct TapOptions {
    /// The interface's name, at most 15 bytes on Linux; on Windows the name of an
    /// adapter that is meant for us, and of one that is made.
    pub name: String,
    /// Set before the interface comes up, so that no frame ever leaves with
    /// another address.
    pub mac: MacAddr,
    /// The IP MTU; frames longer than it are still delivered to the machine.
    pub mtu: u16,
    /// Whether the machine may hand over superframes and is given them, which
    /// is much cheaper, or each frame alone.
    #[cfg(target_os = "linux")]
    pub offload: bool,
    /// The adapter to take, where a person has chosen.
    #[cfg(windows)]
    pub instance_id: Option<lanparty_os::windows::guid::Guid>,
    /// Where changes are recorded before they are made.
    #[cfg(windows)]
    pub journal: lanparty_os::windows::changes::SharedJournal,
}

/// What the adapter carried since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapCounters {
    /// Frames that the machine sent, after segmentation.
    pub frames_in: u64,
    /// Frames handed to the machine, before coalescing.
    pub frames_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Reads from the device; far fewer than `frames_in` where the machine
    /// hands over superframes.
    pub reads: u64,
    /// Writes to the device; far fewer than `frames_out` where coalescing works.
    pub writes: u64,
}

/// How a call of [`Adapter::receive`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Nothing more to read; wait for the device to become readable.
    Drained,
    /// The budget is used up and there may be more.
    More,
}

/// What comes out of the adapter.
#[derive(Debug)]
pub enum FromTap<'a> {
    /// One frame, finished and no longer than a standard LAN's.
    Frame(&'a mut [u8]),
    /// Something had to be dropped; the caller counts it.
    Dropped(DropReason),
}

/// The operations that a driver needs; [`Tap`] and [`fake::FakeTap`] have them.
pub trait Adapter {
    /// Reads up to `budget` packets from the device and passes each frame on.
    ///
    /// # Errors
    /// When the device is gone; running dry is not an error.
    fn receive(&mut self, budget: usize, sink: &mut dyn FnMut(FromTap<'_>))
    -> io::Result<Received>;

    /// Takes one frame for the machine. It may wait for [`Adapter::flush`],
    /// so that frames of one flow can be handed over together.
    fn send(&mut self, frame: &[u8]);

    /// Writes what [`Adapter::send`] held back. Returns how many frames the
    /// device refused since the last call (count [`DropReason::TapWrite`]).
    fn flush(&mut self) -> u64;

    /// Plugs the virtual cable in or pulls it.
    ///
    /// # Errors
    /// When the device refuses.
    fn set_carrier(&mut self, up: bool) -> Result<(), TapError>;

    /// Sets the IP MTU.
    ///
    /// # Errors
    /// When the device refuses.
    fn set_mtu(&mut self, mtu: u16) -> Result<(), TapError>;

    fn counters(&self) -> TapCounters;
}
