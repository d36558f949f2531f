//! Raw Ethernet on a host's interface, for sending what no ordinary program
//! would and for seeing what really arrived.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::node::Node;
use crate::wait;

/// A packet socket bound to one interface of one host.
#[derive(Debug)]
pub struct RawSocket {
    fd: OwnedFd,
}

impl RawSocket {
    /// Opens a socket that sends and receives whole frames.
    ///
    /// # Errors
    /// When the interface does not exist.
    pub fn open(node: &Node, interface: &str) -> Result<Self> {
        let index = node.sh(&format!("cat /sys/class/net/{interface}/ifindex"))?;
        let index: i32 = index.trim().parse().context("odd interface index")?;
        node.inside(|| Self::bind(index).context("cannot open a packet socket"))
    }

    #[expect(unsafe_code, reason = "no safe crate binds AF_PACKET sockets")]
    fn bind(index: i32) -> io::Result<Self> {
        let every_protocol = u16::try_from(libc::ETH_P_ALL).unwrap_or_default().to_be();
        // SAFETY: a plain system call without pointers.
        let fd = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
                i32::from(every_protocol),
            )
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: all-zero bytes are a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
        address.sll_protocol = every_protocol;
        address.sll_ifindex = index;
        let length = u32::try_from(mem::size_of_val(&address)).unwrap_or_default();
        // SAFETY: the pointer is to a sockaddr_ll that outlives the call, and
        // `length` is its size.
        let outcome = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) };
        if outcome != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { fd })
    }

    /// Sends one frame as it is.
    ///
    /// # Errors
    /// When the interface is down or the frame exceeds its MTU.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let sent = rustix::net::send(&self.fd, frame, rustix::net::SendFlags::empty())
            .with_context(|| format!("cannot send a frame of {} bytes", frame.len()))?;
        if sent != frame.len() {
            bail!("only {sent} of {} bytes were sent", frame.len());
        }
        Ok(())
    }

    /// A frame that has arrived already; `buffer` holds it afterwards.
    pub fn try_receive(&self, buffer: &mut [u8]) -> Option<usize> {
        let received = rustix::net::recv(&self.fd, buffer, rustix::net::RecvFlags::empty());
        received.ok().map(|(_, length)| length)
    }

    /// The next frame that `wanted` accepts, within `limit`.
    pub fn receive(
        &self,
        limit: Duration,
        mut wanted: impl FnMut(&[u8]) -> bool,
    ) -> Option<Vec<u8>> {
        let deadline = wait::now() + limit;
        let mut buffer = vec![0; 65_536];
        loop {
            match rustix::net::recv(&self.fd, &mut buffer[..], rustix::net::RecvFlags::empty()) {
                Ok((_, length)) if buffer.get(..length).is_some_and(&mut wanted) => {
                    buffer.truncate(length);
                    return Some(buffer);
                }
                Ok(_) => {}
                Err(_) if !self.readable_before(deadline) => return None,
                Err(_) => {}
            }
            if wait::now() >= deadline {
                return None;
            }
        }
    }

    /// Every frame that `wanted` accepts until `limit` has passed.
    pub fn collect(&self, limit: Duration, mut wanted: impl FnMut(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let deadline = wait::now() + limit;
        let mut frames = Vec::new();
        while let Some(left) = deadline.checked_duration_since(wait::now()) {
            frames.extend(self.receive(left, &mut wanted));
        }
        frames
    }

    fn readable_before(&self, deadline: Instant) -> bool {
        let Some(left) = deadline.checked_duration_since(wait::now()) else {
            return false;
        };
        let mut set = [rustix::event::PollFd::new(
            &self.fd,
            rustix::event::PollFlags::IN,
        )];
        let timeout = rustix::event::Timespec::try_from(left).ok();
        rustix::event::poll(&mut set, timeout.as_ref()).is_ok_and(|ready| ready > 0)
    }
}

impl AsFd for RawSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A broadcast IPX packet in Ethernet II framing, as DOS games send them.
#[must_use]
pub fn ipx_ethernet_ii(source: lanparty_proto::MacAddr, payload: usize) -> Vec<u8> {
    let header = lanparty_proto::ethernet::EthernetHeader {
        destination: lanparty_proto::MacAddr::BROADCAST,
        source,
        ether_type: lanparty_proto::ethernet::EtherType::IPX,
    };
    let mut frame = header.encode().to_vec();
    frame.extend(ipx_packet(source, payload));
    frame
}

/// An IPX packet (Novell's layout): checksum FFFF, length, hops, type, then
/// network, node and socket of destination and source.
#[must_use]
pub fn ipx_packet(source: lanparty_proto::MacAddr, payload: usize) -> Vec<u8> {
    const HEADER_LEN: usize = 30;
    const GAME_SOCKET: [u8; 2] = [0x86, 0x9C];
    let length = u16::try_from(HEADER_LEN + payload).unwrap_or(u16::MAX);
    let mut packet = vec![0xFF, 0xFF];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 4]);
    packet.extend([0; 4]);
    packet.extend([0xFF; 6]);
    packet.extend(GAME_SOCKET);
    packet.extend([0; 4]);
    packet.extend(source.octets());
    packet.extend(GAME_SOCKET);
    packet.extend((0..payload).map(|at| u8::try_from(at % 251).unwrap_or_default()));
    packet
}
