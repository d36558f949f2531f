//! The open adapter: frames in and out.

use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle};
use std::time::Duration;

use lanparty_obs::DropReason;
use lanparty_os::Family;
use lanparty_os::journal::{Interface, Setting};
use lanparty_os::windows::changes::{ChangeError, Changes};
use lanparty_os::windows::guid::Guid;
use lanparty_os::windows::ip;
use lanparty_os::windows::machine::IpValue;
use lanparty_os::windows::overlapped::{self, Event, Operation};

use super::control::{self, Version};
use super::discovery::{Found, Reason};
use super::ready::{self, Device as _, Ready};
use super::ring::{Next, Ring, Signal, Slot};
use super::system::System;
use crate::{Adapter, FromTap, Received, TapCounters, TapError, TapOptions};

/// Reads and writes in flight, of each as many. Chosen because a burst of this
/// length is what a turn of the loop handles.
const IN_FLIGHT: usize = 16;
/// A standard LAN's frame with a tag; what is longer, we never send.
const MAX_FRAME: usize = 1_518;
/// An Ethernet header with a tag, around the driver's IP MTU.
const HEADERS: usize = 18;
/// The driver answers at once, or something is badly wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// An adapter of the TAP-Windows6 driver, with its cable unplugged until
/// [`Adapter::set_carrier`]. What was changed for it is put back when this is
/// dropped.
#[derive(Debug)]
pub struct Tap {
    // Operations end before the device is closed, and the device is closed
    // before the adapter's settings are put back.
    reads: Ring<Read>,
    writes: Vec<Operation>,
    /// The write that began first.
    oldest_write: usize,
    device: overlapped::Device,
    /// Set while frames wait to be read.
    readable: ReadEvent,
    written: Event,
    has_carrier: bool,
    /// The driver has given reads back; they begin anew with the next flush.
    is_stalled: bool,
    refused: u64,
    counters: TapCounters,
    identity: Identity,
    changes: Changes,
}

#[derive(Debug)]
struct Identity {
    adapter: Found,
    reason: Reason,
    version: Version,
    driver_mtu: u32,
    mac: lanparty_proto::MacAddr,
    index: u32,
    luid: u64,
}

impl Tap {
    /// Takes the adapter, or makes it, and gives it the MAC address.
    ///
    /// # Errors
    /// [`TapError`] tells what is missing on this machine.
    pub fn open(options: &TapOptions) -> Result<Self, TapError> {
        let mut system = System::new(|adapter: &Found| {
            let interface = Interface {
                name: adapter.name.clone(),
                index: ip::interface_of(adapter.guid).map_or(0, |(_, index)| index),
            };
            Changes::new(options.journal.clone(), interface)
        });
        let ready = ready::prepare(&mut system, options.instance_id, &options.name, options.mac)?;
        let Ready {
            device,
            adapter,
            reason,
            version,
            mtu,
        } = ready;
        let gone = || TapError::Gone {
            name: adapter.name.clone(),
        };
        let changes = system.into_changes().ok_or_else(gone)?;
        let (luid, index) = ip::interface_of(adapter.guid).ok_or_else(gone)?;
        let failed = |source| settings(&adapter.name, source);

        let readable = ReadEvent(Event::new().map_err(failed)?);
        let written = Event::new().map_err(failed)?;
        let longest = usize::try_from(mtu).unwrap_or(0).saturating_add(HEADERS);
        let read = || {
            Ok(Read {
                operation: Operation::new(device.clone(), longest.max(MAX_FRAME)),
                event: readable.0.try_clone()?,
                len: longest.max(MAX_FRAME),
            })
        };
        let reads: io::Result<Vec<Read>> = (0..IN_FLIGHT).map(|_| read()).collect();
        let write = |_| Operation::new(device.clone(), MAX_FRAME);
        let mut tap = Self {
            reads: Ring::new(reads.map_err(failed)?),
            writes: (0..IN_FLIGHT).map(write).collect(),
            oldest_write: 0,
            readable,
            written,
            has_carrier: false,
            is_stalled: false,
            refused: 0,
            counters: TapCounters::default(),
            identity: Identity {
                adapter,
                reason,
                version,
                driver_mtu: mtu,
                mac: options.mac,
                index,
                luid,
            },
            device,
            changes,
        };
        // A program that was killed may have left the cable plugged in.
        tap.set_carrier(false)?;
        tap.set_mtu(options.mtu)?;
        Ok(tap)
    }

    /// The connection's name, as people see it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.identity.adapter.name
    }

    #[must_use]
    pub const fn guid(&self) -> Guid {
        self.identity.adapter.guid
    }

    /// The interface's index, until the machine's next start.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.identity.index
    }

    /// Which adapter it is, for people.
    #[must_use]
    pub fn introduction(&self) -> Vec<String> {
        let Identity {
            adapter,
            reason,
            version,
            driver_mtu,
            mac,
            index,
            luid,
        } = &self.identity;
        vec![
            format!("adapter {:?} {}, {reason}", adapter.name, adapter.guid),
            format!(
                "driver {version}, MAC {mac}, driver MTU {driver_mtu}, interface {index}, LUID {luid:#x}"
            ),
        ]
    }

    /// Takes what has ended off the front.
    fn collect_writes(&mut self) {
        for _ in 0..self.writes.len() {
            let Some(write) = self.writes.get_mut(self.oldest_write) else {
                return;
            };
            match write.poll() {
                Some(Ok(len)) => {
                    self.counters.writes += 1;
                    self.counters.frames_out += 1;
                    self.counters.bytes_out += len as u64;
                }
                Some(Err(_)) => self.refused += 1,
                None if write.is_idle() => {}
                None => return,
            }
            self.oldest_write = (self.oldest_write + 1) % self.writes.len();
        }
    }

    /// Reads are given back when the machine goes to sleep, and when the
    /// adapter is disabled or removed; the driver tells which.
    fn stalled(&mut self) -> io::Result<()> {
        self.device.ask(control::GET_VERSION, &mut [0; 12])?;
        self.is_stalled = true;
        Ok(())
    }

    fn begin_reads(&mut self) -> io::Result<()> {
        match self.reads.fill() {
            Err(error) if super::ring::is_aborted(&error) => self.stalled(),
            other => other,
        }
    }
}

