//! One UDP socket, with the kernel's batching where it is to be had.
//!
//! Owns socket options, address normalisation and the fallbacks: without GRO
//! and GSO, then without `quinn-udp` altogether. Never loses a transmit
//! silently: what the socket cannot take now is kept by the caller, what it
//! refuses is counted.

#[cfg(test)]
mod faults;

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use quinn_proto::{EcnCodepoint, Transmit};
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use rustix::io::Errno;
use rustix::net::sockopt;
use socket2::{Domain, Protocol, Socket, Type};

use crate::chunks::{Chunk, Chunks, SLOTS};
use crate::error::BindError;

/// A UDP payload over IPv4 is at most this long, and a GSO batch with it.
const MAX_GSO_BYTES: usize = 65_507;
/// Warnings about failing sends are at least this far apart.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

pub(crate) struct Udp {
    socket: UdpSocket,
    offload: Offload,
    local: SocketAddr,
    dual_stack: bool,
    chunks: Chunks,
    metas: [RecvMeta; SLOTS],
    send_failures: u64,
    warned: Option<Instant>,
    #[cfg(test)]
    pub(crate) faults: faults::Faults,
}

enum Offload {
    /// recvmmsg, GRO, GSO, ECN and the local address of each packet.
    Quinn(UdpSocketState),
    /// `recv_from` and `send_to`.
    Plain,
}

/// What became of a transmit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Handed to the kernel, or refused by it and counted: QUIC recovers.
    Done,
    /// The socket buffer is full; the bytes from `from` on are still to be sent.
    Blocked { from: usize },
}

/// Where received datagrams came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) remote: SocketAddr,
    pub(crate) local_ip: Option<IpAddr>,
    pub(crate) ecn: Option<EcnCodepoint>,
}

impl Udp {
    /// Binds `address`; the unspecified IPv6 address also takes IPv4, and is
    /// replaced by the IPv4 one on a machine without IPv6.
    pub(crate) fn bind(address: SocketAddr, buffer: usize) -> Result<Self, BindError> {
        match Self::bind_exactly(address, buffer) {
            Err(error) if address.is_ipv6() && address.ip().is_unspecified() && no_ipv6(&error) => {
                let v4 = SocketAddr::from(([0, 0, 0, 0], address.port()));
                Self::bind_exactly(v4, buffer)
            }
            other => other,
        }
        .map_err(|source| bind_error(address, source))
    }

