//! Many packets in one system call, each with its virtio-net header.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use lanparty_offload::{GsoKind, VnetHdr, segment, vnet};
use lanparty_proto::ethernet::VLAN_TAG_LEN;
use libc::{cmsghdr, iovec, mmsghdr, sockaddr_ll, tpacket_auxdata};

use super::sys::length_of;

/// Packets per system call: with superframes that is up to 2 MiB, and beyond
/// it the call's own cost no longer matters.
const RECEIVE_BATCH: usize = 32;
const SEND_BATCH: usize = 64;

/// The largest superframe: a 64 KiB IP packet and its Ethernet header with a
/// tag. (BIG TCP makes larger ones for IPv6, when an administrator says so.)
pub(super) const MAX_PACKET: usize = 65_535 + 18;

/// Room for one control message with `tpacket_auxdata`, aligned.
type Control = [u64; 8];

const _: () = assert!(
    // SAFETY: the macro only computes with its argument.
    unsafe { libc::CMSG_SPACE(size_of::<tpacket_auxdata>() as u32) } as usize
        <= size_of::<Control>()
);

/// Buffers for one batch of received packets.
pub(super) struct ReceiveBatch {
    slots: Vec<Slot>,
}

struct Slot {
    header: [u8; vnet::LEN],
    control: Control,
    from: MaybeUninit<sockaddr_ll>,
    /// A tag fits in front of the frame, see [`Packet::frame`].
    frame: Box<[u8]>,
}

/// A received packet.
pub(super) struct Packet<'a> {
    pub(super) header: &'a [u8],
    /// Begins [`VLAN_TAG_LEN`] unused bytes before the frame.
    pub(super) frame: &'a mut [u8],
    /// Sent by this computer, not received from the cable.
    pub(super) is_outgoing: bool,
    /// A tag that the interface or the kernel took out: TPID and TCI.
    pub(super) stripped_tag: Option<(u16, u16)>,
    /// Longer than the buffer, so only a part of it is here.
    pub(super) is_truncated: bool,
}

impl std::fmt::Debug for ReceiveBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiveBatch")
            .field("slots", &self.slots.len())
            .finish()
    }
}

impl ReceiveBatch {
    pub(super) const CAPACITY: usize = RECEIVE_BATCH;

    pub(super) fn new() -> Self {
        let slot = || Slot {
            header: [0; vnet::LEN],
            control: [0; _],
            from: MaybeUninit::zeroed(),
            frame: vec![0; VLAN_TAG_LEN + MAX_PACKET].into_boxed_slice(),
        };
        Self {
            slots: std::iter::repeat_with(slot).take(RECEIVE_BATCH).collect(),
        }
    }

