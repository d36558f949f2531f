//! The TAP on Linux: /dev/net/tun with virtio-net headers.

mod sys;

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use crate::{Adapter, FromTap, Received, TapCounters, TapError, TapOptions};

/// `struct virtio_net_hdr_mrg_rxbuf`, as `TUNSETVNETHDRSZ` asks for.
const HEADER_LEN: usize = 12;
/// The largest superframe of the kernel: a 64 KiB IP packet and its Ethernet
/// header, with room for a tag.
const MAX_PACKET: usize = 65_535 + 18;

/// A non-persistent TAP interface, up from the start and with its cable
/// unplugged until [`Adapter::set_carrier`].
#[derive(Debug)]
pub struct Tap {
    device: OwnedFd,
    control: OwnedFd,
    name: String,
    raw_name: sys::RawName,
    index: u32,
    packet: Box<[u8]>,
    refused: u64,
    counters: TapCounters,
}

impl Tap {
    /// Creates the interface.
    ///
    /// # Errors
    /// [`TapError`] tells what is missing on this machine.
    pub fn open(options: &TapOptions) -> Result<Self, TapError> {
        let raw_name = sys::raw_name(&options.name).ok_or_else(|| TapError::Name {
            name: options.name.clone(),
        })?;
        let failed = |action| {
            let name = options.name.clone();
            move |source| TapError::Os {
                action,
                name,
                source,
            }
        };

        let device = sys::open_device().map_err(|source| match Errno::from_io_error(&source) {
            Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => TapError::DeviceMissing,
            Some(Errno::ACCESS | Errno::PERM) => TapError::NotPermitted,
            _ => failed("open /dev/net/tun for")(source),
        })?;
        sys::create_tap(&device, &raw_name).map_err(|source| {
            match Errno::from_io_error(&source) {
                Some(Errno::PERM | Errno::ACCESS) => TapError::NotPermitted,
                Some(Errno::BUSY | Errno::EXIST) => TapError::NameInUse {
                    name: options.name.clone(),
                },
                _ => failed("create")(source),
            }
        })?;
        let control = sys::control_socket().map_err(failed("ask for settings of"))?;
        sys::set_header_len(&device, HEADER_LEN as libc::c_int)
            .map_err(failed("set the header length of"))?;
        sys::set_mac(&control, &raw_name, options.mac).map_err(failed("set the MAC address of"))?;
        sys::set_mtu(&control, &raw_name, options.mtu).map_err(failed("set the MTU of"))?;
        // Without a cable before it is up: nothing may leave, no address may be
        // asked for and no neighbour looked for before the room is joined.
        sys::set_carrier(&device, false).map_err(failed("unplug"))?;
        sys::bring_up(&control, &raw_name).map_err(failed("bring up"))?;
        let index = sys::index(&control, &raw_name).map_err(failed("find"))?;

        Ok(Self {
            device,
            control,
            name: options.name.clone(),
            raw_name,
            index,
            packet: vec![0; HEADER_LEN + MAX_PACKET].into_boxed_slice(),
            refused: 0,
            counters: TapCounters::default(),
        })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The interface's index in this network namespace.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Readable when frames wait; for the program's event loop.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }

    fn write(&mut self, header: &[u8], frame: &[u8]) -> bool {
        self.counters.writes += 1;
        let parts = [IoSlice::new(header), IoSlice::new(frame)];
        rustix::io::retry_on_intr(|| rustix::io::writev(&self.device, &parts)).is_ok()
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(io::Error) -> TapError {
        let name = self.name.clone();
        move |source| TapError::Os {
            action,
            name,
            source,
        }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

impl Adapter for Tap {
    fn receive(
        &mut self,
        budget: usize,
        sink: &mut dyn FnMut(FromTap<'_>),
    ) -> io::Result<Received> {
        for _ in 0..budget {
            let len = match rustix::io::retry_on_intr(|| {
                rustix::io::read(&self.device, &mut self.packet[..])
            }) {
                Ok(len) => len,
                Err(Errno::AGAIN) => return Ok(Received::Drained),
                Err(error) => return Err(error.into()),
            };
            self.counters.reads += 1;
            let frame = self.packet.get_mut(HEADER_LEN..len).unwrap_or_default();
            self.counters.frames_in += 1;
            self.counters.bytes_in += frame.len() as u64;
            sink(FromTap::Frame(frame));
        }
        Ok(Received::More)
    }

    fn send(&mut self, frame: &[u8]) {
        if self.write(&[0; HEADER_LEN], frame) {
            self.counters.frames_out += 1;
            self.counters.bytes_out += frame.len() as u64;
        } else {
            self.refused += 1;
        }
    }

    fn flush(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    fn set_carrier(&mut self, up: bool) -> Result<(), TapError> {
        let action = if up { "plug in" } else { "unplug" };
        sys::set_carrier(&self.device, up).map_err(self.failed(action))
    }

    fn set_mtu(&mut self, mtu: u16) -> Result<(), TapError> {
        sys::set_mtu(&self.control, &self.raw_name, mtu).map_err(self.failed("set the MTU of"))
    }

    fn counters(&self) -> TapCounters {
        self.counters
    }
}
