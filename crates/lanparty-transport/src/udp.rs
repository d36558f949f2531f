//! One UDP socket, with the kernel's batching where it is to be had.
//!
//! Owns socket options, address normalisation and the fallbacks: without GSO
//! for a while, then without `quinn-udp` altogether. Never loses a transmit
//! silently: what the socket cannot take now is kept by the caller, what it
//! refuses is counted.

#[cfg(test)]
mod faults;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::{Duration, Instant};

use quinn_proto::{EcnCodepoint, Transmit};
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

use crate::chunks::{Chunk, Chunks, SLOTS};
use crate::error::BindError;
#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

/// A UDP payload over IPv4 is at most this long, and a GSO batch with it.
const MAX_GSO_BYTES: usize = 65_507;
/// Datagrams that one receive call is to take. What it takes lies in the
/// processor's caches when it is opened and sent on, if it is not much more: a
/// relay that took sixteen full batches at once, a megabyte, spent a quarter
/// more on each frame of 1,300 bytes (ADR 25).
const RECEIVE_TARGET: usize = 96;
/// How long a refused batch keeps us from offering another. Drivers are loaded
/// and routes move; asking again costs two system calls.
const GSO_PAUSE: Duration = Duration::from_secs(60);
/// Warnings about failing sends are at least this far apart.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