    fn bind_exactly(address: SocketAddr, buffer: usize) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM.nonblocking().cloexec(),
            Some(Protocol::UDP),
        )?;
        let dual_stack = address.is_ipv6() && address.ip().is_unspecified();
        if address.is_ipv6() {
            socket.set_only_v6(!dual_stack)?;
        }
        enlarge_buffers(&socket, buffer);
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        let offload = match UdpSocketState::new(UdpSockRef::from(&socket)) {
            Ok(state) => Offload::Quinn(state),
            Err(error) => {
                tracing::warn!(%error, "UDP offloads are not available; this is slower but works");
                Offload::Plain
            }
        };
        Ok(Self {
            local: socket.local_addr()?,
            socket,
            offload,
            dual_stack,
            chunks: Chunks::new(),
            metas: [RecvMeta::default(); SLOTS],
            send_failures: 0,
            warned: None,
            #[cfg(test)]
            faults: faults::Faults::default(),
        })
    }

    pub(crate) const fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// Whether this socket can reach `remote` at all.
    pub(crate) const fn reaches(&self, remote: SocketAddr) -> bool {
        self.dual_stack || self.local.is_ipv4() == remote.is_ipv4()
    }

    /// True where the kernel may fragment what we send, so that path MTU
    /// discovery would learn nothing.
    pub(crate) fn may_fragment(&self) -> bool {
        match &self.offload {
            Offload::Quinn(state) => state.may_fragment(),
            Offload::Plain => true,
        }
    }

    /// Datagrams of `mtu` bytes that may go out in one transmit.
    pub(crate) fn max_segments(&self, mtu: usize) -> usize {
        match &self.offload {
            Offload::Quinn(state) => state
                .max_gso_segments()
                .min(MAX_GSO_BYTES / mtu.max(1))
                .max(1),
            Offload::Plain => 1,
        }
    }

    /// Transmits that the kernel refused.
    pub(crate) const fn send_failures(&self) -> u64 {
        self.send_failures
    }

    /// Receives one batch and returns its size; 0 when nothing waits.
    pub(crate) fn receive(&mut self) -> io::Result<usize> {
        loop {
            let received = match &self.offload {
                Offload::Quinn(state) => {
                    let mut slots = self.chunks.slots();
                    state.recv(UdpSockRef::from(&self.socket), &mut slots, &mut self.metas)
                }
                Offload::Plain => receive_plain(&self.socket, &mut self.chunks, &mut self.metas),
            };
            match received {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes entry `at` of the last batch: its origin and its datagrams.
    pub(crate) fn take(&mut self, at: usize) -> Option<(Origin, Chunk)> {
        let meta = self.metas.get(at)?;
        let origin = Origin {
            remote: normalised(meta.addr),
            local_ip: meta.dst_ip.map(|ip| ip.to_canonical()),
            ecn: meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8)),
        };
        Some((origin, self.chunks.take(at, meta.len, meta.stride)))
    }

    /// Sends `contents`, one or more datagrams of `transmit.segment_size`.
    pub(crate) fn send(&mut self, now: Instant, transmit: &Transmit, contents: &[u8]) -> Sent {
        let segment = transmit.segment_size.unwrap_or(contents.len()).max(1);
        if contents.len() > segment && self.max_segments(segment) > 1 {
            match self.send_once(transmit, contents, Some(segment)) {
                Ok(()) => return Sent::Done,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Sent::Blocked { from: 0 };
                }
                // The route or its driver does no GSO for this batch; each
                // datagram may still pass alone.
                Err(error) => tracing::debug!(%error, "a GSO batch was refused"),
            }
        }
        let mut from = 0;
        for datagram in contents.chunks(segment) {
            match self.send_once(transmit, datagram, None) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Sent::Blocked { from };
                }
                Err(error) => self.refused(now, &error),
            }
            from += datagram.len();
        }
        Sent::Done
    }

    fn send_once(
        &self,
        transmit: &Transmit,
        contents: &[u8],
        segment_size: Option<usize>,
    ) -> io::Result<()> {
        #[cfg(test)]
        self.faults.strike(segment_size)?;
        #[cfg(test)]
        if self.faults.loses(contents, segment_size) {
            return Ok(());
        }
        let destination = self.for_socket(transmit.destination);
        match &self.offload {
            Offload::Quinn(state) => state.try_send(
                UdpSockRef::from(&self.socket),
                &quinn_udp::Transmit {
                    destination,
                    ecn: transmit
                        .ecn
                        .and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
                    contents,
                    segment_size,
                    src_ip: transmit.src_ip,
                },
            ),
            Offload::Plain => self.socket.send_to(contents, destination).map(drop),
        }
    }

    fn refused(&mut self, now: Instant, error: &io::Error) {
        // A path MTU probe larger than the interface's MTU; the probe's loss is
        // its answer.
        if error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error()) {
            return;
        }
        self.send_failures = self.send_failures.saturating_add(1);
        let quiet = self
            .warned
            .is_some_and(|at| now.saturating_duration_since(at) < WARN_INTERVAL);
        if !quiet {
            self.warned = Some(now);
            tracing::warn!(%error, failures = self.send_failures, "the system refuses to send");
        }
    }

    /// A dual-stack socket names IPv4 hosts by their mapped addresses.
    fn for_socket(&self, remote: SocketAddr) -> SocketAddr {
        match remote {
            SocketAddr::V4(v4) if self.local.is_ipv6() => {
                let mapped: Ipv6Addr = v4.ip().to_ipv6_mapped();
                SocketAddrV6::new(mapped, v4.port(), 0, 0).into()
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => remote,
        }
    }
}

impl AsFd for Udp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// IPv4-mapped addresses become IPv4, so that limits and policy see one form.
pub(crate) fn normalised(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::from((v4, v6.port())),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

fn receive_plain(
    socket: &UdpSocket,
    chunks: &mut Chunks,
    metas: &mut [RecvMeta; SLOTS],
) -> io::Result<usize> {
    let mut count = 0;
    let mut slots = chunks.slots();
    for (slot, meta) in slots.iter_mut().zip(metas) {
        let slot: &mut IoSliceMut<'_> = slot;
        match socket.recv_from(slot) {
            Ok((len, addr)) => {
                *meta = RecvMeta::default();
                (meta.len, meta.stride, meta.addr) = (len, len, addr);
                count += 1;
            }
            Err(_) if count > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Asks for more than `net.core.rmem_max` where we may, else for what we get.
fn enlarge_buffers(socket: &Socket, bytes: usize) {
    if sockopt::set_socket_recv_buffer_size_force(socket, bytes).is_err() {
        let _ = socket.set_recv_buffer_size(bytes);
    }
    if sockopt::set_socket_send_buffer_size_force(socket, bytes).is_err() {
        let _ = socket.set_send_buffer_size(bytes);
    }
}

fn no_ipv6(error: &io::Error) -> bool {
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn bind_error(address: SocketAddr, source: io::Error) -> BindError {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "two kinds have a remedy of their own"
    )]
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::AddressInUse(address),
        io::ErrorKind::PermissionDenied => BindError::PermissionDenied(address),
        _ => BindError::Socket { address, source },
    }
}