/// Signalled while frames wait to be read.
impl AsHandle for Tap {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.readable.0.as_handle()
    }
}

impl Adapter for Tap {
    fn receive(
        &mut self,
        budget: usize,
        sink: &mut dyn FnMut(FromTap<'_>),
    ) -> io::Result<Received> {
        if !self.has_carrier {
            self.reads.discard_ended();
            self.readable.reset();
            return Ok(Received::Drained);
        }
        for _ in 0..budget {
            match self.reads.next(&self.readable)? {
                Next::Nothing => return Ok(Received::Drained),
                Next::Aborted => {
                    self.reads.discard_ended();
                    self.readable.reset();
                    self.stalled()?;
                    return Ok(Received::Drained);
                }
                Next::Frame(frame) => {
                    self.counters.reads += 1;
                    if frame.len() > MAX_FRAME {
                        sink(FromTap::Dropped(DropReason::Oversize));
                    } else {
                        self.counters.frames_in += 1;
                        self.counters.bytes_in += frame.len() as u64;
                        sink(FromTap::Frame(frame));
                    }
                }
            }
            self.begin_reads()?;
        }
        // Beginning reads has reset it.
        self.readable.set();
        Ok(Received::More)
    }

    fn send(&mut self, frame: &[u8]) {
        self.collect_writes();
        // The ring is full when the slot behind the newest write, which is the
        // oldest one, is still busy.
        let len = self.writes.len();
        let at = (0..len)
            .map(|offset| (self.oldest_write + offset) % len)
            .find(|at| self.writes.get(*at).is_some_and(Operation::is_idle));
        let slot = at.and_then(|at| self.writes.get_mut(at));
        let sent = self.has_carrier
            && frame.len() <= MAX_FRAME
            && slot.is_some_and(|slot| slot.start_write(&self.written, frame).is_ok());
        if !sent {
            self.refused += 1;
        }
    }

    fn flush(&mut self) -> u64 {
        self.collect_writes();
        if std::mem::take(&mut self.is_stalled)
            && self.has_carrier
            && let Err(error) = self.begin_reads()
        {
            // The next read finds out.
            tracing::debug!(%error, "the adapter takes no reads");
            self.readable.set();
        }
        std::mem::take(&mut self.refused)
    }

    fn set_carrier(&mut self, up: bool) -> Result<(), TapError> {
        let name = &self.identity.adapter.name;
        let mut answer = [0; 4];
        self.device
            .control(
                control::SET_MEDIA_STATUS,
                &u32::from(up).to_le_bytes(),
                &mut answer,
                PATIENCE,
            )
            .map_err(|source| settings(name, source))?;
        self.has_carrier = up;
        if !up {
            // The driver gives them back; what is left begins anew with the cable.
            self.reads.discard_ended();
            return Ok(());
        }
        let begun = self.begin_reads();
        begun.map_err(|source| settings(&self.identity.adapter.name, source))
    }

    fn set_mtu(&mut self, mtu: u16) -> Result<(), TapError> {
        for family in [Family::V4, Family::V6] {
            let setting = Setting::Ip {
                adapter: self.identity.adapter.guid,
                family,
                value: IpValue::Mtu,
            };
            // False where the adapter does without this family.
            self.changes
                .set(&setting, &mtu.to_string())
                .map_err(|source| change_failed(&self.identity.adapter.name, source))?;
        }
        Ok(())
    }

    fn counters(&self) -> TapCounters {
        self.counters
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if self.has_carrier {
            // The driver does it too when the device is closed.
            let _gone = self.set_carrier(false);
        }
    }
}

/// One read and the event that it shares with the others.
#[derive(Debug)]
struct Read {
    operation: Operation,
    event: Event,
    len: usize,
}

impl Slot for Read {
    fn start(&mut self) -> io::Result<()> {
        self.operation.start_read(&self.event, self.len)
    }

    fn poll(&mut self) -> Option<io::Result<usize>> {
        self.operation.poll()
    }

    fn buffer(&mut self) -> &mut [u8] {
        self.operation.buffer()
    }
}

#[derive(Debug)]
struct ReadEvent(Event);

impl Signal for ReadEvent {
    fn set(&self) {
        self.0.set();
    }

    fn reset(&self) {
        self.0.reset();
    }
}

fn settings(name: &str, source: io::Error) -> TapError {
    TapError::Settings {
        name: name.to_owned(),
        source: Box::new(source),
    }
}

fn change_failed(name: &str, source: ChangeError) -> TapError {
    if source.is_permission_denied() {
        return TapError::NotPermitted;
    }
    TapError::Settings {
        name: name.to_owned(),
        source: Box::new(source),
    }
}
