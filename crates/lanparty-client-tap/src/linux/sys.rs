//! The ioctls of the tun driver and of network interfaces; all of this
//! crate's unsafe code.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use lanparty_proto::MacAddr;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// An interface name in the kernel's form: NUL-terminated, 16 bytes.
pub(super) type RawName = [libc::c_char; libc::IFNAMSIZ];

/// `None` for what the kernel would refuse or what would surprise in a shell.
pub(super) fn raw_name(name: &str) -> Option<RawName> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let fits = (1..libc::IFNAMSIZ).contains(&name.len());
    if !fits || !name.bytes().all(allowed) || matches!(name, "." | "..") {
        return None;
    }
    let mut raw = [0; libc::IFNAMSIZ];
    for (to, from) in raw.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    Some(raw)
}

pub(super) fn open_device() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(
        Path::new("/dev/net/tun"),
        flags,
        Mode::empty(),
    )?)
}

/// Creates the interface. `IFF_TUN_EXCL` makes an existing one of that name an
/// error; without it a persistent TAP of somebody else would be taken over.
pub(super) fn create_tap(device: &OwnedFd, name: &RawName) -> io::Result<()> {
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_TUN_EXCL;
    let mut request = ifreq(name);
    // The field is 16 bits wide and IFF_TUN_EXCL is its top bit.
    request.ifr_ifru.ifru_flags = (flags as u16).cast_signed();
    interface_ioctl(device.as_fd(), libc::TUNSETIFF, &mut request)
}

pub(super) fn set_header_len(device: &OwnedFd, len: libc::c_int) -> io::Result<()> {
    // SAFETY: TUNSETVNETHDRSZ reads one int through the pointer, which lives
    // until the call returns.
    check(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const len) })
}

pub(super) fn set_carrier(device: &OwnedFd, up: bool) -> io::Result<()> {
    let carrier = libc::c_int::from(up);
    // SAFETY: TUNSETCARRIER reads one int through the pointer, which lives
    // until the call returns.
    check(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETCARRIER, &raw const carrier) })
}

/// A socket to address interface requests to; any family will do.
pub(super) fn control_socket() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

pub(super) fn set_mac(socket: &OwnedFd, name: &RawName, mac: MacAddr) -> io::Result<()> {
    let mut request = ifreq(name);
    let mut address = libc::sockaddr {
        sa_family: libc::ARPHRD_ETHER,
        sa_data: [0; 14],
    };
    for (to, from) in address.sa_data.iter_mut().zip(mac.octets()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_hwaddr = address;
    interface_ioctl(socket.as_fd(), libc::SIOCSIFHWADDR, &mut request)
}

pub(super) fn set_mtu(socket: &OwnedFd, name: &RawName, mtu: u16) -> io::Result<()> {
    let mut request = ifreq(name);
    request.ifr_ifru.ifru_mtu = i32::from(mtu);
    interface_ioctl(socket.as_fd(), libc::SIOCSIFMTU, &mut request)
}

pub(super) fn bring_up(socket: &OwnedFd, name: &RawName) -> io::Result<()> {
    let mut request = ifreq(name);
    interface_ioctl(socket.as_fd(), libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: SIOCGIFFLAGS succeeded, so it filled this member of the union.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
    interface_ioctl(socket.as_fd(), libc::SIOCSIFFLAGS, &mut request)
}

pub(super) fn index(socket: &OwnedFd, name: &RawName) -> io::Result<u32> {
    let mut request = ifreq(name);
    interface_ioctl(socket.as_fd(), libc::SIOCGIFINDEX, &mut request)?;
    // SAFETY: SIOCGIFINDEX succeeded, so it filled this member of the union.
    let index = unsafe { request.ifr_ifru.ifru_ifindex };
    Ok(index.cast_unsigned())
}

fn ifreq(name: &RawName) -> libc::ifreq {
    // SAFETY: `ifreq` is plain old data of the C interface; all zero is valid.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    request.ifr_name = *name;
    request
}

fn interface_ioctl(
    fd: BorrowedFd<'_>,
    request: libc::Ioctl,
    argument: &mut libc::ifreq,
) -> io::Result<()> {
    // SAFETY: every request passed here reads and writes at most one `ifreq`,
    // to which `argument` is a unique reference.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request, std::ptr::from_mut(argument)) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_before_the_kernel_sees_them() {
        assert!(raw_name("lanparty0").is_some());
        assert!(raw_name("fifteen-letters").is_some());
        for name in ["", "sixteen-letters-", "a/b", "a b", "..", "tap%d", "täp"] {
            assert!(raw_name(name).is_none(), "{name}");
        }
    }
}
