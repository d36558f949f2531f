//! News from the kernel about links, addresses and routes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_route::RouteNetlinkMessage;
use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::link::{Link, parse_new_link};
use super::socket::{Item, Socket};

/// `RTMGRP_*` of `rtnetlink.h`: link, IPv4 and IPv6 addresses and routes.
const GROUPS: u32 = 0x1 | 0x10 | 0x100 | 0x40 | 0x400;

/// Something changed; look again at what you care about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An interface appeared or changed its state.
    Link(Box<Link>),
    LinkGone {
        index: u32,
    },
    Addresses,
    Routes,
    /// The kernel dropped notifications because we were too slow.
    Missed,
}

/// A subscription; register its descriptor for reading.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
}

impl Monitor {
    /// # Errors
    /// When the kernel has no routing netlink or forbids it.
    pub fn open() -> Result<Self, super::NetlinkError> {
        Ok(Self {
            socket: Socket::open(GROUPS).map_err(super::NetlinkError::Socket)?,
        })
    }

    /// Reads what is there without waiting.
    ///
    /// # Errors
    /// When the socket fails; not when there is nothing to read.
    pub fn read(&mut self, mut each: impl FnMut(Change)) -> io::Result<()> {
        loop {
            let read = self.socket.receive(RecvFlags::DONTWAIT, |_, item| {
                if let Item::Message(message) = item
                    && let Some(change) = change(message)
                {
                    each(change);
                }
            });
            match read {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => {
                    each(Change::Missed);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.fd().as_fd()
    }
}

fn change(message: RouteNetlinkMessage) -> Option<Change> {
    if let RouteNetlinkMessage::DelLink(message) = &message {
        return Some(Change::LinkGone {
            index: message.header.index,
        });
    }
    if message.is_new_address() || message.is_del_address() {
        return Some(Change::Addresses);
    }
    if message.is_new_route() || message.is_del_route() {
        return Some(Change::Routes);
    }
    parse_new_link(message).map(|link| Change::Link(Box::new(link)))
}
