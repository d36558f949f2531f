//! A way from the players to the gateway computer itself.
//!
//! What a packet socket sends never reaches the local stack. So there is a TAP
//! whose ingress program redirects each frame to the ingress of the wired
//! interface: a frame written to the TAP is received as if it had come in on
//! the cable, and the interface's own set-up is left alone. The redirected
//! frame also shows up on the packet socket; the program marks it, and the
//! socket's filter drops the mark.

use std::io;
use std::os::fd::OwnedFd;

use lanparty_os::Family;
use lanparty_os::netlink::{Link, LinkChange, Netlink};
use lanparty_os::sysctl;
use lanparty_os::tap::{Tap, TapError, TapOffloads, TapOptions};
use rustix::io::Errno;

use super::packet_socket::join;
use super::sys::{self, Instruction};
use super::tap_writer::TapWriter;
use crate::HostUnreachable;

#[derive(Debug)]
pub(super) struct HostPath {
    pub(super) writer: TapWriter,
    /// Holds the program on the TAP.
    _attachment: OwnedFd,
}

impl HostPath {
    pub(super) fn open(
        netlink: &mut Netlink,
        wire: &Link,
        mark: u32,
        offload: bool,
    ) -> Result<Self, HostUnreachable> {
        let tap = Tap::create(&TapOptions {
            name: "softhost%d".to_owned(),
            vnet_header: true,
            // Nothing is read from it, so nothing need be offered.
            offloads: TapOffloads::NONE,
        })
        .map_err(|error| {
            if matches!(error, TapError::NotAllowed { .. }) {
                HostUnreachable::NotPermitted
            } else {
                HostUnreachable::Failed(error.to_string())
            }
        })?;
        let name = tap.name().to_owned();
        let failed = |error: lanparty_os::netlink::NetlinkError| {
            if error.is_permission_denied() {
                HostUnreachable::NotPermitted
            } else {
                HostUnreachable::Failed(error.to_string())
            }
        };
        let link = netlink
            .link_by_name(&name)
            .map_err(failed)?
            .ok_or_else(|| HostUnreachable::Failed(format!("{name} has vanished")))?;

        // The local stack must never talk on the TAP: no address of either
        // family, and a cable that is unplugged as far as it can see.
        match sysctl::write(Family::V6, &name, "disable_ipv6", "1") {
            Ok(()) => {}
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(HostUnreachable::Failed(format!(
                    "cannot switch off IPv6 on {name}: {error}"
                )));
            }
        }
        netlink
            .change_link(
                link.index,
                &LinkChange {
                    mtu: Some(wire.mtu),
                    carrier: Some(false),
                    ..LinkChange::default()
                },
            )
            .map_err(failed)?;

        let program = sys::load_classifier(&redirect_to(wire.index, mark)).map_err(refused)?;
        let attachment = sys::attach_to_ingress(&program, link.index).map_err(refused)?;
        netlink
            .change_link(
                link.index,
                &LinkChange {
                    up: Some(true),
                    ..LinkChange::default()
                },
            )
            .map_err(failed)?;
        Ok(Self {
            // TCX came after UDP segmentation (6.2).
            writer: TapWriter::new(tap, join(offload)),
            _attachment: attachment,
        })
    }
}

fn refused(error: io::Error) -> HostUnreachable {
    match Errno::from_io_error(&error) {
        Some(Errno::PERM | Errno::ACCESS) => HostUnreachable::NotPermitted,
        // What kernels before 6.6 say to an attach type that they do not know.
        Some(Errno::INVAL | Errno::NOSYS) => HostUnreachable::KernelTooOld,
        _ => HostUnreachable::Failed(format!("the kernel refused the redirection: {error}")),
    }
}

/// `skb->mark = mark; return bpf_redirect(interface, BPF_F_INGRESS);`
fn redirect_to(interface: u32, mark: u32) -> [Instruction; 5] {
    /// Of `struct __sk_buff`.
    const MARK_OFFSET: i16 = 8;
    const BPF_FUNC_REDIRECT: i32 = 23;
    const BPF_F_INGRESS: i32 = 1;
    const CONTEXT: u8 = 1;
    let instruction = |code, registers, offset, immediate| Instruction {
        code,
        registers,
        offset,
        immediate,
    };
    let signed = |value: u32| i32::from_ne_bytes(value.to_ne_bytes());
    [
        // BPF_ST | BPF_MEM | BPF_W
        instruction(0x62, CONTEXT, MARK_OFFSET, signed(mark)),
        // BPF_ALU64 | BPF_MOV | BPF_K
        instruction(0xb7, 1, 0, signed(interface)),
        instruction(0xb7, 2, 0, BPF_F_INGRESS),
        // BPF_JMP | BPF_CALL
        instruction(0x85, 0, 0, BPF_FUNC_REDIRECT),
        // BPF_JMP | BPF_EXIT
        instruction(0x95, 0, 0, 0),
    ]
}