pub(crate) struct Udp {
    socket: UdpSocket,
    native: system::Native,
    offload: Offload,
    /// The system has carried something out for `quinn-udp`; what it refuses
    /// from then on is not because of how it was asked.
    is_proven: bool,
    may_fragment: bool,
    /// The driver refused a batch; datagrams go out one by one until then.
    gso_pause: Option<Instant>,
    local: SocketAddr,
    dual_stack: bool,
    chunks: Chunks,
    metas: [RecvMeta; SLOTS],
    /// Of [`SLOTS`], so many are offered to the next receive call.
    offered: usize,
    /// Nothing waited any more after the last one.
    is_drained: bool,
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
            Err(error)
                if address.is_ipv6()
                    && address.ip().is_unspecified()
                    && system::lacks_ipv6(&error) =>
            {
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
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        socket.set_nonblocking(true)?;
        let dual_stack = address.is_ipv6() && address.ip().is_unspecified();
        if address.is_ipv6() {
            socket.set_only_v6(!dual_stack)?;
        }
        system::enlarge_buffers(&socket, buffer);
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        let mut native = system::Native::new(&socket)?;
        let offload = match UdpSocketState::new(UdpSockRef::from(&socket)) {
            Ok(state) => {
                native.tune(&socket, &state);
                Offload::Quinn(state)
            }
            Err(error) => {
                tracing::warn!(%error, "UDP offloads are not available; this is slower but works");
                Offload::Plain
            }
        };
        Ok(Self {
            local: socket.local_addr()?,
            socket,
            native,
            may_fragment: match &offload {
                Offload::Quinn(state) => state.may_fragment(),
                Offload::Plain => true,
            },
            offload,
            is_proven: false,
            gso_pause: None,
            dual_stack,
            chunks: Chunks::new(),
            metas: [RecvMeta::default(); SLOTS],
            offered: SLOTS,
            is_drained: false,
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
    pub(crate) const fn may_fragment(&self) -> bool {
        self.may_fragment
    }

    /// Datagrams of `mtu` bytes that may go out in one transmit.
    pub(crate) fn max_segments(&mut self, now: Instant, mtu: usize) -> usize {
        match self.gso_pause {
            Some(until) if now < until => return 1,
            Some(_) => self.resume_gso(),
            None => {}
        }
        match &self.offload {
            Offload::Quinn(state) => state
                .max_gso_segments()
                .min(MAX_GSO_BYTES / mtu.max(1))
                .max(1),
            Offload::Plain => 1,
        }
    }

    /// `quinn-udp` never offers again what was refused once; a new state does.
    fn resume_gso(&mut self) {
        self.gso_pause = None;
        if let Offload::Quinn(state) = &mut self.offload
            && let Ok(new) = UdpSocketState::new(UdpSockRef::from(&self.socket))
        {
            *state = new;
            self.native.tune(&self.socket, state);
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
                    let slots = slots.get_mut(..self.offered).unwrap_or_default();
                    state.recv(UdpSockRef::from(&self.socket), slots, &mut self.metas)
                }
                Offload::Plain => receive_plain(&self.socket, &mut self.chunks, &mut self.metas),
            };
            match received {
                Ok(count) => {
                    self.is_proven = true;
                    let metas = self.metas.get(..count).unwrap_or_default();
                    if let Offload::Quinn(state) = &self.offload {
                        self.native.received(&self.socket, state, metas);
                    }
                    self.is_drained = system::BATCHES_ARE_FILLED && count < self.offered;
                    self.offered = slots_for(metas);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.native.drained(&self.socket)?;
                    return Ok(0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if system::answers_a_send(&error) => {}
                Err(error) if self.is_misunderstood(&error) => self.make_plain(&error),
                Err(error) => return Err(error),
            }
        }
    }

    /// True where nothing waited any more after the last batch. Should
    /// something have come meanwhile, the socket is readable again.
    pub(crate) const fn is_drained(&self) -> bool {
        self.is_drained
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
        let sent = self.send_all(now, transmit, contents);
        self.native.sent(&self.socket, sent == Sent::Done);
        sent
    }

    fn send_all(&mut self, now: Instant, transmit: &Transmit, contents: &[u8]) -> Sent {
        let segment = transmit.segment_size.unwrap_or(contents.len()).max(1);
        let mut refused_batch = None;
        if contents.len() > segment && self.max_segments(now, segment) > 1 {
            match self.send_once(transmit, contents, Some(segment)) {
                Ok(()) => {
                    self.is_proven = true;
                    return Sent::Done;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Sent::Blocked { from: 0 };
                }
                Err(error) => refused_batch = Some(error),
            }
        }
        let mut from = 0;
        for datagram in contents.chunks(segment) {
            match self.send_single(transmit, datagram) {
                Ok(()) => {
                    // Each alone passes, so the route or its driver does no GSO.
                    if let Some(error) = refused_batch.take() {
                        self.gso_pause = Some(now + GSO_PAUSE);
                        tracing::info!(%error, "the system refuses batches; datagrams go out one by one");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Sent::Blocked { from };
                }
                Err(error) => self.refused(now, &error),
            }
            from += datagram.len();
        }
        Sent::Done
    }

    fn send_single(&mut self, transmit: &Transmit, datagram: &[u8]) -> io::Result<()> {
        let sent = match self.send_once(transmit, datagram, None) {
            Err(error) if self.is_misunderstood(&error) => {
                self.make_plain(&error);
                self.send_once(transmit, datagram, None)
            }
            other => other,
        };
        self.is_proven |= sent.is_ok();
        sent
    }

    /// True for a system that took the socket's options and does not take what
    /// goes with a datagram.
    fn is_misunderstood(&self, error: &io::Error) -> bool {
        !self.is_proven
            && matches!(self.offload, Offload::Quinn(_))
            && system::refuses_options(error)
    }

    fn make_plain(&mut self, error: &io::Error) {
        tracing::warn!(%error, "UDP offloads do not work; this is slower but works");
        self.offload = Offload::Plain;
    }

    fn send_once(
        &self,
        transmit: &Transmit,
        contents: &[u8],
        segment_size: Option<usize>,
    ) -> io::Result<()> {
        #[cfg(test)]
        self.faults
            .strike(segment_size, matches!(self.offload, Offload::Plain))?;
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
        if system::is_too_long(error) {
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

/// As many slots as [`RECEIVE_TARGET`] needs if the next are filled as these;
/// two at least, since a sender's last batch is often a short one.
fn slots_for(metas: &[RecvMeta]) -> usize {
    let datagrams: usize = metas
        .iter()
        .map(|meta| meta.len.div_ceil(meta.stride.max(1)))
        .sum();
    let slots = RECEIVE_TARGET * metas.len() / datagrams.max(1);
    slots.clamp(2, SLOTS)
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

/// The address that this machine's routes would send from to `remote`. Sends
/// nothing.
///
/// # Errors
/// Where there is no route.
pub fn source_address(remote: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(remote)?;
    Ok(socket.local_addr()?.ip())
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

#[cfg(test)]
mod tests {
    use crate::reactor::Reactor;

    use super::*;

    fn pair() -> (Udp, Udp, Transmit) {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (here, there) = (Udp::bind(any, 1 << 20), Udp::bind(any, 1 << 20));
        let (here, there) = (here.unwrap(), there.unwrap());
        let transmit = Transmit {
            destination: there.local_address(),
            ecn: None,
            size: 300,
            segment_size: Some(100),
            src_ip: None,
        };
        (here, there, transmit)
    }

    fn received(udp: &mut Udp) -> usize {
        let mut count = 0;
        for _ in 0..100 {
            let batch = udp.receive().unwrap();
            count += (0..batch)
                .filter_map(|at| udp.take(at))
                .map(|(_, chunk)| chunk.count())
                .sum::<usize>();
            if count >= 3 {
                break;
            }
            std::thread::yield_now();
        }
        count
    }

    #[test]
    fn as_many_slots_are_offered_as_the_target_needs() {
        let meta = |len, stride| {
            let mut meta = RecvMeta::default();
            (meta.len, meta.stride) = (len, stride);
            meta
        };
        assert_eq!(slots_for(&[meta(1_400, 1_400); SLOTS]), SLOTS);
        assert_eq!(slots_for(&[meta(9_000, 1_200); 3]), RECEIVE_TARGET / 8);
        assert_eq!(slots_for(&[meta(58_000, 1_300); SLOTS]), 2);
        assert_eq!(slots_for(&[meta(0, 0)]), SLOTS);
    }

    #[test]
    fn a_driver_that_refuses_batches_is_asked_again_later() {
        let (mut here, mut there, transmit) = pair();
        let begin = Reactor::new().unwrap().now();
        if here.max_segments(begin, 100) == 1 {
            return;
        }
        here.faults.no_gso = true;
        for (after, batches) in [(0, 1), (1, 1), (59, 1), (60, 2), (61, 2)] {
            let now = begin + Duration::from_secs(after);
            assert_eq!(here.send(now, &transmit, &[7; 300]), Sent::Done);
            assert_eq!(received(&mut there), 3);
            assert_eq!(here.faults.batches.get(), batches, "after {after} s");
        }
        here.faults.no_gso = false;
        let now = begin + Duration::from_secs(125);
        for _ in 0..2 {
            assert_eq!(here.send(now, &transmit, &[7; 300]), Sent::Done);
            assert_eq!(received(&mut there), 3);
        }
        assert_eq!(here.faults.batches.get(), 4);
        assert_eq!(here.send_failures(), 0);
    }

    #[test]
    fn a_system_that_takes_nothing_but_plain_datagrams_gets_those() {
        let (mut here, mut there, transmit) = pair();
        let now = Reactor::new().unwrap().now();
        here.faults.only_plain = true;
        assert_eq!(here.send(now, &transmit, &[7; 300]), Sent::Done);
        assert!(matches!(here.offload, Offload::Plain));
        assert_eq!(received(&mut there), 3);
        assert_eq!(here.send_failures(), 0);
    }

    #[test]
    fn what_worked_once_is_not_given_up_for_one_refusal() {
        let (mut here, mut there, transmit) = pair();
        let now = Reactor::new().unwrap().now();
        here.send(now, &transmit, &[7; 300]);
        assert_eq!(received(&mut there), 3);
        if matches!(here.offload, Offload::Plain) {
            return;
        }
        here.faults.only_plain = true;
        here.send(now, &transmit, &[7; 300]);
        assert!(matches!(here.offload, Offload::Quinn(_)));
        assert_eq!(here.send_failures(), 3);
    }
}
