//! The TAP on Linux: /dev/net/tun with virtio-net headers.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};

use lanparty_os::netlink::{LinkChange, Netlink, NetlinkError};
use lanparty_os::tap::{self, TapOffloads, VNET_HEADER_LEN};
use rustix::io::Errno;

use lanparty_obs::DropReason;
use lanparty_offload::{Coalescer, Join, VnetHdr, segment};

use crate::{Adapter, FromTap, Received, TapCounters, TapError, TapOptions};

/// The largest superframe of the kernel: a 64 KiB IP packet and its Ethernet
/// header, with room for a tag.
const MAX_PACKET: usize = 65_535 + 18;
/// What may wait for us in the kernel. Its default of 1,000 overflows where
/// 200,000 small frames a second meet a program that waits 5 ms for a
/// processor; what waits too long is ours to judge, behind it.
const QUEUE_FRAMES: u32 = 4_096;

/// A non-persistent TAP interface, up from the start and with its cable
/// unplugged until [`Adapter::set_carrier`].
#[derive(Debug)]
pub struct Tap {
    device: tap::Tap,
    netlink: Netlink,
    index: u32,
    packet: Box<[u8]>,
    batch: Coalescer,
    refused: u64,
    counters: TapCounters,
}

impl Tap {
    /// Creates the interface.
    ///
    /// # Errors
    /// [`TapError`] tells what is missing on this machine.
    pub fn open(options: &TapOptions) -> Result<Self, TapError> {
        let device = tap::Tap::create(&tap::TapOptions {
            name: options.name.clone(),
            vnet_header: true,
            offloads: if options.offload {
                TapOffloads::ALL
            } else {
                TapOffloads::NONE
            },
        })?;
        let mut netlink = Netlink::open().map_err(|source| failed(&device, source))?;
        let link = netlink
            .link_by_name(device.name())
            .map_err(|source| failed(&device, source))?
            .ok_or_else(|| TapError::Gone {
                name: device.name().to_owned(),
            })?;
        let mut change = |change: &LinkChange| {
            netlink
                .change_link(link.index, change)
                .map_err(|source| failed(&device, source))
        };
        // The cable is unplugged before the interface comes up: nothing may
        // leave, no address may be asked for and no neighbour looked for
        // before the room is joined.
        change(&LinkChange {
            mac: Some(options.mac),
            mtu: Some(options.mtu.into()),
            queue_frames: Some(QUEUE_FRAMES),
            carrier: Some(false),
            ..LinkChange::default()
        })?;
        change(&LinkChange {
            up: Some(true),
            ..LinkChange::default()
        })?;
        Ok(Self {
            // A kernel that leaves UDP superframes to us also takes them.
            batch: Coalescer::new(match device.offloads() {
                TapOffloads::NONE => Join::Nothing,
                offloads if offloads.uso => Join::TcpAndUdp,
                _ => Join::Tcp,
            }),
            device,
            netlink,
            index: link.index,
            packet: vec![0; VNET_HEADER_LEN + MAX_PACKET].into_boxed_slice(),
            refused: 0,
            counters: TapCounters::default(),
        })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.device.name()
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

    fn write_batch(&mut self) {
        for (header, frame) in self.batch.outputs() {
            self.counters.writes += 1;
            let encoded = header.encode_mergeable();
            let parts = [IoSlice::new(&encoded), IoSlice::new(frame)];
            let frames = frames_in(header, frame.len());
            match rustix::io::retry_on_intr(|| rustix::io::writev(&self.device, &parts)) {
                Ok(_) => {
                    self.counters.frames_out += frames;
                    self.counters.bytes_out += frame.len() as u64;
                }
                Err(_) => self.refused += frames,
            }
        }
        self.batch.clear();
    }

    fn change(&mut self, change: &LinkChange) -> Result<(), TapError> {
        self.netlink
            .change_link(self.index, change)
            .map_err(|source| failed(&self.device, source))
    }
}

/// How many frames a superframe stands for.
fn frames_in(header: &VnetHdr, len: usize) -> u64 {
    let Some(gso) = header.gso else { return 1 };
    let payload = len.saturating_sub(header.hdr_len.into());
    payload.div_ceil(usize::from(gso.size).max(1)) as u64
}

fn failed(device: &tap::Tap, source: NetlinkError) -> TapError {
    if source.is_permission_denied() {
        return TapError::NotPermitted;
    }
    TapError::Settings {
        name: device.name().to_owned(),
        source: Box::new(source),
    }
}

impl From<tap::TapError> for TapError {
    fn from(error: tap::TapError) -> Self {
        match error {
            tap::TapError::Device(source) => match Errno::from_io_error(&source) {
                Some(Errno::ACCESS | Errno::PERM) => Self::NotPermitted,
                _ => Self::DeviceMissing,
            },
            tap::TapError::NotAllowed { .. } => Self::NotPermitted,
            tap::TapError::Busy { name } => Self::NameInUse { name },
            tap::TapError::BadName { name } => Self::Name { name },
            tap::TapError::Create { name, source } | tap::TapError::Configure { name, source } => {
                Self::Settings {
                    name,
                    source: Box::new(source),
                }
            }
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
            let Some((header, frame)) = self
                .packet
                .get_mut(..len)
                .and_then(|packet| packet.split_at_mut_checked(VNET_HEADER_LEN))
            else {
                sink(FromTap::Dropped(DropReason::Runt));
                continue;
            };
            let frames = VnetHdr::decode(header).and_then(|header| segment(&header, frame));
            let mut frames = match frames {
                Ok(frames) => frames,
                Err(error) => {
                    tracing::debug!(%error, "cannot take a frame from the TAP");
                    sink(FromTap::Dropped(DropReason::UnknownOffload));
                    continue;
                }
            };
            while let Some(frame) = frames.next_frame() {
                self.counters.frames_in += 1;
                self.counters.bytes_in += frame.len() as u64;
                sink(FromTap::Frame(frame));
            }
        }
        Ok(Received::More)
    }

    fn send(&mut self, frame: &[u8]) {
        if self.batch.push(frame).is_err() {
            self.write_batch();
            // An empty batch takes any frame.
            self.refused += u64::from(self.batch.push(frame).is_err());
        }
    }

    fn flush(&mut self) -> u64 {
        self.write_batch();
        std::mem::take(&mut self.refused)
    }

    fn set_carrier(&mut self, up: bool) -> Result<(), TapError> {
        self.change(&LinkChange {
            carrier: Some(up),
            ..LinkChange::default()
        })
    }

    fn set_mtu(&mut self, mtu: u16) -> Result<(), TapError> {
        self.change(&LinkChange {
            mtu: Some(mtu.into()),
            ..LinkChange::default()
        })
    }

    fn counters(&self) -> TapCounters {
        self.counters
    }
}
