//! Making a TAP interface that dies with its descriptor.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

/// Bytes before each frame when [`TapOptions::vnet_header`] is set:
/// `struct virtio_net_hdr_mrg_rxbuf`.
pub const VNET_HEADER_LEN: usize = 12;

// From `if_tun.h`, as wide as `ifr_flags`.
const IFF_TAP: u16 = 0x0002;
const IFF_NO_PI: u16 = 0x1000;
const IFF_VNET_HDR: u16 = 0x4000;
/// Somebody's persistent TAP of the same name is not ours to take over.
const IFF_TUN_EXCL: u16 = 0x8000;

/// What the other end may leave undone in a frame that it hands over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapOffloads {
    pub checksum: bool,
    pub tso4: bool,
    pub tso6: bool,
    pub tso_ecn: bool,
    /// UDP segmentation of both families; Linux 6.2 and later.
    pub uso: bool,
}

impl TapOffloads {
    pub const NONE: Self = Self {
        checksum: false,
        tso4: false,
        tso6: false,
        tso_ecn: false,
        uso: false,
    };
    pub const ALL: Self = Self {
        checksum: true,
        tso4: true,
        tso6: true,
        tso_ecn: true,
        uso: true,
    };
    pub const ALL_BUT_UDP: Self = Self {
        uso: false,
        ..Self::ALL
    };

    /// `TUN_F_*` of `if_tun.h`.
    const fn bits(self) -> libc::c_ulong {
        (self.checksum as libc::c_ulong)
            | (self.tso4 as libc::c_ulong) << 1
            | (self.tso6 as libc::c_ulong) << 2
            | (self.tso_ecn as libc::c_ulong) << 3
            | (self.uso as libc::c_ulong) << 5
            | (self.uso as libc::c_ulong) << 6
    }
}

#[derive(Clone, Debug, Default)]
pub struct TapOptions {
    /// The interface's name; `softlan%d` lets the kernel choose the number.
    pub name: String,
    /// A virtio-net header of [`VNET_HEADER_LEN`] bytes before each frame.
    pub vnet_header: bool,
    /// Needs `vnet_header`.
    pub offloads: TapOffloads,
}

#[derive(Debug, thiserror::Error)]
pub enum TapError {
    #[error(
        "cannot open /dev/net/tun: {0}; load the module with `modprobe tun`, and where that is not enough run with CAP_NET_ADMIN"
    )]
    Device(#[source] io::Error),
    #[error("not allowed to make the network interface {name}; run as root or with CAP_NET_ADMIN")]
    NotAllowed { name: String },
    #[error(
        "the network interface {name} is in use by another program; stop it or choose another name"
    )]
    Busy { name: String },
    #[error(
        "\"{name}\" cannot be the name of a network interface; use 1 to 15 letters, digits, - or _"
    )]
    BadName { name: String },
    #[error("cannot make the network interface {name}: {source}")]
    Create {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot set up the network interface {name}: {source}")]
    Configure {
        name: String,
        #[source]
        source: io::Error,
    },
}

/// A TAP interface, not persistent: it is gone when this is dropped or the
/// process dies. Reads and writes never wait.
#[derive(Debug)]
pub struct Tap {
    fd: OwnedFd,
    name: String,
    offloads: TapOffloads,
}

impl Tap {
    /// Makes the interface in the calling thread's network namespace. Where
    /// the kernel lacks UDP segmentation, the rest of the offloads are set.
    ///
    /// # Errors
    /// See [`TapError`]; each sentence says what to do.
    pub fn create(options: &TapOptions) -> Result<Self, TapError> {
        let bad_name = || TapError::BadName {
            name: options.name.clone(),
        };
        let mut request = InterfaceRequest::named(&options.name).ok_or_else(bad_name)?;
        let fd = rustix::fs::open(
            "/dev/net/tun",
            OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|errno| TapError::Device(errno.into()))?;
        request.flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL;
        if options.vnet_header {
            request.flags |= IFF_VNET_HDR;
        }
        // SAFETY: TUNSETIFF reads and writes one `struct ifreq`, as which
        // `request` is laid out and sized.
        let made = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        if made < 0 {
            let source = io::Error::last_os_error();
            let name = options.name.clone();
            return Err(match source.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => TapError::NotAllowed { name },
                Some(libc::EBUSY) => TapError::Busy { name },
                _ => TapError::Create { name, source },
            });
        }
        let mut tap = Self {
            fd,
            name: request.name(),
            offloads: TapOffloads::NONE,
        };
        if options.vnet_header {
            tap.set_vnet_header_len()
                .map_err(|source| tap.configure(source))?;
            tap.offloads = tap
                .set_offloads(options.offloads)
                .map_err(|source| tap.configure(source))?;
        }
        Ok(tap)
    }

    /// The name that the kernel gave.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the kernel agreed to.
    #[must_use]
    pub fn offloads(&self) -> TapOffloads {
        self.offloads
    }

    fn set_vnet_header_len(&self) -> io::Result<()> {
        let length: libc::c_int = VNET_HEADER_LEN.try_into().map_err(io::Error::other)?;
        // SAFETY: TUNSETVNETHDRSZ reads one `int` through the pointer.
        let set = unsafe {
            libc::ioctl(
                self.fd.as_raw_fd(),
                libc::TUNSETVNETHDRSZ,
                &raw const length,
            )
        };
        if set < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    fn set_offloads(&self, wanted: TapOffloads) -> io::Result<TapOffloads> {
        let set = |offloads: TapOffloads| {
            // SAFETY: TUNSETOFFLOAD takes its argument by value.
            let set =
                unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::TUNSETOFFLOAD, offloads.bits()) };
            if set < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(offloads)
        };
        match set(wanted) {
            Err(error) if wanted.uso && error.raw_os_error() == Some(libc::EINVAL) => {
                set(TapOffloads {
                    uso: false,
                    ..wanted
                })
            }
            result => result,
        }
    }

    fn configure(&self, source: io::Error) -> TapError {
        TapError::Configure {
            name: self.name.clone(),
            source,
        }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The part of `struct ifreq` that TUNSETIFF uses, padded to the whole.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    flags: u16,
    _rest: [u8; size_of::<libc::ifreq>() - libc::IFNAMSIZ - size_of::<u16>()],
}

const _: () = assert!(size_of::<InterfaceRequest>() == size_of::<libc::ifreq>());

impl InterfaceRequest {
    fn named(text: &str) -> Option<Self> {
        let usable = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b':';
        // The kernel keeps room for a terminating zero.
        if text.is_empty() || text.len() >= libc::IFNAMSIZ || !text.bytes().all(usable) {
            return None;
        }
        let mut name = [0; libc::IFNAMSIZ];
        for (to, from) in name.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        Some(Self {
            name,
            flags: 0,
            _rest: [0; _],
        })
    }

    fn name(&self) -> String {
        let bytes: Vec<u8> = self
            .name
            .iter()
            .copied()
            .take_while(|byte| *byte != 0)
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
