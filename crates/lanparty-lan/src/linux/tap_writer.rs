//! Frames into the kernel through a TAP.

use std::io::IoSlice;
use std::os::fd::AsFd;

use lanparty_offload::{Coalescer, Join};
use lanparty_os::tap::Tap;

use super::batch::{Sent, frame_count};

#[derive(Debug)]
pub(super) struct TapWriter {
    pub(super) tap: Tap,
    outgoing: Coalescer,
}

impl TapWriter {
    /// The TAP must have virtio-net headers.
    pub(super) fn new(tap: Tap, join: Join) -> Self {
        Self {
            tap,
            outgoing: Coalescer::new(join),
        }
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
        let mut sent = Sent::default();
        for (header, frame) in self.outgoing.outputs() {
            let encoded = header.encode_mergeable();
            let parts = [IoSlice::new(&encoded), IoSlice::new(frame)];
            match rustix::io::retry_on_intr(|| rustix::io::writev(self.tap.as_fd(), &parts)) {
                Ok(_) => sent.packets += 1,
                Err(_) => sent.refused_frames += frame_count(header, frame),
            }
        }
        self.outgoing.clear();
        sent
    }
}
