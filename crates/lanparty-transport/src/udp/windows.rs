//! What is particular to the sockets of Windows.

use std::io;
use std::net::UdpSocket;
use std::os::windows::io::{AsHandle, AsSocket as _, BorrowedHandle};

use lanparty_os::windows::overlapped::Event;
use lanparty_os::windows::wait::select_socket;
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use socket2::Socket;
use windows_sys::Win32::Networking::WinSock::{
    WSAEADDRNOTAVAIL, WSAEAFNOSUPPORT, WSAECONNREFUSED, WSAECONNRESET, WSAEINVAL, WSAEMSGSIZE,
    WSAENETRESET, WSAENOPROTOOPT, WSAEOPNOTSUPP,
};

use super::Udp;

/// No member sends a longer datagram: [`crate::TransportLimits::max_mtu_v4`].
const LONGEST: usize = 1_500;

/// A receive call takes one datagram, or one batch that the driver made.
pub(super) const BATCHES_ARE_FILLED: bool = false;

/// The event that stands for the socket in a wait, and what we know of URO.
#[derive(Debug)]
pub(super) struct Native {
    event: Event,
    is_blocked: bool,
    coalesces: Coalesces,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coalesces {
    NotAsked,
    Yes,
    /// The driver glues datagrams together and does not say where.
    Wrongly,
}

impl Native {
    pub(super) fn new(socket: &UdpSocket) -> io::Result<Self> {
        let this = Self {
            event: Event::new()?,
            is_blocked: false,
            coalesces: Coalesces::NotAsked,
        };
        this.drained(socket)?;
        Ok(this)
    }

    /// Turns URO on: `quinn-udp` does not, since some drivers do it wrongly
    /// (quinn issue 2041). We find out, in [`Self::received`].
    pub(super) fn tune(&mut self, socket: &UdpSocket, state: &UdpSocketState) {
        if self.coalesces == Coalesces::NotAsked
            && state.set_gro(UdpSockRef::from(socket), true).is_ok()
        {
            self.coalesces = Coalesces::Yes;
        }
    }

    /// A datagram longer than any member sends is several, glued together by a
    /// driver that does not say how long each is. They are lost to QUIC, which
    /// sends again what matters; the next ones come singly.
    pub(super) fn received(
        &mut self,
        socket: &UdpSocket,
        state: &UdpSocketState,
        metas: &[RecvMeta],
    ) {
        let is_glued = |meta: &RecvMeta| meta.len > LONGEST && meta.stride > LONGEST;
        if self.coalesces == Coalesces::Yes && metas.iter().any(is_glued) {
            self.coalesces = Coalesces::Wrongly;
            let outcome = state.set_gro(UdpSockRef::from(socket), false);
            tracing::info!(
                ?outcome,
                "this network driver coalesces datagrams without saying so; turned off"
            );
        }
    }

    /// The event stays set until the socket was found empty. To wish anew sets
    /// it again for what has come in between.
    pub(super) fn drained(&self, socket: &UdpSocket) -> io::Result<()> {
        self.event.reset();
        select_socket(socket.as_socket(), &self.event, self.is_blocked)
    }

    /// Wishes to be woken when a full socket can send again.
    pub(super) fn sent(&mut self, socket: &UdpSocket, done: bool) {
        if self.is_blocked == done {
            self.is_blocked = !done;
            if let Err(error) = select_socket(socket.as_socket(), &self.event, !done) {
                tracing::warn!(%error, "cannot wait for the UDP socket");
            }
        }
    }
}

impl AsHandle for Udp {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.native.event.as_handle()
    }
}

pub(super) fn enlarge_buffers(socket: &Socket, bytes: usize) {
    let _ = socket.set_recv_buffer_size(bytes);
    let _ = socket.set_send_buffer_size(bytes);
}

/// The datagram is longer than the interface's MTU.
pub(super) fn is_too_long(error: &io::Error) -> bool {
    is(error, &[WSAEMSGSIZE])
}

pub(super) fn lacks_ipv6(error: &io::Error) -> bool {
    is(error, &[WSAEAFNOSUPPORT, WSAEADDRNOTAVAIL])
}

/// The system does not know an option or a control message.
pub(super) fn refuses_options(error: &io::Error) -> bool {
    is(error, &[WSAEINVAL, WSAEOPNOTSUPP, WSAENOPROTOOPT])
}

/// A receive fails because of an earlier send: nobody listens there, or it was
/// too far away.
pub(super) fn answers_a_send(error: &io::Error) -> bool {
    is(error, &[WSAECONNRESET, WSAENETRESET, WSAECONNREFUSED])
}

fn is(error: &io::Error, known: &[i32]) -> bool {
    error
        .raw_os_error()
        .is_some_and(|code| known.contains(&code))
}

#[cfg(test)]
pub(super) fn unknown_option() -> io::Error {
    io::Error::from_raw_os_error(WSAEINVAL)
}
