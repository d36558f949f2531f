//! One request at a time, with its answers.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_recv_buffer_size, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::NetlinkError;

/// The kernel fills at most 32 KiB per datagram (`NLMSG_GOODSIZE` and
/// `netlink_dump`), so nothing is cut off.
const RECEIVE_BUFFER: usize = 64 * 1024;

/// The kernel answers in microseconds; this only keeps a bug from hanging us.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a listing is begun again because the table changed meanwhile.
const DUMP_ATTEMPTS: usize = 5;

/// `NLM_F_DUMP_INTR`: the table changed while it was being listed.
const DUMP_INTERRUPTED: u16 = 0x10;

#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

/// What one datagram from the kernel held.
pub(super) enum Item {
    Message(RouteNetlinkMessage),
    Done,
    Acknowledged(Result<(), io::Error>),
    /// A message that the packet crate cannot read, for example of a newer kernel.
    Unreadable(String),
}

impl Socket {
    /// Joins the multicast groups of the bit mask `groups` (`RTMGRP_*`).
    pub(super) fn open(groups: u32) -> io::Result<Self> {
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            // `None` is protocol 0, which is `NETLINK_ROUTE`.
            None,
        )?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, groups))?;
        // Nobody but the kernel (port 0) may answer.
        rustix::net::connect(&fd, &SocketAddrNetlink::new(0, 0))?;
        set_socket_timeout(&fd, Timeout::Recv, Some(ANSWER_TIMEOUT))?;
        // A burst of notifications must not cost us one; best effort.
        let _ = set_socket_recv_buffer_size(&fd, 1 << 20);
        Ok(Self {
            fd,
            sequence: 0,
            buffer: vec![0; RECEIVE_BUFFER],
        })
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Sends a change and waits until the kernel has done it.
    pub(super) fn change(
        &mut self,
        operation: &'static str,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), NetlinkError> {
        self.query(operation, message, flags).map(drop)
    }

    /// Asks about one thing.
    pub(super) fn query(
        &mut self,
        operation: &'static str,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        self.send(message, NLM_F_REQUEST | NLM_F_ACK | flags)?;
        let mut answers = Vec::new();
        loop {
            let mut outcome = None;
            self.receive(RecvFlags::empty(), |_, item| match item {
                Item::Message(message) => answers.push(Ok(message)),
                Item::Unreadable(detail) => answers.push(Err(detail)),
                Item::Done => outcome = Some(Ok(())),
                Item::Acknowledged(result) => outcome = Some(result),
            })
            .map_err(NetlinkError::Socket)?;
            match outcome {
                None => {}
                Some(Err(source)) => return Err(NetlinkError::Refused { operation, source }),
                Some(Ok(())) => {
                    return answers
                        .into_iter()
                        .collect::<Result<_, _>>()
                        .map_err(|detail| NetlinkError::Answer { operation, detail });
                }
            }
        }
    }

    /// Lists a table. An entry that cannot be read is skipped: an unrelated
    /// interface of a kind unknown to us must not keep us from working.
    pub(super) fn dump(
        &mut self,
        operation: &'static str,
        message: &RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        for _ in 0..DUMP_ATTEMPTS {
            self.send(message.clone(), NLM_F_REQUEST | NLM_F_DUMP)?;
            let mut answers = Vec::new();
            let mut interrupted = false;
            let mut outcome = None;
            while outcome.is_none() {
                self.receive(RecvFlags::empty(), |header, item| {
                    interrupted |= header.flags & DUMP_INTERRUPTED != 0;
                    match item {
                        Item::Message(message) => answers.push(message),
                        Item::Unreadable(detail) => {
                            tracing::debug!(operation, detail, "skipping an unreadable entry");
                        }
                        Item::Done => outcome = Some(Ok(())),
                        Item::Acknowledged(result) => outcome = Some(result),
                    }
                })
                .map_err(NetlinkError::Socket)?;
            }
            if let Some(Err(source)) = outcome {
                return Err(NetlinkError::Refused { operation, source });
            }
            if !interrupted {
                return Ok(answers);
            }
        }
        Err(NetlinkError::Answer {
            operation,
            detail: "the table kept changing while it was read".to_owned(),
        })
    }

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        rustix::net::send(&self.fd, &bytes, SendFlags::empty())
            .map(drop)
            .map_err(|errno| NetlinkError::Socket(errno.into()))
    }

    /// Reads one datagram and hands over what in it answers the last request
    /// (or, where none was sent, every notification).
    pub(super) fn receive(
        &mut self,
        flags: RecvFlags,
        mut each: impl FnMut(&NetlinkHeader, Item),
    ) -> io::Result<()> {
        let (length, _) = rustix::net::recv(&self.fd, &mut self.buffer[..], flags)?;
        let mut rest = self.buffer.get(..length).unwrap_or_default();
        while let Some(claimed) = rest.first_chunk::<4>() {
            let claimed = usize::try_from(u32::from_ne_bytes(*claimed)).unwrap_or(usize::MAX);
            let Some(message) = rest.get(..claimed).filter(|message| !message.is_empty()) else {
                break;
            };
            match NetlinkMessage::<RouteNetlinkMessage>::deserialize(message) {
                Ok(message) => {
                    let (header, payload) = message.into_parts();
                    // A notification carries the sequence number of whoever
                    // caused it, so one that never asks takes them all.
                    let is_ours = self.sequence == 0 || header.sequence_number == self.sequence;
                    if is_ours && let Some(item) = Item::from_payload(payload) {
                        each(&header, item);
                    }
                }
                Err(error) => each(
                    &NetlinkHeader::default(),
                    Item::Unreadable(error.to_string()),
                ),
            }
            // Messages are aligned to four bytes (`NLMSG_ALIGN`).
            rest = rest.get(claimed.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(())
    }
}

impl Item {
    fn from_payload(payload: NetlinkPayload<RouteNetlinkMessage>) -> Option<Self> {
        if let NetlinkPayload::InnerMessage(message) = payload {
            Some(Self::Message(message))
        } else if let NetlinkPayload::Done(_) = payload {
            Some(Self::Done)
        } else if let NetlinkPayload::Error(error) = payload {
            Some(Self::Acknowledged(match error.code {
                None => Ok(()),
                Some(_) => Err(error.to_io()),
            }))
        } else {
            None
        }
    }
}
