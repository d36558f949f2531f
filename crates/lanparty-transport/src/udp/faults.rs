//! Failures of the system that loopback never shows by itself.

use std::cell::Cell;
use std::io;

#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Of this many sends in a row, three find the socket full.
    pub(crate) full_every: u32,
    /// The system refuses every control message.
    pub(crate) only_plain: bool,
    /// The driver does not know GSO.
    pub(crate) no_gso: bool,
    /// Longer datagrams vanish on the way; 0 for no limit.
    pub(crate) path_mtu: usize,
    sends: Cell<u32>,
    /// Batches offered to the driver.
    pub(crate) batches: Cell<u32>,
}

impl Faults {
    /// True where the path loses these datagrams.
    pub(super) fn loses(&self, contents: &[u8], segment_size: Option<usize>) -> bool {
        self.path_mtu > 0 && segment_size.unwrap_or(contents.len()) > self.path_mtu
    }

    pub(super) fn strike(&self, segment_size: Option<usize>, is_plain: bool) -> io::Result<()> {
        if self.only_plain && !is_plain {
            return Err(super::system::unknown_option());
        }
        if segment_size.is_some() {
            self.batches.set(self.batches.get() + 1);
        }
        if self.no_gso && segment_size.is_some() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let sends = self.sends.get() + 1;
        self.sends.set(sends);
        if self.full_every > 0 && sends % self.full_every < 3 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    }
}

impl super::Udp {
    pub(crate) fn without_offloads(&mut self) {
        self.offload = super::Offload::Plain;
    }
}
