//! What is particular to the sockets of Unix.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};

use quinn_udp::{RecvMeta, UdpSocketState};
use rustix::io::Errno;
use rustix::net::sockopt;
use socket2::Socket;

use super::Udp;

/// A receive call takes all that waits, as far as there is room.
pub(super) const BATCHES_ARE_FILLED: bool = true;

/// Nothing: epoll asks the socket itself, and `quinn-udp` turns GRO on.
#[derive(Debug)]
pub(super) struct Native;

#[expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "Windows has something to do here"
)]
impl Native {
    pub(super) const fn new(_: &UdpSocket) -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) const fn tune(&mut self, _: &UdpSocket, _: &UdpSocketState) {}

    pub(super) const fn received(&mut self, _: &UdpSocket, _: &UdpSocketState, _: &[RecvMeta]) {}

    pub(super) const fn drained(&self, _: &UdpSocket) -> io::Result<()> {
        Ok(())
    }

    pub(super) const fn sent(&mut self, _: &UdpSocket, _done: bool) {}
}

impl AsFd for Udp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Asks for more than `net.core.rmem_max` where we may, else for what we get.
pub(super) fn enlarge_buffers(socket: &Socket, bytes: usize) {
    if sockopt::set_socket_recv_buffer_size_force(socket, bytes).is_err() {
        let _ = socket.set_recv_buffer_size(bytes);
    }
    if sockopt::set_socket_send_buffer_size_force(socket, bytes).is_err() {
        let _ = socket.set_send_buffer_size(bytes);
    }
}

/// The datagram is longer than the interface's MTU.
pub(super) fn is_too_long(error: &io::Error) -> bool {
    is(error, &[Errno::MSGSIZE])
}

pub(super) fn lacks_ipv6(error: &io::Error) -> bool {
    is(error, &[Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL])
}

/// The system does not know an option or a control message.
pub(super) fn refuses_options(error: &io::Error) -> bool {
    is(
        error,
        &[
            Errno::INVAL,
            Errno::OPNOTSUPP,
            Errno::NOPROTOOPT,
            Errno::NOSYS,
        ],
    )
}

/// A receive fails because of an earlier send: nobody listens there.
pub(super) fn answers_a_send(error: &io::Error) -> bool {
    is(error, &[Errno::CONNREFUSED])
}

fn is(error: &io::Error, known: &[Errno]) -> bool {
    known
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
pub(super) fn unknown_option() -> io::Error {
    io::Error::from_raw_os_error(Errno::INVAL.raw_os_error())
}
