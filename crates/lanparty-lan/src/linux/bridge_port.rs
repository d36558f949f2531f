//! The wire as a port of a Linux bridge.
//!
//! The kernel does the rest: it learns the players' addresses, floods, and
//! delivers to the gateway computer, whose interface the bridge is.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use lanparty_obs::DropReason;
use lanparty_offload::{Join, VnetHdr, segment};
use lanparty_os::netlink::{Link, LinkChange, Netlink};
use lanparty_os::tap::{Tap, TapOffloads, TapOptions, VNET_HEADER_LEN};
use lanparty_proto::MacAddr;
use rustix::io::Errno;

use super::batch::{MAX_PACKET, Sent};
use super::filter::{Unicast, program};
use super::sys;
use super::tap_writer::TapWriter;
use crate::{Budget, FromLan, LanError, Origin, Received};

#[derive(Debug)]
pub(super) struct BridgePort {
    writer: TapWriter,
    packet: Box<[u8]>,
}

impl BridgePort {
    pub(super) fn open(
        netlink: &mut Netlink,
        bridge: &Link,
        offload: bool,
    ) -> Result<Self, LanError> {
        let tap = Tap::create(&TapOptions {
            name: "softport%d".to_owned(),
            vnet_header: true,
            // A port that cannot do these takes them from the whole bridge.
            offloads: if offload {
                TapOffloads::ALL
            } else {
                TapOffloads::NONE
            },
        })?;
        let link = netlink.link_by_name(tap.name())?.ok_or(LanError::System {
            operation: "find the bridge port",
            source: io::ErrorKind::NotFound.into(),
        })?;
        let [.., d, e, f] = link.mac.unwrap_or(MacAddr::ZERO).octets();
        netlink.change_link(
            link.index,
            &LinkChange {
                // A bridge takes the lowest address among its ports for its
                // own; another one would cost the host its DHCP lease. Ports
                // of virtual machines begin with fe: too.
                mac: Some(MacAddr([0xfe, 0xff, 0xff, d, e, f])),
                // And the lowest MTU.
                mtu: Some(bridge.mtu),
                ..LinkChange::default()
            },
        )?;
        // A kernel that cuts UDP superframes for us also takes them.
        let join = match (offload, tap.offloads().uso) {
            (false, _) => Join::Nothing,
            (true, false) => Join::Tcp,
            (true, true) => Join::TcpAndUdp,
        };
        let port = Self {
            packet: vec![0; VNET_HEADER_LEN + MAX_PACKET].into_boxed_slice(),
            writer: TapWriter::new(tap, join),
        };
        port.set_members(&[]).map_err(|source| LanError::System {
            operation: "filter the bridge port",
            source,
        })?;
        netlink.change_link(
            link.index,
            &LinkChange {
                master: Some(Some(bridge.index)),
                up: Some(true),
                ..LinkChange::default()
            },
        )?;
        Ok(port)
    }

    pub(super) fn set_members(&self, members: &[MacAddr]) -> io::Result<()> {
        let attach = |unicast| {
            let mut program = program(unicast, None);
            sys::attach_tap_filter(&self.writer.tap, &mut program)
        };
        attach(Unicast::for_members(members)).or_else(|_| attach(Unicast::ForAnyPlayer))
    }

    /// `host` is the bridge's own address, which tells its frames from those
    /// of the cable.
    pub(super) fn receive(
        &mut self,
        mut budget: Budget,
        host: MacAddr,
        packets_in: &mut u64,
        sink: &mut dyn FnMut(FromLan<'_>),
    ) -> io::Result<Received> {
        while !budget.is_spent() {
            let read = rustix::io::retry_on_intr(|| {
                rustix::io::read(self.writer.tap.as_fd(), &mut self.packet[..])
            });
            let length = match read {
                Ok(length) => length,
                Err(Errno::AGAIN) => return Ok(Received::Drained),
                Err(errno) => return Err(errno.into()),
            };
            *packets_in += 1;
            budget.spend(length);
            let packet = self.packet.get_mut(..length).unwrap_or_default();
            if finish(packet, host, sink).is_none() {
                sink(FromLan::Dropped(DropReason::UnknownOffload));
            }
        }
        Ok(Received::More)
    }

    pub(super) fn send(&mut self, frame: &[u8]) -> Sent {
        self.writer.send(frame)
    }

    pub(super) fn flush(&mut self) -> Sent {
        self.writer.flush()
    }
}

impl AsFd for BridgePort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.writer.tap.as_fd()
    }
}

fn finish(packet: &mut [u8], host: MacAddr, sink: &mut dyn FnMut(FromLan<'_>)) -> Option<()> {
    let (header, frame) = packet.split_at_mut_checked(VNET_HEADER_LEN)?;
    let header = VnetHdr::decode(header).ok()?;
    let source = frame.get(6..)?.first_chunk::<6>()?;
    let origin = if MacAddr(*source) == host {
        Origin::Host
    } else {
        Origin::Wire
    };
    let mut frames = segment(&header, frame).ok()?;
    while let Some(frame) = frames.next_frame() {
        sink(FromLan::Frame { frame, origin });
    }
    Some(())
}
