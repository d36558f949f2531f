//! The wire through a packet socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use lanparty_obs::DropReason;
use lanparty_offload::{Coalescer, Join, VnetHdr, segment};
use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{ADDRESSES_LEN, VLAN_TAG_LEN, VlanTag, insert_tag};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::batch::{self, Packet, ReceiveBatch, Sent};
use super::filter::{Unicast, program};
use super::sys;
use crate::{Budget, FromLan, LanError, Origin, Received};

/// Several milliseconds of a busy LAN. The limit for ordinary users is lower
/// (`net.core.rmem_max`), so this is asked for with the privileged option first.
const SOCKET_BUFFER: usize = 8 << 20;

#[derive(Debug)]
pub(super) struct PacketSocket {
    fd: OwnedFd,
    mark: u32,
    batch: ReceiveBatch,
    /// Bytes of the largest packet lately: how many fit a budget is not known
    /// before they are read.
    largest: usize,
    outgoing: Coalescer,
}

impl PacketSocket {
    /// Nothing but groups is received until [`Self::set_members`].
    pub(super) fn open(interface: u32, mark: u32, offload: bool) -> Result<Self, LanError> {
        let fd = rustix::net::socket_with(
            AddressFamily::PACKET,
            SocketType::RAW,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            // Protocol 0: receive nothing until it is bound, so that no frame
            // slips in before the filter.
            None,
        )
        .map_err(|errno| failed("open a packet socket", errno.into()))?;
        let socket = Self {
            fd,
            mark,
            batch: ReceiveBatch::new(),
            largest: batch::MAX_PACKET,
            // Where the interface cannot cut UDP superframes the kernel does,
            // behind its queues, which is still cheaper than a call for each.
            outgoing: Coalescer::new(join(offload)),
        };
        socket
            .set_up(interface)
            .map_err(|source| failed("set up the packet socket", source))?;
        Ok(socket)
    }