    /// Reads what is there, up to `most` packets, without waiting and passes
    /// each packet on; returns their number.
    pub(super) fn receive<F: AsFd>(
        &mut self,
        fd: F,
        most: usize,
        mut each: impl FnMut(Packet<'_>),
    ) -> io::Result<usize> {
        let mut parts = [[EMPTY_PART; 2]; RECEIVE_BATCH];
        let mut messages = [EMPTY_MESSAGE; RECEIVE_BATCH];
        let slots = self.slots.iter_mut().take(most);
        for ((slot, parts), message) in slots.zip(&mut parts).zip(&mut messages) {
            let room = slot.frame.get_mut(VLAN_TAG_LEN..).unwrap_or_default();
            *parts = [part_mut(&mut slot.header), part_mut(room)];
            message.msg_hdr.msg_name = slot.from.as_mut_ptr().cast();
            message.msg_hdr.msg_namelen = length_of::<sockaddr_ll>();
            message.msg_hdr.msg_iov = parts.as_mut_ptr();
            message.msg_hdr.msg_iovlen = parts.len();
            message.msg_hdr.msg_control = slot.control.as_mut_ptr().cast();
            message.msg_hdr.msg_controllen = size_of::<Control>();
        }
        // SAFETY: each message points to buffers of `self.slots` and `parts`
        // with their lengths; both outlive the call and nothing else uses
        // them meanwhile.
        let received = unsafe {
            libc::recvmmsg(
                fd.as_fd().as_raw_fd(),
                messages.as_mut_ptr(),
                most.min(RECEIVE_BATCH) as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (slot, message) in self.slots.iter_mut().zip(&messages).take(received) {
            let stripped_tag = stripped_tag(message);
            // SAFETY: zeroed at first, and then whatever the kernel wrote;
            // every bit pattern is a `sockaddr_ll`.
            let from = unsafe { slot.from.assume_init_ref() };
            let length = usize::try_from(message.msg_len).unwrap_or(usize::MAX);
            let end = length
                .saturating_sub(vnet::LEN)
                .saturating_add(VLAN_TAG_LEN)
                .min(slot.frame.len());
            each(Packet {
                header: &slot.header,
                frame: slot.frame.get_mut(..end).unwrap_or_default(),
                is_outgoing: from.sll_pkttype == libc::PACKET_OUTGOING,
                stripped_tag,
                is_truncated: message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            });
        }
        Ok(received)
    }
}

fn stripped_tag(message: &mmsghdr) -> Option<(u16, u16)> {
    // SAFETY: the kernel filled `msg_control` up to `msg_controllen`, and the
    // macro checks that a header fits.
    let header: *const cmsghdr = unsafe { libc::CMSG_FIRSTHDR(&raw const message.msg_hdr) };
    // SAFETY: not null, so inside the aligned control buffer.
    let header = unsafe { header.as_ref() }?;
    if header.cmsg_level != libc::SOL_PACKET || header.cmsg_type != libc::PACKET_AUXDATA {
        return None;
    }
    // SAFETY: a control message of this type carries one `tpacket_auxdata`
    // right after its header; it need not be aligned.
    let data = unsafe {
        libc::CMSG_DATA(std::ptr::from_ref(header))
            .cast::<tpacket_auxdata>()
            .read_unaligned()
    };
    if data.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let tpid = if data.tp_status & libc::TP_STATUS_VLAN_TPID_VALID == 0 {
        0x8100
    } else {
        data.tp_vlan_tpid
    };
    Some((tpid, data.tp_vlan_tci))
}

/// Sends packets without waiting, in order; returns how many went out and how
/// many frames the kernel refused.
pub(super) fn send<'a>(
    fd: BorrowedFd<'_>,
    packets: impl Iterator<Item = (&'a VnetHdr, &'a [u8])>,
) -> Sent {
    let mut sent = Sent::default();
    let mut packets = packets.peekable();
    while packets.peek().is_some() {
        let mut headers = [[0; vnet::LEN]; SEND_BATCH];
        let mut parts = [[EMPTY_PART; 2]; SEND_BATCH];
        let mut messages = [EMPTY_MESSAGE; SEND_BATCH];
        let mut batch = [None; SEND_BATCH];
        let mut count = 0;
        let slots = headers.iter_mut().zip(&mut parts).zip(&mut messages);
        for (((header, parts), message), slot) in slots.zip(&mut batch) {
            let Some((vnet, frame)) = packets.next() else {
                break;
            };
            *header = vnet.encode();
            *slot = Some((vnet, frame));
            *parts = [part(header), part(frame)];
            message.msg_hdr.msg_iov = parts.as_mut_ptr();
            message.msg_hdr.msg_iovlen = parts.len();
            count += 1;
        }
        let mut done = 0;
        while done < count {
            // SAFETY: messages `done..count` point to `headers`, `parts` and
            // frames of the caller with their lengths, all of which outlive
            // the call; the kernel does not write to them.
            let accepted = unsafe {
                libc::sendmmsg(
                    fd.as_raw_fd(),
                    messages.as_mut_ptr().add(done),
                    (count - done) as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            if let Ok(accepted @ 1..) = usize::try_from(accepted) {
                sent.packets += accepted as u64;
                done += accepted;
            } else {
                // The first of them is at fault, or the queue is full; the
                // next may still go.
                let error = io::Error::last_os_error();
                if let Some((vnet, frame)) = batch.get(done).copied().flatten() {
                    sent = sent + after_refusal(fd, vnet, frame, &error);
                }
                done += 1;
            }
        }
    }
    sent
}

/// Kernels before 6.2 refuse UDP superframes, whose datagrams then go one by
/// one; what else is refused is lost.
fn after_refusal(fd: BorrowedFd<'_>, vnet: &VnetHdr, frame: &[u8], error: &io::Error) -> Sent {
    let lost = Sent {
        refused_frames: frame_count(vnet, frame),
        ..Sent::default()
    };
    let is_udp = vnet.gso.is_some_and(|gso| gso.kind == GsoKind::UdpL4);
    if !is_udp || error.raw_os_error() != Some(libc::EINVAL) {
        return lost;
    }
    let mut copy = frame.to_vec();
    let Ok(mut frames) = segment(vnet, &mut copy) else {
        return lost;
    };
    let mut sent = Sent {
        refuses_udp_superframes: true,
        ..Sent::default()
    };
    while let Some(frame) = frames.next_frame() {
        let whole = VnetHdr::default();
        sent = sent + send(fd, std::iter::once((&whole, &*frame)));
    }
    sent
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    pub(super) packets: u64,
    pub(super) refused_frames: u64,
    /// The kernel does not take what the coalescer makes of datagrams.
    pub(super) refuses_udp_superframes: bool,
}

impl std::ops::Add for Sent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            refused_frames: self.refused_frames + other.refused_frames,
            refuses_udp_superframes: self.refuses_udp_superframes || other.refuses_udp_superframes,
        }
    }
}

/// How many frames a superframe stands for.
pub(super) fn frame_count(header: &VnetHdr, frame: &[u8]) -> u64 {
    header.gso.map_or(1, |gso| {
        let payload = frame.len().saturating_sub(header.hdr_len.into());
        payload.div_ceil(usize::from(gso.size).max(1)) as u64
    })
}

const EMPTY_PART: iovec = iovec {
    iov_base: std::ptr::null_mut(),
    iov_len: 0,
};

const EMPTY_MESSAGE: mmsghdr = {
    // SAFETY: null pointers and zero lengths are a valid, empty message; the
    // structure has private padding on some C libraries.
    unsafe { std::mem::zeroed() }
};

fn part_mut(bytes: &mut [u8]) -> iovec {
    iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    }
}