    fn set_up(&self, interface: u32) -> io::Result<()> {
        let fd = &self.fd;
        sys::set_option(fd, libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1)?;
        sys::set_option(fd, libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
        let mark = i32::from_ne_bytes(self.mark.to_ne_bytes());
        // Before Linux 5.17 this takes CAP_NET_ADMIN. The kernel never hands a
        // socket its own frames, so the mark matters only with the host path,
        // and that takes the same capability.
        let _ = sys::set_option(fd, libc::SOL_SOCKET, libc::SO_MARK, mark);
        self.set_members(&[])?;
        if sockopt::set_socket_recv_buffer_size_force(fd, SOCKET_BUFFER).is_err() {
            sockopt::set_socket_recv_buffer_size(fd, SOCKET_BUFFER)?;
        }
        if sockopt::set_socket_send_buffer_size_force(fd, SOCKET_BUFFER).is_err() {
            sockopt::set_socket_send_buffer_size(fd, SOCKET_BUFFER)?;
        }
        let interface = interface.try_into().map_err(io::Error::other)?;
        sys::join_promiscuous(fd, interface)?;
        sys::bind_to_interface(fd, interface)
    }

    /// Leaves out what this computer itself sends.
    pub(super) fn ignore_host(&self) -> io::Result<()> {
        sys::set_option(&self.fd, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)
    }

    pub(super) fn set_members(&self, members: &[MacAddr]) -> io::Result<()> {
        let attach = |unicast| {
            let mut program = program(unicast, Some(self.mark));
            sys::attach_socket_filter(&self.fd, &mut program)
        };
        attach(Unicast::for_members(members)).or_else(|_| attach(Unicast::ForAnyPlayer))
    }

    pub(super) fn receive(
        &mut self,
        mut budget: Budget,
        packets_in: &mut u64,
        sink: &mut dyn FnMut(FromLan<'_>),
    ) -> io::Result<Received> {
        while !budget.is_spent() {
            let fitting = budget.bytes.div_ceil(self.largest);
            let most = fitting.min(budget.packets).min(ReceiveBatch::CAPACITY);
            let mut largest = self.largest - self.largest / 8;
            let each = |packet: Packet<'_>| {
                let length = packet.frame.len();
                largest = largest.max(length);
                budget.spend(length);
                deliver(packet, sink);
            };
            match self.batch.receive(&self.fd, most, each) {
                Ok(count) => {
                    self.largest = largest;
                    *packets_in += count as u64;
                    if count < most {
                        return Ok(Received::Drained);
                    }
                }
                Err(error) => match Errno::from_io_error(&error) {
                    // Told once when the interface goes down.
                    Some(Errno::AGAIN | Errno::NETDOWN) => return Ok(Received::Drained),
                    Some(Errno::INTR) => {}
                    // The kernel itself cannot say in a virtio-net header what
                    // the superframe is, and has thrown it away.
                    Some(Errno::INVAL) => {
                        sink(FromLan::Dropped(DropReason::UnknownOffload));
                        budget.spend(0);
                    }
                    _ => return Err(error),
                },
            }
        }
        Ok(Received::More)
    }

    pub(super) fn send(&mut self, frame: &[u8]) -> Sent {
        if self.outgoing.push(frame).is_ok() {
            return Sent::default();
        }
        let sent = self.flush();
        if self.outgoing.push(frame).is_ok() {
            return sent;
        }
        Sent {
            refused_frames: sent.refused_frames + 1,
            ..sent
        }
    }

    pub(super) fn flush(&mut self) -> Sent {
        if self.outgoing.is_empty() {
            return Sent::default();
        }
        let sent = batch::send(self.fd.as_fd(), self.outgoing.outputs());
        if sent.refuses_udp_superframes {
            self.outgoing = Coalescer::new(Join::Tcp);
        }
        self.outgoing.clear();
        sent
    }

    pub(super) fn overflowed(&self) -> u64 {
        sys::packet_drops(&self.fd).unwrap_or(0).into()
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What is joined for a kernel that is believed to know UDP superframes.
pub(super) const fn join(offload: bool) -> Join {
    if offload {
        Join::TcpAndUdp
    } else {
        Join::Nothing
    }
}

fn deliver(packet: Packet<'_>, sink: &mut dyn FnMut(FromLan<'_>)) {
    let origin = if packet.is_outgoing {
        Origin::Host
    } else {
        Origin::Wire
    };
    if finish(packet, origin, sink).is_none() {
        sink(FromLan::Dropped(DropReason::UnknownOffload));
    }
}

/// Makes finished frames; `None` where the kernel's description cannot be
/// followed.
fn finish(packet: Packet<'_>, origin: Origin, sink: &mut dyn FnMut(FromLan<'_>)) -> Option<()> {
    if packet.is_truncated {
        return None;
    }
    let mut header = VnetHdr::decode(packet.header).ok()?;
    let frame = match packet.stripped_tag {
        Some((tpid, tci)) => {
            insert_tag(packet.frame, VlanTag::from_bits(tci)).ok()?;
            *packet
                .frame
                .get_mut(ADDRESSES_LEN..)?
                .first_chunk_mut::<2>()? = tpid.to_be_bytes();
            header = header.with_vlan_tag();
            packet.frame
        }
        None => packet.frame.get_mut(VLAN_TAG_LEN..)?,
    };
    let mut frames = segment(&header, frame).ok()?;
    while let Some(frame) = frames.next_frame() {
        sink(FromLan::Frame { frame, origin });
    }
    Some(())
}

fn failed(operation: &'static str, source: io::Error) -> LanError {
    if source.kind() == io::ErrorKind::PermissionDenied {
        LanError::NotPermitted { operation }
    } else {
        LanError::System { operation, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out of a packet whose frame is `frame`.
    fn delivered(header: [u8; 10], frame: &[u8], is_truncated: bool) -> Vec<Option<Vec<u8>>> {
        let mut buffer = [&[0; VLAN_TAG_LEN], frame].concat();
        let packet = Packet {
            header: &header,
            frame: &mut buffer,
            is_outgoing: false,
            stripped_tag: Some((0x8100, 5)).filter(|_| frame.len() < 14),
            is_truncated,
        };
        let mut out = Vec::new();
        deliver(packet, &mut |from_lan| {
            out.push(match from_lan {
                FromLan::Frame { frame, .. } => Some(frame.to_vec()),
                FromLan::Dropped(DropReason::UnknownOffload) => None,
                FromLan::Dropped(reason) => panic!("{reason}"),
            });
        });
        out
    }

    #[test]
    fn what_the_kernel_says_and_we_cannot_follow_is_a_counted_drop() {
        let frame = [0xFF; 60];
        assert_eq!(delivered([0; 10], &frame, false), [Some(frame.to_vec())]);
        assert_eq!(delivered([0; 10], &frame, true), [None], "cut off");
        let fcoe = [0, 2, 0, 0, 100, 0, 0, 0, 0, 0];
        assert_eq!(delivered(fcoe, &frame, false), [None], "unknown kind");
        let not_tcp = [0, 1, 54, 0, 100, 0, 0, 0, 0, 0];
        assert_eq!(
            delivered(not_tcp, &frame, false),
            [None],
            "not what it says"
        );
        assert_eq!(
            delivered([0; 10], &frame[..8], false),
            [None],
            "a tagged runt"
        );
    }
}