/// For sending only: the kernel does not write through the pointer.
fn part(bytes: &[u8]) -> iovec {
    iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use lanparty_offload::{Checksum, Gso};
    use rustix::net::{AddressFamily, SocketType};
    use rustix::thread::UnshareFlags;

    use super::super::sys;
    use super::*;

    /// Sixteen datagrams of 100 bytes and one of 7 to 127.0.0.1:4100.
    fn superframe() -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45, 0]);
        frame.extend((20 + 8 + 1_607_u16).to_be_bytes());
        frame.extend([0, 1, 0x40, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        frame.extend(4_101_u16.to_be_bytes());
        frame.extend(4_100_u16.to_be_bytes());
        frame.extend((8 + 1_607_u16).to_be_bytes());
        // Without a checksum.
        frame.extend([0, 0]);
        frame.extend((0..1_607).map(|at: u32| at.to_le_bytes()[0]));
        frame
    }

    /// What the kernel says of UDP superframes before Linux 6.2, and here of a
    /// length that cannot be.
    #[test]
    fn datagrams_whose_superframe_the_kernel_refuses_go_one_by_one() {
        // SAFETY: NEWNET changes nothing that other threads share with this
        // one, which is this test's own.
        if unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.is_err() {
            return;
        }
        let up = std::process::Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        assert!(up.unwrap().success());
        let open = |option| {
            // ETH_P_ALL, so that all frames are heard.
            let protocol = rustix::net::Protocol::from_raw(0x300.try_into().unwrap());
            let kind = SocketType::RAW;
            let fd = rustix::net::socket(AddressFamily::PACKET, kind, Some(protocol)).unwrap();
            sys::set_option(&fd, libc::SOL_PACKET, option, 1).unwrap();
            sys::bind_to_interface(&fd, 1).unwrap();
            fd
        };
        let fd = open(libc::PACKET_VNET_HDR);
        let ear = open(libc::PACKET_IGNORE_OUTGOING);
        let vnet = VnetHdr {
            checksum: Checksum::Complete,
            gso: Some(Gso {
                kind: GsoKind::UdpL4,
                ecn: false,
                size: 100,
            }),
            hdr_len: u16::MAX,
        };
        let frame = superframe();
        let sent = send(fd.as_fd(), std::iter::once((&vnet, &frame[..])));
        assert!(sent.refuses_udp_superframes);
        assert_eq!((sent.packets, sent.refused_frames), (17, 0));
        let mut heard = Vec::new();
        let mut buffer = [0; 200];
        for _ in 0..17 {
            let length = rustix::io::read(&ear, &mut buffer[..]).unwrap();
            heard.extend_from_slice(&buffer[42..length]);
        }
        assert_eq!(heard, frame[42..]);
    }
}
